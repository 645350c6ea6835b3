// Required before the preload: opens no connection and stores the options instead.
'use strict'

const net = require('node:net')

net.Socket.prototype.connect = function connect(first) {
  globalThis.connected = Array.isArray(first) ? first[0] : first
  return this
}
