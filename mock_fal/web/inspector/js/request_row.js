// One row of the list of requests.
import { durationOf, isOpen, progressOf, stateWords } from './call.js'
import { el, fill } from './dom.js'
import { dateTime, duration, money, time } from './format.js'
import { setProgress, stateMark } from './state_mark.js'
import { thumbnail } from './thumbnail.js'

/** A row; `update(call)` shows another state of the same request, `tick()` the time that has passed. */
export function requestRow(call, onopen) {
  const cells = Object.fromEntries(['mark', 'time', 'thumb', 'what', 'key', 'state', 'duration', 'cost'].map((name) => [
    name, el('span', { class: `cell-${name}`, role: 'gridcell' })]))
  const element = el('div', { class: 'row', role: 'row', tabindex: -1, 'data-id': call.id, onclick: () => onopen(call.id) }, Object.values(cells))
  let shown = null
  let mark = null
  const bar = el('span', { class: 'progress' })

  const tick = () => {
    if (!isOpen(shown)) return
    cells.duration.textContent = duration(durationOf(shown))
    const progress = progressOf(shown)
    if (shown.state === 'running' && progress !== null) {
      setProgress(mark, progress)
      bar.style.setProperty('width', `${100 * progress}%`)
    }
  }

  const update = (next) => {
    if (next === shown) return
    const files = JSON.stringify([next.files, next.text])
    if (!shown || JSON.stringify([shown.files, shown.text]) !== files) fill(cells.thumb, thumbnail(next))
    if (shown && shown.state !== next.state) {
      element.classList.remove('fresh')
      void element.offsetWidth // restarts the animation
      element.classList.add('fresh')
    }
    shown = next
    mark = stateMark(next.state, progressOf(next))
    fill(cells.mark, mark)
    cells.time.textContent = time(next.submitted_at)
    cells.time.title = dateTime(next.submitted_at)
    fill(cells.what, el('span', { class: 'endpoint' }, next.endpoint ?? 'no endpoint'), el('span', { class: 'prompt' }, next.prompt || next.text || ''))
    cells.what.title = next.endpoint ?? ''
    cells.key.textContent = next.key
    fill(cells.state, el('span', { class: `words state-${next.state}` }, stateWords(next)), next.state === 'running' && bar, badges(next))
    cells.duration.textContent = duration(durationOf(next))
    cells.cost.textContent = money(next.cost)
    tick()
  }
  update(call)
  return { element, update, tick }
}

/** Small words for what was special: a rule, a webhook, several attempts. */
function badges({ directive, attempts, webhook, replay_of }) {
  return [
    directive && el('span', { class: 'badge', title: directive }, 'directive'),
    attempts > 1 && el('span', { class: 'badge' }, `${attempts} tries`),
    webhook && el('span', { class: `badge badge-${webhook.state}`, title: `webhook ${webhook.state}` }, 'hook'),
    replay_of && el('span', { class: 'badge', title: `again: ${replay_of}` }, 'again'),
  ]
}
