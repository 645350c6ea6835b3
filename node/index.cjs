'use strict'

const { Account } = require('./lib/account.cjs')
const { currentServer } = require('./lib/current.cjs')
const { file, fileUrl } = require('./lib/file.cjs')
const { ControlError, MockFal, startMockFal } = require('./lib/server.cjs')
const { WebhookReceiver, verifyWebhook } = require('./lib/webhooks.cjs')

/** The account with this name, empty and in use, on the server of this process, which is started or joined now. */
async function account(name) {
  const named = (await currentServer()).account(name)
  await named.reset()
  return named.use()
}

module.exports = { Account, ControlError, MockFal, WebhookReceiver, account, file, fileUrl, startMockFal, verifyWebhook }
