// JSON as indented, coloured text, and bodies that may be JSON. Long strings are cut until one asks for them.
import { button, el } from './dom.js'

const INDENT = '  '
// A string beyond this is cut: data URIs are megabytes.
const LONG_TEXT = 600
// Lists and objects that take at most so many characters stand on one line.
const SHORT = 60
// Lines that are shown at first; more would slow the page down.
const MANY_LINES = 400

/** A value as text with colours, with a button for the rest if there is much of it. */
export function jsonView(value) {
  const lines = [...linesOf(value, '', '', '')]
  const pre = el('pre', { class: 'json', tabindex: 0 }, lines.slice(0, MANY_LINES))
  if (lines.length > MANY_LINES) {
    const rest = button(`Show ${(lines.length - MANY_LINES).toLocaleString('en')} more lines`, () =>
      rest.replaceWith(...lines.slice(MANY_LINES)))
    pre.append(rest)
  }
  return pre
}

/** A recorded body: JSON if it is, else text, or a line that says why there is none. */
export function bodyView({ body, encoding, size }) {
  if (body === null) return el('p', { class: 'quiet' }, `${size.toLocaleString('en')} bytes, not kept`)
  if (body === '') return el('p', { class: 'quiet' }, 'No body')
  if (encoding === 'base64') return el('p', { class: 'quiet' }, `${size.toLocaleString('en')} bytes that are not text`)
  try {
    return jsonView(JSON.parse(body))
  } catch {
    return el('pre', { class: 'json', tabindex: 0 }, cut(body))
  }
}

function* linesOf(value, indent, name, comma) {
  if (value === null || typeof value !== 'object') {
    yield el('span', {}, indent, name, scalar(value), comma, '\n')
    return
  }
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  const entries = Object.entries(value)
  if (entries.every(([, item]) => item === null || typeof item !== 'object') && JSON.stringify(value).length <= SHORT) {
    yield el('span', {}, indent, name, open, short(value, entries), close, comma, '\n')
    return
  }
  yield el('span', {}, indent, name, open, '\n')
  for (const [index, [key, item]] of entries.entries()) {
    yield* linesOf(item, indent + INDENT, label(value, key), index < entries.length - 1 ? ',' : '')
  }
  yield el('span', {}, indent, close, comma, '\n')
}

function short(value, entries) {
  const space = entries.length && !Array.isArray(value) ? ' ' : ''
  return [space, entries.map(([key, item], index) => [index ? ', ' : '', label(value, key), scalar(item)]), space]
}

function label(value, key) {
  return Array.isArray(value) ? '' : [el('span', { class: 'json-key' }, JSON.stringify(key)), ': ']
}

function scalar(value) {
  if (typeof value !== 'string') return el('span', { class: 'json-value' }, JSON.stringify(value))
  return el('span', { class: 'json-text' }, cut(JSON.stringify(value)))
}

/** A text, of which a button shows the rest if it is long. */
export function cut(text) {
  if (text.length <= LONG_TEXT) return text
  const rest = button(`… ${(text.length - LONG_TEXT).toLocaleString('en')} more characters`, () =>
    rest.replaceWith(text.slice(LONG_TEXT)), { class: 'inline' })
  return [text.slice(0, LONG_TEXT), rest]
}
