// The server of this process, and the accounts of its tests.
'use strict'

const { startMockFal } = require('./server.cjs')

let server

/** The server that this process uses: started or joined at the first call. */
function currentServer() {
  server ??= startMockFal().catch((error) => {
    server = undefined
    throw error
  })
  return server
}

/** Stop the server, if this process has started it. */
async function stopCurrentServer() {
  const stopping = server
  server = undefined
  await (await stopping)?.stop()
}

/**
 * An empty account for one test. Its name has the file and the test, so that no two tests share it. The clients of this
 * process use it, except if tests run concurrently in one process: then none of them has the key of another test.
 */
async function accountOfTest(names, { concurrent = false } = {}) {
  const server = await currentServer()
  const account = server.account(shortened(names.filter(Boolean).map(String)))
  await account.reset()
  ;(concurrent ? server.account() : account).use()
  return account
}

/** The file, relative to the project, and the titles. `idOf` cuts the end, and adds a digest of the whole. */
function shortened([file, ...titles]) {
  const root = `${process.cwd()}/`
  return [file.startsWith(root) ? file.slice(root.length) : file, ...titles].join(' ')
}

module.exports = { accountOfTest, currentServer, stopCurrentServer }
