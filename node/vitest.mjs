// The fixture `mockFal` of vitest: an account for each test. As a setup file: the redirect, before each test file.
import { test as vitestTest } from 'vitest'
import current from './lib/current.cjs'

const { accountOfTest, currentServer } = current

// Before the test file's own imports run: nothing that they start may reach fal.ai.
await currentServer()

/** For `test.extend` of your own. */
export const mockFalFixtures = {
  mockFal: [
    async ({ task, onTestFailed }, use) => {
      const retry = task.result?.retryCount
      const names = [task.file.filepath, ...titles(task), retry ? `retry ${retry}` : '']
      const account = await accountOfTest(names, { concurrent: task.concurrent })
      onTestFailed(async () => console.error(`mock-fal: the requests of this test:\n${await account.summary()}`))
      try {
        await use(account)
      } finally {
        await account.close()
      }
    },
    { auto: true },
  ],
}

export const test = vitestTest.extend(mockFalFixtures)
export const it = test

function titles(task) {
  return task.suite && task.suite !== task.file ? [...titles(task.suite), task.name] : [task.name]
}
