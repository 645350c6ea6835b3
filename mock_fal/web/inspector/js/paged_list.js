// Pages of a list, latest first, with a button for older ones.
import { button, el, fill } from './dom.js'
import { act } from './notices.js'

export class PagedList {
  #ask
  #draw
  #items = []
  #next = null
  #place = el('div')
  #more = button('Show older ones', act(() => this.#older()))

  /** `ask(page)` returns `{ items, next }`, oldest first; `draw(items)` makes an element of them, latest first. */
  constructor(ask, draw) {
    this.#ask = ask
    this.#draw = draw
    this.element = el('div', {}, this.#place, el('p', { class: 'actions' }, this.#more))
  }

  /** Reads as many items again as are shown. */
  async load(limit) {
    const { items, next } = await this.#ask({ limit: Math.min(1000, Math.max(limit, this.#items.length)) })
    this.#items = items.toReversed()
    this.#show(next)
  }

  async #older() {
    const { items, next } = await this.#ask({ limit: 100, before: this.#next })
    this.#items.push(...items.toReversed())
    this.#show(next)
  }

  #show(next) {
    this.#next = next
    this.#more.hidden = next === null
    fill(this.#place, this.#draw(this.#items))
  }
}
