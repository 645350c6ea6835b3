// Tables. A wide one scrolls by itself, with the keyboard too.
import { el } from './dom.js'

/**
 * A table with a label, names of columns and rows of elements. A name that starts with `#` is a column of numbers, and
 * one in brackets is for screen readers alone.
 */
export function table(label, columns, rows) {
  return el('div', { class: 'table-scroll', tabindex: 0, role: 'region', 'aria-label': label }, el('table', {},
    el('thead', {}, el('tr', {}, columns.map(heading))), el('tbody', {}, rows)))
}

function heading(name) {
  const hidden = /^\((.*)\)$/.exec(name)?.[1]
  return el('th', { scope: 'col', class: name.startsWith('#') ? 'number' : null }, hidden ? el('span', { class: 'hidden' }, hidden) : name.replace(/^#/, ''))
}
