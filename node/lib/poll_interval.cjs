// @fal-ai/client asks for the status of a request every 500 ms unless `pollInterval` is given with each call. With an
// emulated clock these pauses are all that a test waits for, so they are made short.
'use strict'

const { dirname, join } = require('node:path')

const INTERVAL = Symbol.for('mock-fal.pollInterval')

/** The default interval of the clients in this process. Returns whether there is a client whose interval can be set. */
function setPollInterval(milliseconds) {
  try {
    const main = require.resolve('@fal-ai/client', { paths: [process.cwd()] })
    const queue = require(join(dirname(main), 'queue.js'))
    if (typeof queue.createQueueClient !== 'function') return false
    if (queue[INTERVAL] === undefined) {
      const create = queue.createQueueClient
      queue.createQueueClient = (...args) => faster(create(...args), queue)
      // The client that exists already. `fal.config` makes another one.
      faster(require(main).fal.queue, queue)
    }
    queue[INTERVAL] = milliseconds
    return true
  } catch {
    return false // there is no such client here, or one that is built in another way: it works, and waits
  }
}

function faster(client, settings) {
  const subscribe = client.subscribeToStatus
  client.subscribeToStatus = (endpoint, options) => {
    const pollInterval = options?.pollInterval ?? settings[INTERVAL]
    return subscribe.call(client, endpoint, { ...options, pollInterval })
  }
  return client
}

module.exports = { setPollInterval }
