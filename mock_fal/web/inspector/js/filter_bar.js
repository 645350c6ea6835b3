// The filter of the list: text, key, endpoint, state, status. It is kept in the address of the page.
import { FILTERS, go, here } from './address.js'
import { button, el, fill } from './dom.js'
import { KeyChoice } from './key_choice.js'

const PAUSE_MS = 200
const STATES = ['queued', 'running', 'completed', 'failed', 'cancelled']
const STATUSES = ['2xx', '4xx', '5xx', '422', '429', '503']

export class FilterBar {
  #key = new KeyChoice('Key', 'All keys')
  #fields = {
    text: el('input', { type: 'search', placeholder: 'Search prompt, id, endpoint', 'aria-label': 'Search', class: 'search', maxlength: 200 }),
    key: this.#key.element,
    endpoint: el('input', { placeholder: 'Endpoint', title: 'An endpoint, or a pattern such as fal-ai/*', 'aria-label': 'Endpoint', list: 'endpoints', maxlength: 200 }),
    state: choices('State', STATES),
    status: el('input', { placeholder: 'Status', title: 'The status of the result, or a class such as 4xx', 'aria-label': 'Status', list: 'statuses', pattern: '[1-5]([0-9]{2}|xx)', class: 'short', maxlength: 3 }),
  }
  #endpoints = el('datalist', { id: 'endpoints' })
  #clear = button('Clear', () => go({ filter: {} }), { class: 'plain' })
  #timer = 0

  constructor() {
    const form = el('form', { class: 'filters', role: 'search', 'aria-label': 'Filter requests', onsubmit: (event) => event.preventDefault() },
      Object.values(this.#fields), this.#endpoints, el('datalist', { id: 'statuses' }, STATUSES.map((value) => el('option', { value }))), this.#clear)
    form.addEventListener('input', () => this.#typed())
    this.element = form
  }

  /** Shows the filter of the address. A field in which somebody types stays as it is. */
  show(filter) {
    for (const name of FILTERS) {
      const field = this.#fields[name]
      if (document.activeElement !== field || !filter[name]) (name === 'key' ? this.#key : field).value = filter[name] ?? ''
    }
    this.#clear.hidden = !Object.keys(filter).length
  }

  /** Offers the keys and endpoints that are in use. */
  known({ keys, endpoints }) {
    this.#key.known({ keys })
    fill(this.#endpoints, endpoints.slice(0, 200).map(({ endpoint }) => el('option', { value: endpoint })))
  }

  focus() {
    this.#fields.text.focus()
    this.#fields.text.select()
  }

  #typed() {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      const fields = Object.entries(this.#fields).filter(([, field]) => field.validity.valid)
      const filter = Object.fromEntries(fields.map(([name, field]) => [name, field.value.trim()]).filter(([, value]) => value))
      go({ id: here().id, filter }, { replace: true })
    }, PAUSE_MS)
  }
}

function choices(name, values) {
  return el('select', { 'aria-label': name }, el('option', { value: '' }, `Any ${name.toLowerCase()}`), values.map((value) => el('option', { value }, value)))
}
