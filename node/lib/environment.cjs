// The environment that leads a program to mock-fal, as `mock-fal serve --attached` and `mock-fal env --format json` give it.
'use strict'

const { spawn } = require('node:child_process')
const { findCommand } = require('./command.cjs')

// What is kept of the messages of the program, for an error.
const MAX_MESSAGES = 64 * 1024

/** Start a server that ends with this process. Returns its process and environment. */
async function startServer(flags, timeoutMs) {
  const child = run(['serve', '--attached', ...flags])
  const environment = await firstLine(child, timeoutMs)
  child.stderr.on('data', (chunk) => process.stderr.write(chunk))
  // This process ends when its own work is done; the server then ends with its stdin.
  for (const handle of [child, child.stdin, child.stdout, child.stderr]) handle.unref()
  return { child, environment }
}

/** The environment of the server at a URL. The command knows what belongs to it, and whether its files can be trusted. */
async function environmentOf(url, timeoutMs) {
  let child
  try {
    child = run(['env', '--url', url, '--format', 'json', '--wait', '5'])
  } catch (error) {
    error.message = `To lead this process to the mock-fal at ${url}, this package runs: mock-fal env --url ${url}\n${error.message}\n` +
      'Under `mock-fal run --`, or with the option redirect: false, that is not needed.'
    throw error
  }
  return firstLine(child, timeoutMs)
}

function run(args) {
  const [program, ...first] = findCommand()
  // A group of its own: Ctrl+C in a terminal ends this process first, which may still need the server.
  const options = { stdio: ['pipe', 'pipe', 'pipe'], detached: process.platform !== 'win32', windowsHide: true }
  const child = spawn(program, [...first, ...args], options)
  child.stdin.on('error', () => {}) // it has ended already
  child.commandLine = [program, ...first, ...args].join(' ')
  return child
}

/** The JSON of the first line that a program prints. */
function firstLine(child, timeoutMs) {
  return new Promise((resolve, reject) => {
    let line = ''
    let messages = ''
    const fail = (what) => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      reject(new Error(`${child.commandLine}: ${what}${messages && '\n'}${messages.trimEnd()}`))
    }
    const timer = setTimeout(() => fail(`printed nothing within ${timeoutMs / 1000} s`), timeoutMs)
    const listen = (text) => { messages = (messages + text).slice(-MAX_MESSAGES) }
    child.stderr.setEncoding('utf8').on('data', listen)
    child.stdout.setEncoding('utf8').on('data', (text) => {
      line += text
      if (!line.includes('\n')) return
      clearTimeout(timer)
      child.removeAllListeners('error').removeAllListeners('close').on('error', () => {})
      child.stdout.removeAllListeners('data').resume()
      child.stderr.removeListener('data', listen)
      try {
        resolve(JSON.parse(line.slice(0, line.indexOf('\n'))))
      } catch {
        fail(`printed ${JSON.stringify(line.slice(0, 200))}, expected JSON; is it mock-fal, and as new as this package?`)
      }
    })
    child.on('error', (error) => fail(error.message))
    child.on('close', (code, signal) => fail(`ended with ${signal || `exit code ${code}`}`))
  })
}

/** Whether this process has the environment of a server, and the server is the one at `url`. */
function isInherited(url, env = process.env) {
  return Boolean(env.MOCK_FAL_TLS && env.MOCK_FAL_HOSTS && env.MOCK_FAL_NODE && env.MOCK_FAL_URL === url)
}

/** Redirect the connections of this thread, with the variables that it has. */
function redirectThread(env = process.env) {
  require(env.MOCK_FAL_NODE).redirect(env) // mock_fal/gateway/preload.cjs
}

/** Set the variables of this process and redirect its connections. Returns a function that restores the variables. */
function apply({ set, unset }) {
  const before = {}
  const change = (name, value) => {
    before[name] = process.env[name]
    assign(name, value)
  }
  for (const name of unset) change(name, undefined)
  for (const [name, value] of Object.entries(set)) change(name, name === 'NODE_OPTIONS' ? withoutImport(value) : value)
  redirectThread()
  return () => { for (const [name, value] of Object.entries(before)) assign(name, value) }
}

function assign(name, value) {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}

/** NODE_OPTIONS without `--import mock-fal/node`: child processes have the preload, and may run in another folder. */
function withoutImport(options) {
  return options.replace(/(^|\s)--import[ =]("?)(?:mock-fal\/node|file:[^\s"]*\/mock-fal\/node\.mjs)\2(?=\s|$)/g, '$1').trim()
}

module.exports = { apply, assign, environmentOf, isInherited, redirectThread, startServer, withoutImport }
