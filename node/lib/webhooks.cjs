// Webhooks: their verification, and a server that receives them.
'use strict'

const { createHash, createPublicKey, verify } = require('node:crypto')
const http = require('node:http')
const { setTimeout: delay } = require('node:timers/promises')

// fal: receivers reject a timestamp that differs by more than five minutes (fal's webhook documentation).
const TOLERANCE_S = 300
const PREFIX = 'x-fal-webhook-'

// What is kept of the webhooks, and the largest body.
const MAX_KEPT = 1000
const MAX_BODY_BYTES = 8 * 1024 * 1024

/** Throws an Error with the reason unless a webhook of fal, or of a mock-fal, is genuine. `body` are its bytes. */
function verifyWebhook(headers, body, jwks, { now = Date.now() / 1000 } = {}) {
  const lower = new Map(entriesOf(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const [requestId, user, timestamp, signature] = ['request-id', 'user-id', 'timestamp', 'signature'].map((name) => {
    const value = lower.get(PREFIX + name)
    if (!value) throw invalid(`the header ${PREFIX}${name} is missing`)
    return String(value)
  })
  if (!/^\d+$/.test(timestamp)) throw invalid(`the timestamp is ${JSON.stringify(timestamp)}, expected Unix seconds`)
  const age = now - Number(timestamp)
  if (Math.abs(age) > TOLERANCE_S) {
    throw invalid(`the timestamp is ${Math.abs(age).toFixed()} s in the ${age > 0 ? 'past' : 'future'}, expected at most ${TOLERANCE_S}`)
  }
  if (!/^[0-9a-f]{128}$/i.test(signature)) throw invalid(`the signature is ${JSON.stringify(signature.slice(0, 200))}, expected 128 hex digits`)
  const keys = (jwks?.keys || []).filter((key) => key.kty === 'OKP' && key.crv === 'Ed25519')
  if (!keys.length) throw invalid('the JWKS has no Ed25519 key')
  // fal: four lines, the last one a digest of the body (fal's webhook documentation).
  const message = Buffer.from([requestId, user, timestamp, createHash('sha256').update(body).digest('hex')].join('\n'))
  const signed = (key) => verify(null, message, createPublicKey({ key: { kty: key.kty, crv: key.crv, x: key.x }, format: 'jwk' }), Buffer.from(signature, 'hex'))
  if (!keys.some(signed)) throw invalid(`the signature fits none of the ${keys.length} keys: headers or body were changed`)
}

function entriesOf(headers) {
  return typeof headers?.entries === 'function' ? [...headers.entries()] : Object.entries(headers)
}

function invalid(reason) {
  return Object.assign(new Error(reason), { code: 'ERR_MOCK_FAL_WEBHOOK' })
}

/** A server on this machine that receives webhooks, verifies them and responds 200, or what `respondWith` says. */
class WebhookReceiver {
  #server
  #keys
  #loadKeys
  #received = []
  #count = 0
  #statuses = []
  #waiting = new Set()

  constructor(loadKeys) {
    this.#loadKeys = loadKeys
    this.#server = http.createServer((request, response) => this.#receive(request, response))
  }

  async start() {
    await new Promise((resolve, reject) => this.#server.on('error', reject).listen(0, '127.0.0.1', resolve))
    this.#server.unref()
    return this
  }

  /** The URL for webhooks; every path below it works too. */
  get url() {
    return `http://127.0.0.1:${this.#server.address().port}/`
  }

  /** The latest webhooks, oldest first. */
  get received() {
    return [...this.#received]
  }

  /** Statuses for the next webhooks, one each. After `respondWith(500)` fal tries again. */
  respondWith(...statuses) {
    this.#statuses.push(...statuses)
  }

  /** Wait until `number` webhooks were received, and return them. */
  async waitFor(number = 1, { timeoutMs = 10_000 } = {}) {
    const stop = new AbortController()
    let arrived
    try {
      await Promise.race([
        new Promise((resolve) => { this.#waiting.add((arrived = () => this.#count >= number && resolve())); arrived() }),
        delay(timeoutMs, undefined, { signal: stop.signal }).then(() => {
          throw new Error(`received ${this.#count} of ${number} webhooks at ${this.url} within ${timeoutMs / 1000} s`)
        }),
      ])
    } finally {
      stop.abort()
      this.#waiting.delete(arrived)
    }
    return this.received
  }

  async close() {
    this.#server.closeAllConnections()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }

  #receive(request, response) {
    const chunks = []
    let size = 0
    request.on('error', () => {}).on('data', (chunk) => {
      size += chunk.length
      if (size <= MAX_BODY_BYTES) chunks.push(chunk)
    })
    request.on('end', async () => {
      const body = Buffer.concat(chunks)
      const problem = size > MAX_BODY_BYTES ? `the body has ${size} bytes, expected at most ${MAX_BODY_BYTES}` : await this.#problem(request.headers, body)
      const status = this.#statuses.shift() ?? 200
      this.#received.push({ path: request.url, headers: request.headers, body, json: parsed(body), verified: !problem, problem, status })
      if (this.#received.length > MAX_KEPT) this.#received.shift()
      this.#count += 1
      response.writeHead(status).end()
      for (const arrived of this.#waiting) arrived()
    })
  }

  async #problem(headers, body) {
    try {
      this.#keys ??= await this.#loadKeys()
      verifyWebhook(headers, body, this.#keys)
      return ''
    } catch (error) {
      return error.message
    }
  }
}

function parsed(body) {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

module.exports = { WebhookReceiver, verifyWebhook }
