// A part of the detail that is built anew only when what it shows has changed, so that nothing flickers or stops to play.
import { el, fill, isInUse } from './dom.js'

export class Section {
  #content = el('div', { class: 'section-content' })
  #build
  #select
  #shown
  #title
  #open

  /**
   * `select(detail)` picks what is shown, null hides the section. `build(selected)` makes its elements, or is a view with
   * an `element` of its own and `update(selected)`.
   */
  constructor(title, select, build, { open = true } = {}) {
    this.#select = select
    this.#build = build
    this.#title = el('h3', {}, title)
    this.#open = open
    if (build.update) this.#content.append(build.element)
    this.element = el('details', { class: 'section', open, hidden: true }, el('summary', {}, this.#title), this.#content)
  }

  /** Shows another state. With `isNew` it is that of another request. */
  update(detail, isNew) {
    const selected = this.#select(detail)
    const text = JSON.stringify(selected)
    if (text === this.#shown) return
    if (!isNew && !this.#build.update && isInUse(this.#content)) return
    this.#shown = text
    this.element.hidden = selected === null || selected === undefined
    if (isNew) this.element.open = this.#open
    if (this.element.hidden) return
    if (!this.#build.update) fill(this.#content, this.#build(selected))
    else this.#build.update(selected)
  }
}
