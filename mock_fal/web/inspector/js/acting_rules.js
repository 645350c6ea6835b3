// The rules and directives that acted on a call, in words.
import { el } from './dom.js'

/** Each rule with where it came from. */
export function rulesView(rules) {
  return el('ul', { class: 'acting' }, rules.map(({ origin, rule, sentences }) => el('li', {},
    el('p', {}, el('span', { class: 'badge' }, origin), ' ', el('code', {}, rule)),
    el('p', { class: 'quiet' }, sentences.join(' ')))))
}
