// All of one call: what acted, timeline, result, input, logs, exchanges, webhooks, findings.
import * as api from './api.js'
import { callActions } from './call_actions.js'
import { callTimeline } from './call_timeline.js'
import { durationOf, isOpen, progressOf, stateWords } from './call.js'
import { DeliveryView } from './delivery_view.js'
import { button, el, fill } from './dom.js'
import * as clock from './emulated_clock.js'
import { ExchangesView } from './exchanges_view.js'
import { findingsView } from './findings_view.js'
import { dateTime, duration, money } from './format.js'
import { jsonView } from './json_view.js'
import { logsView } from './logs_view.js'
import { mediaView } from './media_view.js'
import { rulesView } from './acting_rules.js'
import { Section } from './section.js'
import { stateMark } from './state_mark.js'

const TICK_MS = 250

const SECTIONS = () => [
  new Section('Warning', ({ warning }) => warning, (warning) => el('p', { class: 'bad' }, warning)),
  new Section('What acted', ({ rules }) => (rules.length ? rules : null), rulesView),
  new Section('Result', ({ files }) => (files.length ? files : null), mediaView),
  new Section('Output', ({ output }) => output, jsonView),
  new Section('Input files', ({ input_files }) => (input_files.length ? input_files.map(({ pointer, file }) => ({ ...file, pointer })) : null), mediaView),
  new Section('Input', ({ input }) => input, jsonView),
  new Section('Logs', ({ logs, submitted_at }) => (logs.length ? { logs, submitted_at } : null), logsView),
  new Section('Exchanges', ({ exchanges }) => (exchanges.length ? exchanges : null), new ExchangesView()),
  new Section('Webhook', ({ deliveries: [delivery] }) => delivery ?? null, new DeliveryView()),
  new Section('Check', ({ findings }) => findings, findingsView),
]

export class RequestDetail {
  #id = ''
  #detail = null
  #asked = 0
  #head = el('header', { class: 'detail-head' })
  #actions = el('div')
  #line = el('div', { class: 'detail-line' })
  #sections = SECTIONS()

  constructor(onClose) {
    const close = button('Close', onClose, { class: 'plain close', 'aria-label': 'Close the detail', title: 'Esc' })
    this.element = el('article', { class: 'detail', 'aria-label': 'Request', tabindex: -1, hidden: true },
      close, this.#head, this.#actions, this.#line, this.#sections.map(({ element }) => element))
    setInterval(() => this.#tick(), TICK_MS)
  }

  get id() {
    return this.#id
  }

  /** Shows a call, or nothing for an empty id. One that may be gone is not asked for if it is. */
  async show(id, { mayBeGone = false } = {}) {
    const isNew = id !== this.#id
    this.#id = id
    this.element.hidden = !id
    if (!id) return
    this.#asked += 1
    const asked = this.#asked
    try {
      const detail = mayBeGone && !(await api.calls({ id })).calls.length ? null : await api.readCall(id)
      if (asked !== this.#asked) return
      if (!detail) {
        this.#drawMissing()
        return
      }
      clock.set(detail)
      this.#draw(detail, isNew || this.#detail?.id !== id)
    } catch (error) {
      if (asked !== this.#asked) return
      if (error.status !== 404) throw error
      this.#drawMissing()
    }
  }

  #draw(detail, isNew) {
    this.#detail = detail
    if (isNew) this.element.scrollTop = 0
    fill(this.#head, title(detail))
    if (isNew) fill(this.#actions, callActions(detail, () => this.#detail.output))
    fill(this.#line, callTimeline(detail))
    for (const section of this.#sections) section.update(detail, isNew)
  }

  #drawMissing() {
    this.#detail = null
    fill(this.#head, el('h2', {}, 'Not stored'), el('p', {}, el('code', {}, this.#id)), el('p', { class: 'quiet' }, 'The server forgets the oldest requests, and all of them when it ends.'))
    fill(this.#actions)
    fill(this.#line)
    for (const { element } of this.#sections) element.hidden = true
  }

  #tick() {
    if (!this.#detail || document.hidden || this.element.hidden || !isOpen(this.#detail)) return
    fill(this.#line, callTimeline(this.#detail))
    this.#head.querySelector('.took').textContent = duration(durationOf(this.#detail))
  }
}

function title(detail) {
  const { id, endpoint, key, submitted_at, cost, replay_of, operation, tags, input_size } = detail
  const fact = (name, value) => value && el('div', {}, el('dt', {}, name), el('dd', {}, value))
  return [
    el('h2', {}, stateMark(detail.state, progressOf(detail)), endpoint ?? 'Call without an endpoint'),
    el('dl', { class: 'facts' },
      fact('State', el('span', { class: `state-${detail.state}` }, stateWords(detail))),
      fact('Took', el('span', { class: 'took' }, duration(durationOf(detail)))),
      fact('Cost', money(cost)),
      fact('Key', key || '(no key)'),
      fact('Sent', dateTime(submitted_at)),
      fact('By', operation),
      fact('Id', el('code', {}, id)),
      fact('Again from', replay_of && el('a', { href: `#/requests/${replay_of}` }, el('code', {}, replay_of))),
      Object.keys(tags).length > 0 && fact('Tags', Object.entries(tags).map(([name, value]) => `${name}=${value}`).join(' ')),
      input_size === null && fact('Input', 'not stored')),
  ]
}
