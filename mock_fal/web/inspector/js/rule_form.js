// The form that builds a rule, and shows the words that it is made of. The options come from the server.
import * as api from './api.js'
import { button, el, fill } from './dom.js'
import { KeyChoice } from './key_choice.js'
import { act, tell } from './notices.js'
import { OptionRow } from './option_row.js'
import { wordsView } from './rule_words.js'

const PAUSE_MS = 200
const CONDITIONS = 'when a directive applies'

// Where one often begins; `endpoint` and `times` stay as they are in the form unless they are named here.
const PRESETS = {
  'Fail': { error: 'internal_server_error', times: '1' },
  'Refuse': { status: '429', retry_after: '1', times: '1' },
  'Delay': { queue: '5', run: '10' },
  'Break the connection': { connection: 'reset', times: '1' },
  'Answer with JSON': { output: { text: 'hello' } },
}

export class RuleForm {
  #options = []
  #errors = []
  #conditions = el('div', { class: 'conditions' })
  #rows = el('div', { class: 'option-rows' })
  #rowList = []
  #words = el('div', { class: 'words-box', 'aria-live': 'polite' })
  #key = new KeyChoice('Key of the rule', 'all keys')
  #submit = el('button', { type: 'submit', class: 'primary' }, 'Add rule')
  #timer = 0
  #asked = 0

  constructor() {
    this.element = el('form', { class: 'panel rule-form', onsubmit: act((event) => this.#add(event)), oninput: () => this.#changed() },
      el('header', {}, el('h2', {}, 'New rule'), el('div', { class: 'actions', role: 'group', 'aria-label': 'Begin with' },
        Object.entries(PRESETS).map(([name, options]) => button(name, () => this.fill(options))))),
      el('h3', {}, 'For which calls'),
      this.#conditions,
      el('h3', {}, 'What happens'),
      this.#rows,
      el('p', { class: 'actions' }, button('And also …', () => this.#addRow('msg'), { class: 'plain' })),
      this.#words,
      el('p', { class: 'actions' }, this.#submit, el('label', {}, ' for ', this.#key.element)))
  }

  /** Takes the options from the server, once. */
  async load() {
    if (this.#options.length) return
    const { options, operations, errors } = await api.options()
    this.#options = options
    this.#errors = errors
    fill(this.#conditions, options.filter(({ group }) => group === CONDITIONS).map(({ name, value, sentence }) => el('label', { class: 'field' }, name,
      name === 'operation'
        ? el('select', { name }, el('option', { value: '' }, 'as the option says'), operations.map((operation) => el('option', { value: operation }, operation)))
        : el('input', { name, placeholder: value, title: sentence.replace('{}', value), list: name === 'endpoint' ? 'endpoints' : null, autocomplete: 'off' }))))
    this.fill(PRESETS.Fail)
  }

  /** Offers the keys that are in use. */
  known(use) {
    this.#key.known(use)
  }

  /** Begins a rule with some options. */
  fill(options) {
    this.#rowList = []
    fill(this.#rows)
    for (const [name, value] of Object.entries(options)) {
      const field = this.#conditions.querySelector(`[name="${name}"]`)
      if (field) field.value = value
      else this.#addRow(name, value)
    }
    this.#changed()
  }

  #addRow(name, value = '') {
    const effects = this.#options.filter(({ group }) => group !== CONDITIONS)
    const row = new OptionRow(effects, this.#errors, () => {
      this.#rowList = this.#rowList.filter((other) => other !== row)
      row.element.remove()
      this.#changed()
    }, () => this.#changed())
    row.set(name, value)
    this.#rowList.push(row)
    this.#rows.append(row.element)
    this.#changed()
  }

  /** The rule as the control API takes it. Throws SyntaxError if a JSON is not one. */
  #rule() {
    const conditions = [...this.#conditions.querySelectorAll('[name]')].filter(({ value }) => value.trim()).map(({ name, value }) => [name, value.trim()])
    return Object.fromEntries([...conditions, ...this.#rowList.map((row) => row.option())])
  }

  #changed() {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#explain(), PAUSE_MS)
  }

  async #explain() {
    this.#asked += 1
    const asked = this.#asked
    let words
    try {
      words = { rules: (await api.explain(this.#rule())).rules }
    } catch (error) {
      words = { error }
    }
    if (asked !== this.#asked) return
    this.#submit.disabled = 'error' in words
    fill(this.#words, wordsView(words))
  }

  async #add() {
    await api.addRule(this.#rule(), this.#key.value)
    tell('The rule acts from the next call on.')
  }
}
