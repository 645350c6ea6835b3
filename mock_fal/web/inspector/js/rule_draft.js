// The rule that the scenario panel opens with: another part of the page can begin one.
import { go } from './address.js'

let draft = null

/** Opens the scenario panel with the options of a rule. */
export function prefill(options) {
  draft = options
  go({ view: 'scenario' })
}

/** The options to begin with, once; null if there are none. */
export function takeDraft() {
  const taken = draft
  draft = null
  return taken
}
