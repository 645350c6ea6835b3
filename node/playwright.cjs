// Playwright: `withMockFal` for the configuration, and a `test` whose pages reach mock-fal.
'use strict'

const { execFileSync } = require('node:child_process')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')
const { test: playwrightTest, expect } = require('@playwright/test')
const { flags, startMockFal } = require('./lib/server.cjs')

// The server of this configuration: Playwright may read the file more than once.
const SERVER = Symbol.for('mock-fal.playwright')

// fal's hosts need the proxy, the server under test does not.
const BYPASS = '127.0.0.1,localhost,[::1]'

/**
 * A configuration whose web servers reach mock-fal: it starts before them, and they run with `--import mock-fal/node`.
 * With MOCK_FAL_URL, that server is used instead. The second argument has settings of the server.
 */
function withMockFal(config, settings = {}) {
  const servers = [config.webServer ?? []].flat()
  const own = ownServer()
  const variables = { MOCK_FAL_URL: own?.url ?? process.env.MOCK_FAL_URL }
  const redirected = servers.map((server) => ({ ...server, env: { ...server.env, ...variables, NODE_OPTIONS: withImport(server.env) } }))
  return { ...config, webServer: own ? [webServer(own, settings), ...redirected] : redirected }
}

/** The address of the server that Playwright starts, or undefined if there is one already. */
function ownServer() {
  if (!globalThis[SERVER] && !process.env.MOCK_FAL_URL) {
    const url = `http://127.0.0.1:${freePort()}`
    globalThis[SERVER] = { url }
    process.env.MOCK_FAL_URL = url // for the processes of the tests
  }
  return globalThis[SERVER]
}

function webServer({ url }, settings) {
  const words = [process.execPath, join(__dirname, 'bin.cjs'), 'serve', ...flags({ ...settings, port: new URL(url).port })]
  return {
    name: 'mock-fal',
    command: words.map((word) => JSON.stringify(word)).join(' '),
    url: `${url}/_mock/health`,
    timeout: 120_000, // the first start may download mock-fal
    gracefulShutdown: { signal: 'SIGTERM', timeout: 5000 },
  }
}

/** A configuration can't wait, so another process looks for the port. */
function freePort() {
  const program = "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close() })"
  return Number(execFileSync(process.execPath, ['-e', program], { env: { ...process.env, NODE_OPTIONS: '' } }))
}

function withImport(env) {
  const options = env?.NODE_OPTIONS ?? process.env.NODE_OPTIONS ?? ''
  return `${options} --import ${pathToFileURL(join(__dirname, 'node.mjs'))}`.trim()
}

/** For `test.extend` of your own. */
const mockFalFixtures = {
  mockFalServer: [
    async ({}, use) => {
      const server = await startMockFal()
      await use(server)
      await server.stop()
    },
    { scope: 'worker', auto: true },
  ],
  mockFal: [
    async ({ mockFalServer }, use, testInfo) => {
      // The server under test has one key, whichever test sends it a request.
      const account = mockFalServer.account()
      if (testInfo.config.workers === 1) await account.reset()
      else account.since = (await mockFalServer.requests({ limit: 1 })).at(-1)?.id ?? 0
      await use(account)
      if (testInfo.status !== testInfo.expectedStatus) await testInfo.attach('mock-fal requests', { body: await account.summary() })
      await account.close()
    },
    { auto: true },
  ],
  proxy: async ({ proxy, mockFalServer }, use) => use(proxy ?? gateway()),
  ignoreHTTPSErrors: async ({}, use) => use(true), // the certificate is mock-fal's own
}

/** The proxy that leads fal's hosts to mock-fal. */
function gateway() {
  const { origin, username, password } = new URL(process.env.HTTPS_PROXY)
  return { server: origin, username, password, bypass: BYPASS }
}

const test = playwrightTest.extend(mockFalFixtures)

module.exports = { expect, mockFalFixtures, test, withMockFal }
