// The list of requests: only the rows that can be seen are elements, so thousands stay quick.
import { el } from './dom.js'
import { count } from './format.js'
import { complain } from './notices.js'
import { requestRow } from './request_row.js'

// Rows beyond the visible ones, on either side.
const MARGIN = 6
// How close to the end of what is loaded the next page is asked for, in rows.
const AHEAD = 20
const TICK_MS = 250

const COLUMNS = [
  ['mark', ''], ['time', 'Time'], ['thumb', ''], ['what', 'Endpoint and prompt'], ['key', 'Key'],
  ['state', 'State'], ['duration', 'Duration'], ['cost', 'Cost'],
]

export class RequestList {
  #store
  #onOpen
  #rows = new Map() // id -> row, of those that can be seen
  #body = el('div', { class: 'rows', role: 'rowgroup' })
  #grid
  #foot = el('p', { class: 'list-foot quiet', role: 'status' })
  #focused = '' // the row that the Tab key reaches
  #chosen = ''
  #drawn = 0

  constructor(store, onOpen) {
    this.#store = store
    this.#onOpen = onOpen
    this.#grid = el('div', { role: 'grid', 'aria-label': 'Requests', class: 'grid' },
      el('div', { role: 'rowgroup' }, el('div', { class: 'row head', role: 'row', 'aria-rowindex': 1 }, COLUMNS.map(([name, title]) =>
        el('span', { class: `cell-${name}`, role: 'columnheader' }, title || el('span', { class: 'hidden' }, name === 'mark' ? 'State mark' : 'Output'))))),
      this.#body)
    this.element = el('div', { class: 'list', onscroll: () => this.#schedule() }, this.#grid, this.#foot)
    new ResizeObserver(() => this.#schedule()).observe(this.element)
    store.onChange((change) => this.#stored(change))
    setInterval(() => document.hidden || this.#rows.forEach((row) => row.tick()), TICK_MS)
    addEventListener('beforeprint', () => this.#draw({ isWhole: true }))
    addEventListener('afterprint', () => this.#draw())
  }

  /** Marks a request as the chosen one, and brings it into view. */
  choose(id) {
    this.#chosen = id
    if (id) this.#focused = id
    this.#reveal(id)
    this.#draw()
  }

  /** Moves the cursor by some rows; returns the id of the row that has it now. */
  move(by) {
    const { items } = this.#store
    if (!items.length) return ''
    const index = items.findIndex(({ id }) => id === this.#focused)
    const next = index < 0 ? 0 : Math.min(Math.max(index + by, 0), items.length - 1)
    this.#focused = items[next].id
    this.#reveal(this.#focused)
    this.#draw()
    this.focus()
    return this.#focused
  }

  get focused() {
    return this.#focused
  }

  /** Gives the keyboard to the row with the cursor. */
  focus() {
    this.#rows.get(this.#focused)?.element.focus({ preventScroll: true })
  }

  #stored({ added, isNew }) {
    const { scrollTop } = this.element
    if (isNew) this.element.scrollTop = 0
    // What one reads stays where it is when rows are added above.
    else if (added && scrollTop > this.#height) this.element.scrollTop = scrollTop + added * this.#height
    this.#draw()
  }

  get #height() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue('--row-height'))
  }

  #reveal(id) {
    const index = this.#store.items.findIndex((item) => item.id === id)
    if (index < 0) return
    const height = this.#height
    const head = this.#body.offsetTop
    const visible = this.element.clientHeight - head
    const top = index * height
    if (top < this.element.scrollTop) this.element.scrollTop = top
    else if (top + height > this.element.scrollTop + visible) this.element.scrollTop = top + height - visible
  }

  #schedule() {
    cancelAnimationFrame(this.#drawn)
    this.#drawn = requestAnimationFrame(() => this.#draw())
  }

  #draw({ isWhole = false } = {}) {
    const { items, hasMore, total } = this.#store
    const height = this.#height
    const { scrollTop, clientHeight } = this.element
    const first = isWhole ? 0 : Math.max(0, Math.floor(scrollTop / height) - MARGIN)
    const last = isWhole ? items.length : Math.min(items.length, Math.ceil((scrollTop + clientHeight) / height) + MARGIN)
    const visible = items.slice(first, last)
    if (!items.some(({ id }) => id === this.#focused)) this.#focused = items[0]?.id ?? ''
    this.#removeAllBut(new Set(visible.map(({ id }) => id)))
    for (const [index, item] of visible.entries()) {
      if (!this.#rows.has(item.id)) this.#rows.set(item.id, requestRow(item, this.#onOpen))
      const row = this.#rows.get(item.id)
      row.update(item)
      this.#place(row.element, index, first, height)
    }
    // The Tab key reaches the list also when the row with the cursor is scrolled away.
    if (!this.#rows.has(this.#focused)) this.#body.firstElementChild?.setAttribute('tabindex', 0)
    this.#body.style.setProperty('height', `${items.length * height}px`)
    this.#grid.setAttribute('aria-rowcount', hasMore ? -1 : items.length + 1)
    const foot = hasMore ? `${count(items.length, 'request')} loaded, of ${count(total, 'request')}` : count(items.length, 'request')
    if (this.#foot.textContent !== foot) this.#foot.textContent = foot
    if (hasMore && last > items.length - AHEAD) this.#store.more().catch(complain)
  }

  #removeAllBut(kept) {
    for (const [id, { element }] of this.#rows) {
      if (kept.has(id)) continue
      element.remove()
      this.#rows.delete(id)
    }
  }

  // The order of the elements is that of the rows, for screen readers. An element that is in its place is not moved,
  // because it would lose the keyboard.
  #place(element, offset, first, height) {
    const { id } = element.dataset
    const index = first + offset
    element.style.setProperty('top', `${index * height}px`)
    element.setAttribute('aria-rowindex', index + 2)
    element.setAttribute('aria-selected', String(id === this.#chosen))
    element.setAttribute('tabindex', id === this.#focused ? 0 : -1)
    const there = this.#body.children[offset] ?? null
    if (there !== element) this.#body.insertBefore(element, there)
  }
}
