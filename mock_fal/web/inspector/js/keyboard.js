// Keys that act on the whole page. They can be switched off, because they disturb programs that type for people.
import { el } from './dom.js'

const SETTING = 'mock-fal.keys'
const NAMES = { Escape: 'Esc', ArrowDown: '↓', ArrowUp: '↑' }
const bindings = []
let on = remembered()

/** Binds a key, as in `KeyboardEvent.key`, to a function; `words` are for the help. Later bindings come first. */
export function bind(keys, words, run) {
  bindings.push({ keys: [keys].flat(), words, run })
}

/** A list of the keys and what they do. */
export function keyList() {
  return el('dl', {}, bindings.map(({ keys, words }) => [
    el('dt', {}, keys.map((key) => el('kbd', {}, NAMES[key] ?? key))),
    el('dd', {}, words),
  ]))
}

/** Whether keys of one letter do something. */
export function areOn() {
  return on
}

/** Switches keys of one letter on or off, also for the next visits if the browser has a storage for this page. */
export function switchKeys(wanted) {
  on = wanted
  try {
    localStorage.setItem(SETTING, on ? 'on' : 'off')
  } catch {
    // no storage: it holds until the page is closed
  }
}

function remembered() {
  try {
    return localStorage.getItem(SETTING) !== 'off'
  } catch {
    return true
  }
}

addEventListener('keydown', (event) => {
  const isTyping = event.target.matches?.('input:not([type=checkbox]), textarea, select, [contenteditable]')
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
  if (isTyping && event.key !== 'Escape') return
  if (event.key.length === 1 && !on) return
  if (document.querySelector('dialog[open]')) return
  const binding = bindings.find(({ keys }) => keys.includes(event.key))
  if (binding && binding.run(event) !== false) event.preventDefault()
})
