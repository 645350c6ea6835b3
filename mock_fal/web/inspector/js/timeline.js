// What happened to a request, drawn to scale: spans of its states, and marks of its exchanges, logs and webhooks.
import { el } from './dom.js'
import { duration, exactTime } from './format.js'

const TICKS = 5
const STEPS = [1, 2, 2.5, 5, 10]

/**
 * The drawing, and the same as a list for screen readers. `spans` are `{ kind, from, to, words }`, `marks` are
 * `{ kind, at, words }`; both with emulated times. `from` is the zero of the scale.
 */
export function timeline({ from, to, spans, marks }) {
  const length = Math.max(to - from, 0.001)
  const left = (at) => `${(100 * (Math.min(Math.max(at, from), to) - from)) / length}%`
  const bars = spans.map((span) => {
    const bar = el('div', { class: `span span-${span.kind}`, title: `${span.words}: ${duration(span.to - span.from)}` },
      el('span', {}, span.words, ' ', el('b', {}, duration(span.to - span.from))))
    bar.style.setProperty('left', left(span.from))
    bar.style.setProperty('width', `${(100 * Math.max(span.to - span.from, 0)) / length}%`)
    return bar
  })
  const dots = marks.map((mark) => placed(el('i', { class: `dot dot-${mark.kind}`, title: `${mark.words} at ${duration(mark.at - from)}` }), left(mark.at)))
  const scale = ticks(length).map((tick) => placed(el('span', { class: 'tick' }, duration(tick)), left(from + tick)))
  return el('figure', { class: 'timeline' },
    el('div', { class: 'drawing', 'aria-hidden': 'true' },
      el('div', { class: 'spans' }, bars), el('div', { class: 'dots' }, dots), el('div', { class: 'scale' }, scale)),
    el('ol', { class: 'moments' }, moments({ from, spans, marks })))
}

function placed(element, left) {
  element.style.setProperty('left', left)
  return element
}

/** Round distances on the scale, from zero to at most its length. */
function ticks(length) {
  const raw = length / TICKS
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = power * STEPS.find((factor) => factor * power >= raw)
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step)
}

function moments({ from, spans, marks }) {
  const all = [
    ...spans.map((span) => ({ at: span.from, words: span.words, kind: span.kind })),
    ...marks.filter((mark) => mark.isMoment),
  ].sort((one, other) => one.at - other.at)
  return all.map(({ at, words, kind }) => el('li', {},
    el('time', { class: 'mono', title: exactTime(at) }, `+${duration(at - from)}`),
    el('i', { class: `key key-${kind}`, 'aria-hidden': 'true' }), words))
}
