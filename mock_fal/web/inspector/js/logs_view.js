// The log lines of a runner, with the time since the submission.
import { el } from './dom.js'
import { duration } from './format.js'

/** The lines so far. */
export function logsView({ logs, submitted_at }) {
  return el('ol', { class: 'logs', tabindex: 0, 'aria-label': 'Log lines' }, logs.map(({ at, level, message }) => el('li', {},
    el('time', { class: 'quiet' }, `+${duration(at - submitted_at)}`),
    el('span', { class: /error|critical/i.test(level) ? 'bad' : '' }, message))))
}
