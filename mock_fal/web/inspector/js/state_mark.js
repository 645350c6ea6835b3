// The state of a request as a shape and a colour: ring, pie, disc with a tick, diamond, crossed square.
import { svg } from './dom.js'

const RADIUS = 5.5
const LENGTH = 2 * Math.PI * RADIUS

const ring = () => svg('circle', { cx: 8, cy: 8, r: RADIUS, class: 'ring' })
const stroke = (d) => svg('path', { d, class: 'stroke' })

const SHAPES = {
  queued: () => [svg('circle', { cx: 8, cy: 8, r: RADIUS, class: 'ring', 'stroke-dasharray': '2.6 1.72' })],
  running: () => [ring(), svg('circle', { cx: 8, cy: 8, r: RADIUS, class: 'arc', transform: 'rotate(-90 8 8)' })],
  completed: () => [svg('circle', { cx: 8, cy: 8, r: 6.5, class: 'solid' }), stroke('M5 8.2 7.2 10.4 11 5.9')],
  failed: () => [svg('path', { d: 'M8 .8 15.2 8 8 15.2 .8 8Z', class: 'solid' }), stroke('M8 4.6V8.6M8 10.6V11.4')],
  cancelled: () => [svg('rect', { x: 2.5, y: 2.5, width: 11, height: 11, rx: 2, class: 'ring' }), stroke('M5 11 11 5')],
  waiting: () => [ring(), stroke('M8 5V8.3L10 9.6')],
}
SHAPES.delivered = SHAPES.completed

/** The mark of a state; `progress`, from 0 to 1, fills that of a running request. Its name is in the text beside it. */
export function stateMark(state, progress = null) {
  const mark = svg('svg', { viewBox: '0 0 16 16', class: `mark mark-${state}`, 'aria-hidden': 'true' }, (SHAPES[state] ?? SHAPES.queued)())
  if (state === 'running') setProgress(mark, progress)
  return mark
}

/** Moves the arc of a running request; without a known progress it is a quarter. */
export function setProgress(mark, progress) {
  mark.querySelector('.arc')?.setAttribute('stroke-dasharray', `${LENGTH * (progress ?? 0.25)} ${LENGTH}`)
}
