// A rule as text and in sentences, or what is wrong with it.
import { el } from './dom.js'

/** `{ rules }` as the server explained them, or `{ error }`. */
export function wordsView({ rules, error }) {
  if (error) return el('p', { class: 'bad' }, error.message)
  return rules.map(({ options, sentences }) => [
    el('p', { class: 'rule-text' }, options.map(({ text }) => [el('code', {}, text.length > 200 ? `${text.slice(0, 200)}…` : text), ' '])),
    el('ul', { class: 'sentences' }, sentences.map((sentence) => el('li', {}, sentence.length > 300 ? `${sentence.slice(0, 300)}…` : sentence))),
  ])
}
