// The emulated time between two answers of the server: that of a system clock runs on, that of the others stands still.

let seen = { now: Date.now() / 1000, at: performance.now(), clock: 'system', speed: 1 }
const listeners = []

/** Takes over what the server said of its clock. */
export function set({ now, clock = seen.clock, speed = seen.speed }) {
  if (typeof now !== 'number') return
  const changed = clock !== seen.clock || speed !== seen.speed || clock !== 'system'
  seen = { now, at: performance.now(), clock, speed }
  if (changed) for (const listener of listeners) listener()
}

/** The emulated time, in Unix seconds. */
export function now() {
  return seen.clock === 'system' ? seen.now + ((performance.now() - seen.at) / 1000) * seen.speed : seen.now
}

/** The kind of clock and its speed. */
export function kind() {
  return { clock: seen.clock, speed: seen.speed }
}

/** Calls a function when the kind of clock, its speed or its time was set. */
export function onChange(listener) {
  listeners.push(listener)
}
