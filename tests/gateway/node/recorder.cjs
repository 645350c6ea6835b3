// Required before the preload: no connection is made, and what becomes of it is remembered.
'use strict'

const net = require('node:net')

net.Socket.prototype.connect = function connect(first) {
  globalThis.connected = Array.isArray(first) ? first[0] : first
  return this
}
