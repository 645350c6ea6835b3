// The rules in force, with how often each matched a call and how often it acted.
import * as api from './api.js'
import { button, el, fill } from './dom.js'
import { act } from './notices.js'
import { table } from './table.js'

export class RuleList {
  #content = el('div')

  constructor() {
    this.element = el('section', { class: 'panel', 'aria-label': 'Rules in force' },
      el('header', {}, el('h2', {}, 'Rules in force'), el('span', { class: 'quiet' }, 'Of those that match the latest acts, and one of a key before one for all keys.')), this.#content)
  }

  async load() {
    const { rules } = await api.rules()
    fill(this.#content, rules.length ? ruleTable(rules, () => this.load()) : el('p', { class: 'empty' }, 'No rules: every call succeeds.'))
  }
}

function ruleTable(rules, reload) {
  return table('Rules', ['Rule', 'For', '#Matched', '#Acted', '(Remove)'], rules.map(({ id, key, rule, matched, used }) => el('tr', {},
    el('td', { class: 'wide' }, el('code', {}, rule.length > 400 ? `${rule.slice(0, 400)}…` : rule)),
    el('td', {}, key ?? 'all keys'),
    el('td', { class: 'number' }, String(matched)),
    el('td', { class: 'number' }, used ? el('b', {}, String(used)) : '0'),
    el('td', { class: 'number' }, button('Remove', act(async () => {
      await api.removeRule(id)
      await reload()
    }), { class: 'plain', 'aria-label': `Remove ${rule.slice(0, 80)}` })))))
}
