// The emulated clock: its time, advancing it, its speed.
import * as api from './api.js'
import { button, el, fill } from './dom.js'
import * as clock from './emulated_clock.js'
import { dateTime, duration } from './format.js'
import { act, tell } from './notices.js'

const STEPS_S = [1, 10, 60, 600]
const SPEEDS = [1, 10, 50]
const TICK_MS = 250

export class ClockPanel {
  #time = el('b', { class: 'big-time' })
  #kind = el('span', { class: 'quiet' })
  #controls = el('div')

  constructor() {
    this.element = el('section', { class: 'panel', 'aria-label': 'Clock' }, el('header', {}, el('h2', {}, 'Clock'), this.#kind), el('p', {}, this.#time), this.#controls)
    this.draw()
    clock.onChange(() => this.draw())
    setInterval(() => document.hidden || (this.#time.textContent = dateTime(clock.now())), TICK_MS)
  }

  draw() {
    const { clock: kind, speed } = clock.kind()
    this.#time.textContent = dateTime(clock.now())
    const text = kind === 'system' ? `system clock, ${speed} × real time` : `${kind} clock`
    if (this.#kind.textContent === text && this.#controls.childElementCount) return
    this.#kind.textContent = text
    fill(this.#controls, kind === 'system' ? speeds(speed) : steps())
  }
}

function steps() {
  const seconds = el('input', { type: 'number', min: 0, step: 'any', value: 30, class: 'short', 'aria-label': 'Seconds' })
  const go = (amount) => act(async () => {
    clock.set(await api.advance(amount()))
    tell(`The clock is ${duration(amount())} further.`)
  })
  return el('form', { class: 'actions', onsubmit: go(() => Number(seconds.value)) },
    STEPS_S.map((step) => button(`+${step < 60 ? `${step} s` : `${step / 60} min`}`, go(() => step))),
    seconds, ' s ', el('button', { type: 'submit' }, 'Advance'))
}

function speeds(speed) {
  const factor = el('input', { type: 'number', min: 0.001, step: 'any', value: speed, class: 'short', 'aria-label': 'Speed' })
  const set = (amount) => act(async () => {
    clock.set(await api.setSpeed(amount()))
    tell(`The clock runs ${amount()} times as fast as real time.`)
  })
  return [
    el('form', { class: 'actions', onsubmit: set(() => Number(factor.value)) },
      SPEEDS.map((step) => button(`× ${step}`, set(() => step), { 'aria-pressed': String(step === speed) })),
      factor, el('button', { type: 'submit' }, 'Set the speed')),
    el('p', { class: 'quiet' }, 'Only a server with ', el('code', {}, '--clock manual'), ' or ', el('code', {}, 'auto-advance'), ' can jump.'),
  ]
}
