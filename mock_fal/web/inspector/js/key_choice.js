// A choice of the keys that are in use.
import { el, fill } from './dom.js'

export class KeyChoice {
  #all
  #keys = []

  /** `all` is the text of the choice of all keys. */
  constructor(label, all, attributes = {}) {
    this.#all = all
    this.element = el('select', { 'aria-label': label, ...attributes })
    this.known({ keys: [] })
  }

  /** The id of the chosen key; empty for all of them. A link may name a key that is not in use here. */
  get value() {
    return this.element.value
  }

  set value(key) {
    if (key && !this.#keys.includes(key)) this.element.append(el('option', { value: key }, key))
    this.element.value = key
  }

  /** Offers the keys that are in use. */
  known({ keys }) {
    const { value } = this.element
    this.#keys = keys.map(({ key }) => key).filter((key) => key)
    fill(this.element, el('option', { value: '' }, this.#all), this.#keys.map((key) => el('option', { value: key }, key)))
    this.value = value
  }
}
