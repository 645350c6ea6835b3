// Uses the package as a user would, from CommonJS. It is only compiled.
import mockFal = require('mock-fal')
import jest = require('mock-fal/jest')
import jestSetup = require('mock-fal/jest/setup')
import playwright = require('mock-fal/playwright')

async function main(): Promise<void> {
  const server: mockFal.MockFal = await mockFal.startMockFal({ url: 'http://127.0.0.1:8325', redirect: false })
  const account: mockFal.Account = server.account('cat')
  const operation: mockFal.Operation | undefined = (await account.submissions())[0]?.operation
  console.log(operation, account.env['FAL_KEY'])
  await jestSetup()
}
playwright.test('a page', async ({ mockFal: account }) => account.assertNotCalled())
export = [main, jest.useMockFal]
