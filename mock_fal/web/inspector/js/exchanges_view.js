// The exchanges of a call, each with its headers and bodies, which are asked for when one opens it.
import * as api from './api.js'
import { el, fill } from './dom.js'
import { bytes, duration, exactTime } from './format.js'
import { bodyView } from './json_view.js'
import { complain } from './notices.js'

/** A list of summaries of exchanges. */
export function exchangesView(exchanges) {
  return el('div', { class: 'exchanges' }, exchanges.map(exchangeView))
}

function exchangeView({ id, at, duration_s, method, url, status, operation, directive, request_size, response_size }) {
  const content = el('div', { class: 'messages' }, el('p', { class: 'quiet' }, 'Loading …'))
  const summary = el('summary', {},
    el('time', { class: 'mono quiet' }, exactTime(at)),
    el('span', { class: `code ${status >= 400 ? 'bad' : ''}` }, String(status)),
    el('span', {}, el('b', {}, operation), ' ', el('span', { class: 'quiet address' }, method, ' ', url)),
    el('span', { class: 'number quiet' }, duration(duration_s)),
    el('span', { class: 'number quiet' }, `${bytes(request_size)} → ${bytes(response_size)}`))
  const details = el('details', { class: 'exchange', 'data-exchange': id }, summary, directive && el('p', { class: 'acted' }, 'Changed by ', el('code', {}, directive)), content)
  details.addEventListener('toggle', () => details.open && load(id, content).catch(complain), { once: true })
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
