// Removing everything of one key, or of all keys. It asks once more.
import * as api from './api.js'
import { button, el } from './dom.js'
import { KeyChoice } from './key_choice.js'
import { act, tell } from './notices.js'

const ASKS_MS = 4000

export class ResetPanel {
  #key = new KeyChoice('Key to reset', 'all keys')
  #button = button('Reset', () => this.#ask(), { class: 'danger' })

  constructor() {
    this.element = el('section', { class: 'panel', 'aria-label': 'Reset' }, el('h2', {}, 'Reset'),
      el('p', { class: 'quiet' }, 'Removes requests, files, exchanges, webhooks and rules.'),
      el('p', { class: 'actions' }, this.#key.element, this.#button))
  }

  known(use) {
    this.#key.known(use)
  }

  #ask() {
    const { value } = this.#key
    const sure = button(value ? `Really remove all of ${value}` : 'Really remove everything', act(async () => {
      await api.reset(value)
      tell(value ? `Everything of ${value} was removed.` : 'Everything was removed.')
      back()
    }), { class: 'danger' })
    const back = () => sure.isConnected && sure.replaceWith(this.#button)
    this.#button.replaceWith(sure)
    sure.focus()
    setTimeout(back, ASKS_MS)
  }
}
