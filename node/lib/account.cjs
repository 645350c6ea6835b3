// The account of one key on a server: its requests, rules, webhooks and assertions.
'use strict'

const { createHash } = require('node:crypto')
const { setTimeout: delay } = require('node:timers/promises')
const { check, checkNone } = require('./assertions.cjs')
const { assign } = require('./environment.cjs')
const { WebhookReceiver } = require('./webhooks.cjs')

// Names for the same key; the others are replaced if they are set, as `mock-fal run` does.
const KEY = 'FAL_KEY'
const OTHER_KEYS = ['FAL_API_KEY', 'FAL_AI_API_KEY']

// Between two looks at webhooks that are due.
const PAUSE_MS = 20

// The longest id of a key that a name is turned into.
const MAX_ID = 80

class Account {
  #server
  #receivers = []

  constructor(server, key) {
    this.#server = server
    this.key = key
    this.name = key.slice(0, key.indexOf(':'))
    // Only exchanges after this one are listed: on an account that others use too.
    this.since = undefined
  }

  get server() { return this.#server }
  get url() { return this.#server.url }
  get clock() { return this.#server.clock }

  /** The variables for a child process: `spawn(command, { env: { ...process.env, ...account.env } })`. */
  get env() {
    const others = OTHER_KEYS.filter((name) => name in process.env)
    return { ...this.#server.env, ...Object.fromEntries([KEY, ...others].map((name) => [name, this.key])) }
  }

  // -- requests and results

  async requests(filter = {}) {
    return this.#server.requests({ since: this.since, ...filter, key: this.name })
  }

  /** The calls of models among them: submissions to the queue, direct calls, streams and realtime inputs. */
  async submissions(filter = {}) {
    return (await this.requests(filter)).filter((exchange) => exchange.attempts !== null)
  }

  async callCount(endpoint = '*') {
    return (await this.submissions(endpoint === '*' ? {} : { endpoint })).length
  }

  async usage() { return this.#control('GET', 'usage') }
  async files() { return (await this.#control('GET', 'files')).files }
  async deliveries() { return (await this.#control('GET', 'deliveries')).deliveries }

  /** A line for each request: method, host, path and status. */
  async summary() {
    const lines = (await this.requests()).map(({ method, host, path, status }) => `${method.padEnd(6)} ${host}${path}  ${status || 'broken'}`)
    return lines.length ? lines.join('\n') : 'no request received'
  }

  // -- assertions

  async assertCalledOnceWith(endpoint = '*', input = undefined) { await this.#check('once', endpoint, input) }
  async assertCalledWith(endpoint = '*', input = undefined) { await this.#check('last', endpoint, input) }
  async assertAnyCall(endpoint = '*', input = undefined) { await this.#check('any', endpoint, input) }
  async assertNotCalled(endpoint = '*') { checkNone(await this.#calls(endpoint), endpoint) }

  async #check(which, endpoint, input) {
    if (typeof endpoint !== 'string') throw new TypeError(`the endpoint is ${typeof endpoint}, expected a pattern such as "fal-ai/flux/*"`)
    check(which, await this.#calls(endpoint), endpoint, input)
  }

  async #calls(endpoint) {
    const all = await this.submissions()
    // The server compares patterns with endpoints.
    const matching = endpoint === '*' ? all : await this.submissions({ endpoint })
    const ids = new Set(matching.map(({ id }) => id))
    return all.map((exchange) => ({ exchange, matches: ids.has(exchange.id) }))
  }

  // -- failures and outputs

  /** The next calls fail with one of fal's errors, such as `content_policy_violation`. */
  async failNext(error, { times = 1, ...options } = {}) {
    await this.addRule({ ...options, error, times })
  }

  /** An output of your own for an endpoint, or for those that match a pattern such as `me/*`. */
  async respond(endpoint, output, options = {}) {
    if (output === undefined || typeof output === 'function') {
      throw new TypeError(`the output is ${output === undefined ? 'undefined' : 'a function'}, expected JSON: it is used in another process`)
    }
    await this.addRule({ ...options, endpoint, output })
  }

  /** Add a rule: a directive as text, or an object with its options. */
  async addRule(rule) { await this.#control('POST', 'scenario', rule) }
  async rules() { return (await this.#control('GET', 'scenario')).rules }
  async clearRules() { await this.#control('DELETE', 'scenario') }

  // -- webhooks

  /** A server that receives the webhooks of a test, started now: `webhookUrl: receiver.url`. */
  async webhooks() {
    const receiver = await new WebhookReceiver(() => this.#server.webhookKeys()).start()
    this.#receivers.push(receiver)
    return receiver
  }

  /** Send a signed webhook that no request was submitted for. Returns its request id. */
  async sendWebhook({ url, endpoint, output, error }) {
    const body = { url, endpoint, output, error, key: this.name }
    return (await this.#server.control.send('POST', 'webhooks', { body })).request_id
  }

  /** Send a finished webhook again, or with a body of your own. */
  async resendWebhook(requestId, body) {
    await this.#server.control.send('POST', 'webhooks/resend', { body: { request_id: requestId, body } })
  }

  /** Wait until each webhook that is due was tried, and return all. */
  async waitForDeliveries({ timeoutMs = 10_000 } = {}) {
    const until = performance.now() + timeoutMs
    for (;;) {
      const [deliveries, now] = [await this.deliveries(), await this.clock.now()]
      if (deliveries.every(({ state, next_at: next }) => state !== 'waiting' || next > now)) return deliveries
      if (performance.now() > until) throw new Error(`a webhook was due and not tried for ${timeoutMs / 1000} s`)
      await delay(PAUSE_MS)
    }
  }

  // -- the test

  /** Make it the account of this process: clients that read FAL_KEY use it from now on. Returns this account. */
  use() {
    for (const name of [KEY, ...OTHER_KEYS]) if (name === KEY || name in process.env) assign(name, this.key)
    return this
  }

  /** Delete the requests, files, webhooks and rules of this account. */
  async reset() { await this.#control('DELETE', 'requests') }

  /** Stop the receivers of webhooks. */
  async close() {
    await Promise.all(this.#receivers.splice(0).map((receiver) => receiver.close()))
  }

  #control(method, path, body) {
    return this.#server.control.send(method, path, { query: { key: this.name }, body })
  }
}

/** The id of a key for a name: letters, digits, hyphens. Different names give different ids. */
function idOf(name) {
  if (typeof name !== 'string' || !name) throw new TypeError(`the name of an account is ${JSON.stringify(name)}, expected a text`)
  const id = name.replace(/[^A-Za-z0-9_-]+/g, '-')
  if (id === name && id.length <= MAX_ID) return id
  return `${id.slice(0, MAX_ID)}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`
}

module.exports = { Account, idOf }
