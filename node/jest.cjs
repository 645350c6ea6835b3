// `useMockFal()` for jest: an account for each test of a file or of a `describe`.
'use strict'

const { accountOfTest, currentServer, stopCurrentServer } = require('./lib/current.cjs')

/** Registers hooks. Returns an object with the members of the account of the test that runs. */
function useMockFal() {
  const { afterAll, afterEach, beforeAll, beforeEach, expect } = runner()
  let account
  beforeAll(async () => { await currentServer() }, 120_000) // the first start may download mock-fal
  beforeEach(async () => {
    const { testPath, currentTestName } = expect.getState()
    account = await accountOfTest([testPath, currentTestName])
  })
  afterEach(async () => {
    const finished = account
    account = undefined
    await finished?.close()
  })
  afterAll(stopCurrentServer)
  return new Proxy({}, {
    get(target, name) {
      if (!account) throw new Error(`mock-fal: ${String(name)} is used outside of a test; each test has an account of its own`)
      const value = account[name]
      return typeof value === 'function' ? value.bind(account) : value
    },
  })
}

/** The globals of jest, or its module if they are turned off. */
function runner() {
  return typeof globalThis.beforeEach === 'function' ? globalThis : require('@jest/globals')
}

module.exports = { useMockFal }
