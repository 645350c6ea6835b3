// Short messages in the corner of the page, which screen readers read aloud: what was done, and what went wrong.
import { button, el } from './dom.js'

const SHOWN_MS = 5000
const MAX_SHOWN = 3

const area = document.querySelector('.notices')

/** Says that something was done. */
export function tell(text) {
  show(text, false)
}

/** Says that something failed; the message stays until it is closed. */
export function complain(error) {
  show(error.message ?? String(error), true)
}

function show(text, isBad) {
  const notice = el('div', { class: isBad ? 'notice bad' : 'notice', role: isBad ? 'alert' : 'status' }, text)
  if (isBad) notice.append(button('Close', () => notice.remove()))
  else setTimeout(() => notice.remove(), SHOWN_MS)
  while (area.children.length >= MAX_SHOWN) area.firstChild.remove()
  area.append(notice)
}

/** A listener that runs an asynchronous act, disables its button meanwhile, and complains if it fails. */
export function act(work) {
  return async (event) => {
    const { currentTarget } = event
    event.preventDefault?.()
    if ('disabled' in currentTarget) currentTarget.disabled = true
    try {
      await work(event)
    } catch (error) {
      complain(error)
    } finally {
      if ('disabled' in currentTarget) currentTarget.disabled = false
    }
  }
}
