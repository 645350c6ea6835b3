// The timeline of one call: what its facts say about its states, exchanges, logs and webhooks.
import { isOpen } from './call.js'
import { now } from './emulated_clock.js'
import { timeline } from './timeline.js'

// Marks beyond this number would be one line.
const MAX_MARKS = 300

/** The timeline of a detail. What lies in the future is left out, or ends at now. */
export function callTimeline(detail) {
  const spans = spansOf(detail)
  const marks = marksOf(detail)
  const last = Math.max(...spans.map(({ to }) => to), ...marks.map(({ at }) => at))
  return timeline({ from: detail.submitted_at, to: last, spans, marks: marks.slice(0, MAX_MARKS) })
}

function spansOf(detail) {
  const { submitted_at: submitted, starts_at: starts, ends_at: ends, attempt_list: attempts, state } = detail
  const until = isOpen(detail) || ends === null ? Math.max(now(), submitted) : ends
  const first = attempts[0]?.starts_at ?? starts
  const spans = []
  if (first === null || first > until) return [{ kind: 'queued', from: submitted, to: until, words: 'queued' }]
  if (first > submitted) spans.push({ kind: 'queued', from: submitted, to: first, words: 'queued' })
  if (!attempts.length) return [...spans, { kind: state === 'running' ? 'running' : state, from: first, to: until, words: 'ran' }]
  for (const [index, attempt] of attempts.entries()) {
    const end = attempt.ends_at ?? until
    const next = attempts[index + 1]
    const words = attempts.length > 1 ? `attempt ${index + 1}` : attempt.ends_at === null ? 'running' : 'ran'
    const kind = attempt.ends_at === null ? 'running' : attempt.status >= 400 ? 'failed' : state === 'cancelled' ? 'cancelled' : 'completed'
    spans.push({ kind, from: attempt.starts_at, to: end, words: attempt.error_type ? `${words}, ${attempt.error_type}` : words })
    if (next && next.starts_at > end) spans.push({ kind: 'waiting', from: end, to: next.starts_at, words: 'waits for the next attempt' })
  }
  return spans
}

function marksOf({ submitted_at, ends_at, state, cancelled_at, exchanges, logs, deliveries, ...detail }) {
  const marks = exchanges.map(({ at, operation, status }) => ({ kind: status >= 400 ? 'bad' : 'exchange', at, words: `${operation} ${status}` }))
  marks.push(...logs.map(({ at, message }) => ({ kind: 'log', at, words: message.slice(0, 80) })))
  if (cancelled_at !== null) marks.push({ kind: 'cancelled', at: cancelled_at, words: 'cancellation asked for', isMoment: true })
  if (ends_at !== null && !isOpen({ state })) marks.push({ kind: state, at: ends_at, words: `${state}${detail.error_type ? `: ${detail.error_type}` : ''}`, isMoment: true })
  for (const { attempts } of deliveries) {
    marks.push(...attempts.map(({ at, status, error }) => ({ kind: 'webhook', at, words: `webhook ${status ?? error}`, isMoment: true })))
  }
  return marks.filter(({ at }) => at >= submitted_at)
}
