#!/usr/bin/env node
// `npx mock-fal`: runs the command mock-fal, however it is installed.
'use strict'

const { spawn } = require('node:child_process')
const { constants } = require('node:os')
const { findCommand } = require('./lib/command.cjs')

let command
try {
  command = findCommand()
} catch (error) {
  console.error(error.message)
  process.exit(127)
}
const [program, ...args] = command
const child = spawn(program, [...args, ...process.argv.slice(2)], { stdio: 'inherit' })
// A terminal sends Ctrl+C to both processes.
process.on('SIGINT', () => { if (!process.stdin.isTTY) child.kill('SIGINT') })
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => {
  console.error(`${program}: ${error.message}`)
  process.exit(126)
})
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
