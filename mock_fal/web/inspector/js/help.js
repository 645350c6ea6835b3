// The dialog that lists the keys.
import { button, el } from './dom.js'
import { areOn, keyList, switchKeys } from './keyboard.js'

/** Opens the help; Escape closes it. */
export function openHelp() {
  const dialog = el('dialog', { 'aria-labelledby': 'help-title', onclose: () => dialog.remove() })
  const keys = el('input', { type: 'checkbox', onchange: () => switchKeys(keys.checked) })
  keys.checked = areOn()
  dialog.append(
    el('h2', { id: 'help-title' }, 'Keys'),
    keyList(),
    el('p', {}, el('label', {}, keys, ' Use keys of one letter')),
    el('p', { class: 'actions' }, el('span', { class: 'quiet' }, 'Everything here is also in the ',
      el('a', { href: '/_mock/openapi/control.yaml' }, 'control API'), '.')),
    el('form', { method: 'dialog', class: 'actions' }, button('Close', () => dialog.close(), { autofocus: true })),
  )
  document.body.append(dialog)
  dialog.showModal()
}
