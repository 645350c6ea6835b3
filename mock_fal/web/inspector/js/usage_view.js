// The estimated cost, by endpoint and by day, and what is left of the budget.
import { go, here } from './address.js'
import * as api from './api.js'
import { el, fill } from './dom.js'
import { count, money, sum } from './format.js'
import { KeyChoice } from './key_choice.js'
import { table } from './table.js'

export class UsageView {
  #key = new KeyChoice('Key', 'All keys', { onchange: () => go({ filter: { ...here().filter, key: this.#key.value } }) })
  #figures = el('div')
  #tables = el('div', { class: 'usage' })

  constructor() {
    this.element = el('section', { class: 'panels', 'aria-label': 'Usage', tabindex: -1 },
      el('section', { class: 'panel', 'aria-label': 'Budget' }, el('header', {}, el('h2', {}, 'Usage'), this.#key.element), this.#figures),
      this.#tables)
  }

  async show() {
    const { key = '' } = here().filter
    this.#key.value = key
    const usage = await api.usage(key)
    fill(this.#figures, budget(usage))
    fill(this.#tables, byDay(usage), byEndpoint(usage))
  }

  known(use) {
    this.#key.known(use)
  }

  on(event) {
    return event === 'changed' || event === 'reset' || event === 'hello' ? this.show() : null
  }
}

function budget({ cost, unpriced, credits, balance }) {
  return [
    el('dl', { class: 'figures' },
      figure('Estimated cost', sum(cost)),
      figure(balance === null ? 'Credits of each account' : 'Left of the credits', balance === null ? sum(credits) : `${sum(balance)} of ${sum(credits)}`),
      figure('Without a known price', count(unpriced, 'request'))),
    balance !== null && meter(credits > 0 ? 1 - balance / credits : 1, 'Part of the credits that is used'),
  ]
}

function byDay({ days }) {
  return el('section', { class: 'panel', 'aria-label': 'By day' }, el('h2', {}, 'By day'), days.length ? dayBars(days) : nothing())
}

function byEndpoint({ items }) {
  return el('section', { class: 'panel', 'aria-label': 'By endpoint' }, el('h2', {}, 'By endpoint'), items.length ? endpointTable(items) : nothing())
}

const nothing = () => el('p', { class: 'empty' }, 'Nothing was billed yet.')

function figure(name, value) {
  return el('div', {}, el('dt', {}, name), el('dd', {}, value))
}

function meter(part, label) {
  const bar = el('span', { class: 'bar' })
  bar.style.setProperty('width', `${100 * Math.min(1, Math.max(part, 0))}%`)
  return el('div', { class: 'meter', role: 'img', 'aria-label': `${label}: ${Math.round(100 * part)} %` }, bar)
}

function dayBars(days) {
  const most = Math.max(...days.map((day) => day.cost), 1e-12)
  return el('ol', { class: 'days' }, days.slice(-31).map(({ day, requests, cost }) => {
    const bar = el('span', { class: 'bar', 'aria-hidden': 'true' })
    bar.style.setProperty('height', `${(100 * cost) / most}%`)
    return el('li', { title: `${day}: ${money(cost)}, ${count(requests, 'request')}` }, el('span', { class: 'cost' }, money(cost)), el('span', { class: 'column' }, bar), el('time', {}, day.slice(5)))
  }))
}

function endpointTable(items) {
  const most = Math.max(...items.map((item) => item.cost ?? 0), 1e-12)
  return table('Cost by endpoint', ['Endpoint', '#Requests', '#Units', '#Price', '#Cost'], items.map(({ endpoint, requests, units, unit, unit_price: price, cost }) => el('tr', {},
    el('td', { class: 'wide' }, endpoint, cost !== null && meter(cost / most, 'Part of the most expensive one')),
    el('td', { class: 'number' }, requests.toLocaleString('en')),
    el('td', { class: 'number' }, price === null ? '–' : `${Number(units.toFixed(3)).toLocaleString('en')} ${unit ?? ''}`),
    el('td', { class: 'number' }, money(price)),
    el('td', { class: 'number' }, el('b', {}, money(cost))))))
}
