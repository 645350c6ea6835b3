// A part of the detail that is built anew only when what it shows has changed, so that nothing flickers or stops to play.
import { el, fill, isInUse } from './dom.js'

export class Section {
  #content = el('div', { class: 'section-content' })
  #build
  #select
  #shown
  #title
  #open

  /** `select(detail)` picks what is shown, null hides the section; `build(selected)` makes its elements. */
  constructor(title, select, build, { open = true } = {}) {
    this.#select = select
    this.#build = build
    this.#title = el('h3', {}, title)
    this.#open = open
    this.element = el('details', { class: 'section', open, hidden: true }, el('summary', {}, this.#title), this.#content)
  }

  /** Shows another state. With `isNew` it is that of another request. */
  update(detail, isNew) {
    const selected = this.#select(detail)
    const text = JSON.stringify(selected)
    if (text === this.#shown) return
    if (!isNew && isInUse(this.#content)) return
    this.#shown = text
    this.element.hidden = selected === null || selected === undefined
    if (isNew) this.element.open = this.#open
    if (!this.element.hidden) fill(this.#content, this.#build(selected))
  }
}
