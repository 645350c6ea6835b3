// The exchanges of a call, each with its headers and bodies, which are asked for when one opens it.
import * as api from './api.js'
import { el, fill } from './dom.js'
import { bytes, duration, exactTime } from './format.js'
import { bodyView } from './json_view.js'
import { complain } from './notices.js'

/** A list of summaries of exchanges. `update` adds what is new; an exchange that one has opened stays open. */
export class ExchangesView {
  #known = new Map() // id -> element and its summary as text

  element = el('div', { class: 'exchanges' })

  update(exchanges) {
    const known = this.#known
    this.#known = new Map(exchanges.map((exchange) => {
      const text = JSON.stringify(exchange)
      const before = known.get(exchange.id)
      return [exchange.id, before?.text === text ? before : { text, element: exchangeView(exchange, before?.element.open) }]
    }))
    const elements = [...this.#known.values()].map(({ element }) => element)
    for (const child of [...this.element.children]) if (!elements.includes(child)) child.remove()
    for (const [index, element] of elements.entries()) {
      if (this.element.children[index] !== element) this.element.insertBefore(element, this.element.children[index] ?? null)
    }
  }
}

function exchangeView({ id, at, duration_s, method, url, status, operation, directive, request_size, response_size }, isOpen) {
  const content = el('div', { class: 'messages' }, el('p', { class: 'quiet' }, 'Loading …'))
  const summary = el('summary', {},
    el('time', { class: 'mono quiet' }, exactTime(at)),
    el('span', { class: `code ${status >= 400 ? 'bad' : ''}` }, String(status)),
    el('span', {}, el('b', {}, operation), ' ', el('span', { class: 'quiet address' }, method, ' ', url.replace(/^https:\/\//, ''))),
    el('span', { class: 'number quiet' }, duration(duration_s)),
    el('span', { class: 'number quiet' }, `${bytes(request_size)} → ${bytes(response_size)}`))
  const details = el('details', { class: 'exchange', 'data-exchange': id }, summary, directive && el('p', { class: 'acted' }, 'Changed by ', el('code', {}, directive)), content)
  let isLoaded = false
  details.addEventListener('toggle', () => {
    if (!details.open || isLoaded) return
    isLoaded = true
    load(id, content).catch(complain)
  })
  details.open = Boolean(isOpen)
  return details
}

async function load(id, content) {
  const exchange = await api.exchange(id)
  const { request, response, warning, playback, unknown_endpoint } = exchange
  fill(content,
    unknown_endpoint && el('p', {}, 'Not emulated: ', unknown_endpoint),
    warning && el('p', { class: 'bad' }, warning),
    playback && el('p', { class: 'quiet' }, playback),
    message('Request', `${exchange.method} ${exchange.url}`, request),
    message('Response', `HTTP ${exchange.status}`, response))
}

function message(title, line, { headers, ...body }) {
  return el('div', { class: 'message' },
    el('h4', {}, title),
    el('pre', { class: 'headers', tabindex: 0 }, el('b', {}, line), '\n', headers.map(([name, value]) => [el('span', { class: 'quiet' }, `${name}: `), value, '\n'])),
    bodyView(body))
}
