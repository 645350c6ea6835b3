// What follows from the facts of a call of a model: progress, duration, and its state in words.
import { now } from './emulated_clock.js'

/** Whether it is neither completed nor cancelled. */
export function isOpen({ state }) {
  return state === 'queued' || state === 'running'
}

/** From 0 to 1 while a request runs; null if its end is not known. */
export function progressOf({ state, starts_at, ends_at }) {
  if (state !== 'running' || starts_at === null || ends_at === null) return null
  return Math.min(1, Math.max(0, (now() - starts_at) / Math.max(ends_at - starts_at, 1e-6)))
}

/** Seconds from the submission to the end, or to now. */
export function durationOf(call) {
  const end = isOpen(call) || call.ends_at === null ? now() : call.ends_at
  return call.accepted ? Math.max(0, end - call.submitted_at) : null
}

/** `queued, 3 ahead`, `running 2/4`, `failed 422 image_too_small`. */
export function stateWords({ state, accepted, position, status, error_type, steps }) {
  if (state === 'queued' && position) return `queued, ${position} ahead`
  if (state === 'running' && steps.total) return `running ${steps.done}/${steps.total}`
  if (state === 'failed') return [accepted ? 'failed' : 'refused', status, error_type].filter(Boolean).join(' ')
  return state
}

/** The address of a small picture of a file, or of the file if that is a picture; null for one without. */
export function previewOf({ local, kind, preview }, pixels) {
  if (local === null) return null
  return preview ? `${local}?preview=${pixels}` : kind === 'image' ? local : null
}
