// What `mock-fal check` would say of the exchanges of a call.
import { el, link } from './dom.js'

/** The findings, or why there are none. */
export function findingsView({ available, reason, items }) {
  if (!available) return el('p', { class: 'quiet' }, reason)
  if (!items.length) return el('p', { class: 'quiet' }, 'The usage rules find nothing in these exchanges.')
  return el('ul', { class: 'findings' }, items.map(({ id, title, requirement, source, level, message }) => el('li', {},
    el('p', {}, el('b', { class: level === 'error' ? 'bad' : '' }, level === 'error' ? 'Error' : 'Advice'), ' ', el('code', {}, id), ' ', title),
    el('p', {}, message),
    el('p', { class: 'quiet' }, requirement, ' ', link(source)))))
}
