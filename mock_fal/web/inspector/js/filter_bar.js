// The filter of the list: text, key, endpoint, state, status. It is kept in the address of the page.
import { FILTERS, go, here } from './address.js'
import { button, el, fill } from './dom.js'

const PAUSE_MS = 200
const STATES = ['queued', 'running', 'completed', 'failed', 'cancelled']
const STATUSES = ['2xx', '4xx', '5xx', '422', '429', '503']

export class FilterBar {
  #fields = {
    text: el('input', { type: 'search', placeholder: 'Search prompt, id, endpoint', 'aria-label': 'Search', class: 'search', maxlength: 200 }),
    key: el('select', { 'aria-label': 'Key' }),
    endpoint: el('input', { placeholder: 'Endpoint, as fal-ai/*', 'aria-label': 'Endpoint', list: 'endpoints', maxlength: 200 }),
    state: choices('State', STATES),
    status: el('input', { placeholder: 'Status', 'aria-label': 'Status', list: 'statuses', pattern: '[1-5]([0-9]{2}|xx)', class: 'short', maxlength: 3 }),
  }
  #endpoints = el('datalist', { id: 'endpoints' })
  #clear = button('Clear', () => go({ filter: {} }), { class: 'plain' })
  #timer = 0

  constructor() {
    const form = el('form', { class: 'filters', role: 'search', 'aria-label': 'Filter requests', onsubmit: (event) => event.preventDefault() },
      Object.values(this.#fields), this.#endpoints, el('datalist', { id: 'statuses' }, STATUSES.map((value) => el('option', { value }))), this.#clear)
    form.addEventListener('input', () => this.#typed())
    this.element = form
    this.known({ keys: [], endpoints: [] })
  }

  /** Shows the filter of the address. A field in which somebody types stays as it is. */
  show(filter) {
    for (const name of FILTERS) {
      const field = this.#fields[name]
      if (name === 'key') this.#offerKey(filter.key)
      if (document.activeElement !== field || !filter[name]) field.value = filter[name] ?? ''
    }
    this.#clear.hidden = !Object.keys(filter).length
  }

  /** Offers the keys and endpoints that are in use. */
  known({ keys, endpoints }) {
    const chosen = here().filter.key ?? ''
    fill(this.#fields.key, el('option', { value: '' }, 'All keys'), keys.map(({ key }) => el('option', { value: key }, key || '(no key)')))
    this.#offerKey(chosen)
    this.#fields.key.value = chosen
    fill(this.#endpoints, endpoints.slice(0, 200).map(({ endpoint }) => el('option', { value: endpoint })))
  }

  focus() {
    this.#fields.text.focus()
    this.#fields.text.select()
  }

  // A shared link may hold a key that is not in use here.
  #offerKey(key) {
    const { options } = this.#fields.key
    if (key && ![...options].some(({ value }) => value === key)) this.#fields.key.append(el('option', { value: key }, key))
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
