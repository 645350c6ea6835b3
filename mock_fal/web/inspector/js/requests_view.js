// The requests: filter, list, and the detail of the chosen one beside it.
import { go, here } from './address.js'
import { el, fill } from './dom.js'
import { emptyState } from './empty_state.js'
import { FilterBar } from './filter_bar.js'
import { RequestDetail } from './request_detail.js'
import { RequestList } from './request_list.js'
import { RequestStore } from './request_store.js'

export class RequestsView {
  #store = new RequestStore()
  #list = new RequestList(this.#store, (id) => go({ id }))
  #detail = new RequestDetail(() => this.close())
  #filters = new FilterBar()
  #filter = null
  #nothing = el('div', { class: 'nothing', hidden: true })

  constructor() {
    this.element = el('section', { class: 'requests', 'aria-label': 'Requests' },
      el('div', { class: 'list-pane' }, this.#filters.element, this.#nothing, this.#list.element), this.#detail.element)
    this.#store.onChange(() => this.#drawNothing())
  }

  /** Shows what the address says. */
  async show() {
    const { id, filter } = here()
    this.#filters.show(filter)
    this.element.classList.toggle('has-detail', id !== '')
    this.#list.choose(id)
    const text = JSON.stringify(filter)
    const loading = text === this.#filter ? null : this.#store.load(filter)
    this.#filter = text
    if (id !== this.#detail.id) await this.#detail.show(id)
    await loading
    if (loading) this.#list.choose(id)
  }

  /** The emulated time at which the list was read. */
  get readAt() {
    return this.#store.readAt
  }

  known(use) {
    this.#filters.known(use)
  }

  /** Takes over an event of the server. */
  async on(event, { ids, isFirst } = {}) {
    if (event === 'reset' || (event === 'hello' && !isFirst)) {
      await this.#store.load()
    } else if (event === 'changed' || event === 'hello') {
      await (ids ? this.#store.refresh(ids) : this.#store.catchUp())
    } else if (event !== 'clock' && event !== 'exchange') {
      return
    }
    const { id } = this.#detail
    if (id && (event !== 'changed' || !ids || ids.includes(id))) await this.#detail.show(id, { mayBeGone: event === 'reset' || event === 'hello' })
  }

  /** Moves the cursor by some rows; an open detail follows it. */
  move(by) {
    const id = this.#list.move(by)
    if (id && here().id) go({ id }, { replace: true })
  }

  /** Opens the request at the cursor. */
  open() {
    const id = this.#list.focused
    if (!id) return
    go({ id })
    this.#detail.element.focus()
  }

  /** Closes the detail, and gives the keyboard back to the list. */
  close() {
    if (!here().id) return false
    go({ id: '' })
    this.#list.focus()
    return true
  }

  search() {
    this.#filters.focus()
  }

  #drawNothing() {
    const isEmpty = this.#store.isLoaded && !this.#store.items.length
    this.#list.element.hidden = isEmpty
    if (isEmpty && !this.#nothing.hidden && this.#nothing.dataset.filtered === String(this.#store.isFiltered)) return
    this.#nothing.hidden = !isEmpty
    this.#nothing.dataset.filtered = String(this.#store.isFiltered)
    if (isEmpty) fill(this.#nothing, this.#store.isFiltered ? el('p', { class: 'quiet' }, 'No request matches the filter.') : emptyState())
  }
}
