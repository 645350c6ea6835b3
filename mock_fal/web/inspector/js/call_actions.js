// What one can do with a call: copy it as a program, run it again, answer it, save its exchanges.
import * as api from './api.js'
import { go } from './address.js'
import { button, el } from './dom.js'
import { act, tell } from './notices.js'
import { prefill } from './rule_draft.js'

const PROGRAMS = { curl: 'curl', python: 'Python', javascript: 'JavaScript' }

/** The buttons for one call; `output` returns its present output. */
export function callActions({ id, endpoint, exchange }, output) {
  return el('div', { class: 'actions', role: 'group', 'aria-label': 'Actions' },
    button('Run again', act(async () => {
      const again = await api.replay(id)
      tell(again.status < 400 ? 'It runs again.' : `It was refused with HTTP ${again.status}.`)
      go({ view: 'requests', id: again.id })
    }), { class: 'primary' }),
    el('span', { class: 'joined', role: 'group', 'aria-label': 'Copy as' },
      Object.entries(PROGRAMS).map(([as, name]) => button(name, act(() => copy(id, as, name)), { 'aria-label': `Copy as ${name}`, title: `Copy as ${name}` }))),
    endpoint && button('Let it fail …', () => prefill({ endpoint, error: 'internal_server_error', times: '1' })),
    endpoint && button('Answer with this …', () => prefill({ endpoint, output: output() ?? {} })),
    exchange !== null && [
      el('a', { class: 'button', href: api.cassettesAddress(id), download: `${id}.zip` }, 'Cassettes'),
      el('a', { class: 'button', href: api.archiveAddress(id), download: `${id}.har` }, 'HAR'),
    ])
}

async function copy(id, as, name) {
  const text = await api.snippet(id, as)
  try {
    await navigator.clipboard.writeText(text)
    tell(`Copied as ${name}.`)
  } catch {
    showText(text, name) // no clipboard: an address that is not this machine's, without TLS
  }
}

function showText(text, name) {
  const dialog = el('dialog', { class: 'wide', 'aria-label': name, onclose: () => dialog.remove() },
    el('pre', { tabindex: 0 }, text), el('form', { method: 'dialog', class: 'actions' }, button('Close', () => dialog.close())))
  document.body.append(dialog)
  dialog.showModal()
  getSelection().selectAllChildren(dialog.querySelector('pre'))
}
