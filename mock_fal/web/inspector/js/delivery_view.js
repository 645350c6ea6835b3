// One webhook: its attempts, what a receiver finds of its signature, its body, and sending it again.
import * as api from './api.js'
import { button, el } from './dom.js'
import { duration, exactTime } from './format.js'
import { jsonView } from './json_view.js'
import { act, tell } from './notices.js'
import { stateMark } from './state_mark.js'

/** A delivery in full. */
export function deliveryView(delivery) {
  const { url, state, next_at, attempts, fault, body } = delivery
  return el('div', { class: 'delivery' },
    el('p', { class: 'state' }, stateMark(state), el('b', {}, state), ' ', el('code', {}, url)),
    fault && el('p', {}, 'A rule changed it: ', el('code', {}, `webhook=${fault}`)),
    attempts.length ? attemptTable(attempts) : el('p', { class: 'quiet' }, 'No attempt yet.'),
    next_at !== null && el('p', { class: 'quiet' }, `The next attempt is at ${exactTime(next_at)}.`),
    body !== null && [
      el('details', {}, el('summary', {}, 'Body'), jsonView(body)),
      state !== 'waiting' && resendForm(delivery),
    ])
}

function attemptTable(attempts) {
  return el('div', { class: 'table-scroll', tabindex: 0, role: 'region', 'aria-label': 'Attempts' }, el('table', {},
    el('thead', {}, el('tr', {}, ['Attempt', 'Answer', 'Took', 'Signature'].map((name) => el('th', { scope: 'col' }, name)))),
    el('tbody', {}, attempts.map(({ at, status, error, duration_s, signature, reason }) => el('tr', {},
      el('td', { class: 'mono' }, exactTime(at)),
      el('td', { class: status !== null && status < 300 ? '' : 'bad' }, status === null ? error : `HTTP ${status}`),
      el('td', {}, duration(duration_s)),
      el('td', { class: signature === 'invalid' ? 'bad' : '' }, signature === null ? 'not sent' : reason ? `${signature}: ${reason}` : signature))))))
}

function resendForm({ request_id, body }) {
  const text = el('textarea', { rows: 10, spellcheck: 'false', 'aria-label': 'Body of the webhook' })
  text.value = JSON.stringify(body, null, 2)
  const same = button('Send again', act(async () => {
    await api.resend({ request_id })
    tell('The webhook is sent again.')
  }))
  const edited = button('Send this body, signed anew', act(async () => {
    await api.resend({ request_id, body: JSON.parse(text.value) })
    tell('The edited webhook is sent.')
  }), { class: 'primary' })
  return el('div', { class: 'resend' },
    el('p', { class: 'actions' }, same),
    el('details', {}, el('summary', {}, 'Edit the body and send it'), text, el('p', { class: 'actions' }, edited)))
}
