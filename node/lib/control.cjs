// A client of the control API of a server.
'use strict'

const http = require('node:http')

// How long the server may take. It answers at once, but a debugger may have stopped it.
const PATIENCE_MS = 60_000

/** An answer of the control API that is not a success: `status`, and the message of the server. */
class ControlError extends Error {
  constructor(message, status) {
    super(message)
    this.name = 'ControlError'
    this.status = status
  }
}

/** The control API at a URL. It uses node:http, because tests replace `fetch` and timers. */
class Control {
  constructor(url, token = '') {
    this.url = checkedUrl(url)
    this.token = token
  }

  /** The JSON of a response, undefined if it has no body. Throws a ControlError. */
  async send(method, path, { query = {}, body } = {}) {
    const url = new URL(`${this.url}/_mock/${path}`)
    for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== null) url.searchParams.set(name, String(value))
    const { status, text } = await this.#request(url, method, body === undefined ? undefined : JSON.stringify(body))
    if (status >= 400) throw new ControlError(detail(text), status)
    return text ? JSON.parse(text) : undefined
  }

  #request(url, method, body) {
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    if (this.token) headers['x-mock-fal-token'] = this.token
    return new Promise((resolve, reject) => {
      const failed = (error) => reject(new ControlError(`the mock-fal at ${this.url} does not answer (${error.message || error.code}); is it running?`, 0))
      const request = http.request(url, { method, headers, agent: false }, (response) => {
        const chunks = []
        response.on('data', (chunk) => chunks.push(chunk)).on('error', failed)
        response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString('utf8') }))
      })
      request.setTimeout(PATIENCE_MS, () => request.destroy(new Error(`no response within ${PATIENCE_MS / 1000} s`)))
      request.on('error', failed).end(body)
    })
  }
}

function checkedUrl(text) {
  let url
  try {
    url = new URL(text)
  } catch {
    throw new TypeError(`the address of mock-fal is ${JSON.stringify(text)}, expected a URL such as http://127.0.0.1:8325`)
  }
  if (url.protocol !== 'http:') throw new TypeError(`the address of mock-fal is ${text}, expected an http:// URL`)
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

function detail(text) {
  try {
    return String(JSON.parse(text).detail)
  } catch {
    return text.slice(0, 1000)
  }
}

module.exports = { Control, ControlError }
