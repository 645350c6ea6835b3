// All webhooks, latest first; one opens to its attempts and to sending it again.
import { address, go, here } from './address.js'
import * as api from './api.js'
import { DeliveryView } from './delivery_view.js'
import { button, el } from './dom.js'
import { exactTime } from './format.js'
import { KeyChoice } from './key_choice.js'
import { PagedList } from './paged_list.js'
import { stateMark } from './state_mark.js'
import { table } from './table.js'

const PAGE = 100

export class WebhooksView {
  #key = new KeyChoice('Key', 'All keys', { onchange: () => go({ filter: { ...here().filter, key: this.#key.value } }) })
  #list = new PagedList(async (page) => {
    const { deliveries, next } = await api.deliveries({ ...page, key: here().filter.key })
    return { items: deliveries, next }
  }, (deliveries) => this.#table(deliveries))
  #delivery = new DeliveryView()
  #title = el('code')
  #chosen = el('section', { class: 'panel', 'aria-label': 'Webhook', hidden: true },
    el('header', {}, el('h2', {}, 'Webhook of ', this.#title), button('Close', () => go({ view: 'webhooks' }), { class: 'plain' })), this.#delivery.element)

  constructor() {
    this.element = el('section', { class: 'panels', 'aria-label': 'Webhooks', tabindex: -1 }, this.#chosen,
      el('section', { class: 'panel' }, el('header', {}, el('h2', {}, 'Webhooks'), this.#key.element), this.#list.element))
  }

  show() {
    this.#key.value = here().filter.key ?? ''
    return this.#list.load(PAGE)
  }

  known(use) {
    this.#key.known(use)
  }

  on(event) {
    return event === 'changed' || event === 'reset' || event === 'hello' ? this.#list.load(PAGE) : null
  }

  #table(deliveries) {
    this.#open(deliveries)
    if (!deliveries.length) return el('p', { class: 'empty' }, 'No webhooks yet. A submission with ', el('code', {}, '?fal_webhook=URL'), ' sends one.')
    return table('Webhooks', ['State', 'Last attempt', '#Attempts', 'URL', 'Key', 'Request'], deliveries.map(({ request_id: id, state, attempts, url, key }) => el('tr', { 'aria-current': id === here().id ? 'true' : null },
      el('td', {}, el('a', { class: 'state', href: address({ view: 'webhooks', id }) }, stateMark(state), state)),
      el('td', { class: 'mono' }, attempts.length ? exactTime(attempts.at(-1).at) : '–'),
      el('td', { class: 'number' }, String(attempts.length)),
      el('td', { class: 'wide' }, el('code', {}, url)),
      el('td', {}, key),
      el('td', {}, el('a', { href: address({ view: 'requests', id }) }, el('code', {}, id.slice(0, 13)))))))
  }

  #open(deliveries) {
    const { id } = here()
    const delivery = deliveries.find(({ request_id }) => request_id === id)
    this.#chosen.hidden = !delivery
    this.#title.textContent = id
    if (delivery) this.#delivery.update(delivery)
  }
}
