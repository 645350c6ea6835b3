// One webhook: its attempts, what a receiver finds of its signature, its body, and sending it again.
import * as api from './api.js'
import { button, el, fill, isInUse } from './dom.js'
import { duration, exactTime } from './format.js'
import { jsonView } from './json_view.js'
import { act, tell } from './notices.js'
import { stateMark } from './state_mark.js'
import { table } from './table.js'

/** A delivery in full. `update` shows its present state; a body that one edits stays. */
export class DeliveryView {
  #facts = el('div', { class: 'delivery-facts' })
  #body = el('div', { class: 'delivery-body' })
  #shown = ''

  element = el('div', { class: 'delivery' }, this.#facts, this.#body)

  update(delivery) {
    const { request_id, url, state, next_at, attempts, fault, body } = delivery
    fill(this.#facts,
      el('p', { class: 'state' }, stateMark(state), el('b', {}, state), ' ', el('code', {}, url)),
      fault && el('p', {}, 'A rule changed it: ', el('code', {}, `webhook=${fault}`)),
      attempts.length ? attemptTable(attempts) : el('p', { class: 'quiet' }, 'No attempt yet.'),
      next_at !== null && el('p', { class: 'quiet' }, `The next attempt is at ${exactTime(next_at)}.`))
    const text = JSON.stringify([request_id, body, state === 'waiting'])
    if (text === this.#shown || (this.#shown.includes(request_id) && isInUse(this.#body))) return
    this.#shown = text
    fill(this.#body, body !== null && [
      el('details', {}, el('summary', {}, 'Body'), jsonView(body)),
      state !== 'waiting' && resendForm(delivery),
    ])
  }
}

function attemptTable(attempts) {
  return table('Attempts', ['Attempt', 'Answer', 'Took', 'Signature'], attempts.map(({ at, status, error, duration_s, signature, reason }) => el('tr', {},
      el('td', { class: 'mono' }, exactTime(at)),
      el('td', { class: status !== null && status < 300 ? '' : 'bad' }, status === null ? error : `HTTP ${status}`),
      el('td', {}, duration(duration_s)),
      el('td', { class: signature === 'invalid' ? 'bad' : '' }, signature === null ? 'not sent' : reason ? `${signature}: ${reason}` : signature))))
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
