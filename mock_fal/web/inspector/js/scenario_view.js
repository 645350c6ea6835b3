// The scenario panel: new rule, rules in force, clock, reset.
import { ClockPanel } from './clock_panel.js'
import { el } from './dom.js'
import { ResetPanel } from './reset_panel.js'
import { takeDraft } from './rule_draft.js'
import { RuleForm } from './rule_form.js'
import { RuleList } from './rule_list.js'

export class ScenarioView {
  #form = new RuleForm()
  #list = new RuleList()
  #reset = new ResetPanel()

  constructor() {
    this.element = el('section', { class: 'panels', 'aria-label': 'Scenario', tabindex: -1 },
      this.#form.element, this.#list.element, el('div', { class: 'columns' }, new ClockPanel().element, this.#reset.element))
  }

  async show() {
    await this.#form.load()
    const draft = takeDraft()
    if (draft) this.#form.fill(draft)
    await this.#list.load()
  }

  known(use) {
    this.#form.known(use)
    this.#reset.known(use)
  }

  on(event) {
    return event === 'scenario' || event === 'reset' || event === 'hello' ? this.#list.load() : null
  }
}
