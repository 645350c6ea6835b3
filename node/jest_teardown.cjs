// The globalTeardown of jest: stops the server of `mock-fal/jest/setup`.
'use strict'

const { stopCurrentServer } = require('./lib/current.cjs')

module.exports = stopCurrentServer
