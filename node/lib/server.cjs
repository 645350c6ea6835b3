// A server of mock-fal, started by this process or by somebody else.
'use strict'

const { once } = require('node:events')
const { Account, idOf } = require('./account.cjs')
const { Control, ControlError } = require('./control.cjs')
const { apply, environmentOf, isInherited, redirectThread, startServer } = require('./environment.cjs')
const { setPollInterval } = require('./poll_interval.cjs')

// The default of clients whose server has an emulated clock: no change needs real time.
const POLL_INTERVAL_MS = 5

// The first start may download mock-fal.
const START_MS = 120_000

// How long a server may take to stop.
const STOP_MS = 10_000

// The options of startMockFal that are not settings of the server.
const OWN_OPTIONS = new Set(['url', 'redirect', 'pollInterval', 'timeoutMs'])

/** Start a server, or join the one at MOCK_FAL_URL, and lead this process and its children to it. */
async function startMockFal(options = {}) {
  const url = options.url ?? process.env.MOCK_FAL_URL
  const server = url ? await join(url, options) : await start(options)
  try {
    await server.connect(options)
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

async function start(options) {
  const { child, environment } = await startServer(flags(options), options.timeoutMs ?? START_MS)
  return new MockFal(environment, child, options.controlToken)
}

async function join(url, options) {
  const settings = flags({ ...options, clock: undefined, controlToken: undefined })
  if (settings.length) throw new TypeError(`${settings.join(' ')}: there is a server at ${url} already; give it these settings when it is started`)
  const { url: address } = new Control(url)
  const token = options.controlToken ?? process.env.MOCK_FAL_CONTROL_TOKEN ?? ''
  if (options.redirect === false) return new MockFal({ url: address, set: {}, unset: [] }, null, token)
  if (isInherited(address)) return new MockFal({ url: address, set: { MOCK_FAL_URL: address, FAL_KEY: process.env.FAL_KEY }, unset: [] }, null, token)
  return new MockFal(await environmentOf(address, options.timeoutMs ?? START_MS), null, token)
}

/** Settings as flags: `{ queueDuration: 2 }` is `--queue-duration 2`. By default no test waits. */
function flags(options) {
  const given = { ...options }
  if (!('clock' in options) && !process.env.MOCK_FAL_CLOCK) given.clock = 'auto-advance'
  return Object.entries(given).filter(([name]) => !OWN_OPTIONS.has(name)).flatMap(([name, value]) => {
    if (value === undefined || value === false) return []
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    if (value === true) return [flag]
    return [value].flat().flatMap((each) => [flag, String(each)])
  })
}

class MockFal {
  #child
  #restore = () => {}
  #environment
  #anyKey = true

  constructor(environment, child, token = '') {
    this.#child = child
    this.#environment = environment
    this.control = new Control(environment.url, token)
    this.url = this.control.url
    this.version = environment.version ?? ''
    this.clock = new Clock(this.control)
  }

  /** Read what the server is, and lead this process to it. */
  async connect({ redirect = true, pollInterval, clock: wanted }) {
    const { version, any_key: anyKey, clock } = await this.control.send('GET', 'health')
    if (wanted && wanted !== clock) throw new TypeError(`clock is ${wanted}, but the mock-fal at ${this.url} was started with --clock ${clock}`)
    this.version = version
    this.#anyKey = anyKey
    if (!redirect) return
    this.#restore = isInherited(this.url) ? (redirectThread(), () => {}) : apply(this.#environment)
    const interval = pollInterval ?? (clock === 'system' ? undefined : POLL_INTERVAL_MS)
    if (interval !== undefined) setPollInterval(interval)
  }

  /** The variables for a child process; process.env has them already unless `redirect` is false. */
  get env() {
    return { ...this.#environment.set }
  }

  /** The account with this name; without one, that of the key which programs get. */
  account(name) {
    const key = this.#environment.set.FAL_KEY || 'mock:fal'
    if (name === undefined) return new Account(this, key)
    const [own, ...secret] = key.split(':')
    const id = idOf(name)
    if (!this.#anyKey && id !== own) throw new Error(`the mock-fal at ${this.url} accepts the keys of --key only, so it has no account ${JSON.stringify(name)}; use account() instead`)
    return new Account(this, `${id}:${secret.join(':')}`)
  }

  /** The exchanges of all accounts, oldest first. */
  async requests(filter = {}) {
    return (await this.control.send('GET', 'requests', { query: filter })).requests
  }

  async usage() { return this.control.send('GET', 'usage') }

  /** The rules for all accounts. Those of an account take precedence. */
  async addRule(rule) { await this.control.send('POST', 'scenario', { body: rule }) }
  async rules() { return (await this.control.send('GET', 'scenario')).rules }
  async clearRules() { await this.control.send('DELETE', 'scenario') }

  /** The public keys of webhooks. */
  async webhookKeys() {
    return this.control.send('GET', '../rest.fal.ai/.well-known/jwks.json')
  }

  /** Delete the requests, files, webhooks and rules of all accounts. */
  async reset() { await this.control.send('DELETE', 'requests') }

  /** Restore the variables of this process, and stop the server if this process has started it. */
  async stop() {
    this.#restore()
    this.#restore = () => {}
    const child = this.#child
    this.#child = null
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.ref()
    const ended = once(child, 'exit')
    child.stdin.end()
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await ended
    clearTimeout(timer)
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() { await this.stop() }
}

class Clock {
  #control
  constructor(control) { this.#control = control }

  /** The emulated time in Unix seconds. */
  async now() { return (await this.#control.send('GET', 'clock')).now }

  /** Advance the clock. Returns the new time. */
  async advance(seconds) {
    return (await this.#control.send('POST', 'clock/advance', { body: { seconds } })).now
  }
}

module.exports = { ControlError, MockFal, flags, startMockFal }
