// What the gateway did with connections: to mock-fal, forwarded, refused.
import * as api from './api.js'
import { el, fill } from './dom.js'
import { stateMark } from './state_mark.js'
import { table } from './table.js'

const KINDS = [
  ['blocked', 'Refused hosts', 'failed', 'No connection was refused.'],
  ['forwarded', 'Let through', 'waiting', 'No connection to another host.'],
  ['fal', 'To mock-fal', 'completed', 'No connection came through the gateway. Programs under `mock-fal run` use it.'],
]

export class HostsView {
  #panels = KINDS.map(([, title]) => el('section', { class: 'panel', 'aria-label': title }))

  constructor() {
    this.element = el('section', { class: 'panels', 'aria-label': 'Hosts', tabindex: -1 }, this.#panels)
  }

  async show() {
    const { connections } = await api.connections()
    for (const [index, [kind, title, mark, empty]] of KINDS.entries()) {
      const found = connections.filter(({ decision }) => decision === kind)
      fill(this.#panels[index], el('h2', { class: 'state' }, stateMark(mark), title), found.length ? hostTable(title, found) : el('p', { class: 'empty' }, empty))
    }
  }

  on(event) {
    return event === 'connections' || event === 'hello' ? this.show() : null
  }
}

function hostTable(title, connections) {
  return table(title, ['Host', '#Connections', 'Why'], connections.map(({ host, port, count, reason, advice }) => el('tr', {},
    el('td', {}, el('code', {}, `${host}:${port}`)), el('td', { class: 'number' }, String(count)),
    el('td', { class: 'wide' }, reason ?? '', advice && el('p', { class: 'quiet' }, advice)))))
}
