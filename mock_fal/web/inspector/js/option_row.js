// One option of a rule in the form: its name and a field for its value.
import { button, el, fill } from './dom.js'

const JSON_OPTIONS = ['output', 'merge']

export class OptionRow {
  #options
  #errors
  #name = el('select', { 'aria-label': 'Option' })
  #place = el('div', { class: 'option-value' })
  #sentence = el('p', { class: 'quiet' })
  #inner = null
  #value = null

  constructor(options, errors, onRemove, onChange) {
    this.#options = options
    this.#errors = errors
    const groups = Map.groupBy(options, ({ group }) => group)
    fill(this.#name, [...groups].map(([group, members]) => el('optgroup', { label: group }, members.map(({ name }) => el('option', { value: name }, name)))))
    this.#name.addEventListener('change', () => {
      this.#draw('')
      onChange()
    })
    this.element = el('div', { class: 'option-row' }, this.#name, this.#place, button('Remove', onRemove, { class: 'plain', 'aria-label': 'Remove this option' }), this.#sentence)
  }

  /** Chooses the option and its value; an object becomes JSON. */
  set(name, value) {
    this.#name.value = name
    this.#draw(typeof value === 'string' ? value : JSON.stringify(value, null, 2))
  }

  /** Name and value, as in a rule that is an object. Throws SyntaxError for JSON that is not. */
  option() {
    const name = this.#inner ? `${this.#name.value}.${this.#inner.value}` : this.#name.value
    if (this.#value === null) return [name, true]
    if (!JSON_OPTIONS.includes(this.#name.value)) return [name, this.#value.value]
    try {
      return [name, JSON.parse(this.#value.value)]
    } catch (error) {
      throw new SyntaxError(`${name}: ${error.message}`)
    }
  }

  #draw(value) {
    const name = this.#name.value
    const option = this.#options.find((candidate) => candidate.name === name)
    // As in `header.x-name=value`.
    this.#inner = option.named ? el('input', { 'aria-label': 'Name', placeholder: 'name' }) : null
    this.#value = option.value === null ? null : field(option, this.#errors)
    if (this.#value && value !== '') this.#value.value = value
    fill(this.#place, this.#inner, this.#value ?? el('span', { class: 'quiet' }, 'no value'))
    this.#sentence.textContent = option.sentence.replace(/\{\}\.?/, '…')
  }
}

function field({ name, value }, errors) {
  const label = { 'aria-label': 'Value' }
  if (name === 'error') return errorChoice(errors, label)
  if (JSON_OPTIONS.includes(name)) return el('textarea', { ...label, rows: 6, placeholder: value, spellcheck: 'false' })
  const choices = value.split('|')
  if (choices.length > 1 && choices.every((choice) => choice === choice.toLowerCase())) {
    return el('select', label, choices.map((choice) => el('option', { value: choice }, choice)))
  }
  return el('input', { ...label, placeholder: value, autocomplete: 'off' })
}

function errorChoice(errors, label) {
  const kinds = Map.groupBy(errors, ({ kind }) => kind)
  return el('select', label, [...kinds].map(([kind, members]) => el('optgroup', { label: `${kind} errors` },
    members.map(({ type, status }) => el('option', { value: type }, `${type} (${status})`)))))
}
