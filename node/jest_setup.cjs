// The globalSetup of jest: one server for all test files. Settings are in MOCK_FAL_… variables.
'use strict'

const { currentServer } = require('./lib/current.cjs')

module.exports = async () => { await currentServer() }
