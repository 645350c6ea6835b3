// What a newcomer sees before the first request: two lines that make it appear, in Python, Node or a shell.
import { button, el, fill } from './dom.js'
import { act, tell } from './notices.js'

const SETTING = 'mock-fal.language'
const ENDPOINT = 'fal-ai/flux/schnell'

const env = () => `eval "$(mock-fal env --url ${location.origin})"`

const PROGRAMS = {
  Python: () => `${env()}
python -c 'import fal_client; print(fal_client.subscribe("${ENDPOINT}", {"prompt": "a cat"}))'`,
  Node: () => `${env()}
node --input-type=module -e 'import { fal } from "@fal-ai/client"; console.log(await fal.subscribe("${ENDPOINT}", { input: { prompt: "a cat" } }))'`,
  curl: () => `curl ${location.origin}/queue.fal.run/${ENDPOINT} \\
  -H "Authorization: Key me:secret" -d '{"prompt": "a cat"}'`,
}

/** The two lines, with a choice of the language. */
export function emptyState() {
  const lines = el('div', { class: 'programs', role: 'tabpanel', 'aria-label': 'Program' })
  const tabs = el('div', { class: 'joined', role: 'tablist', 'aria-label': 'Language' })
  const choose = (name) => {
    for (const tab of tabs.children) {
      tab.setAttribute('aria-selected', String(tab.textContent === name))
      tab.tabIndex = tab.textContent === name ? 0 : -1
    }
    fill(lines, program(PROGRAMS[name]()))
    remember(name)
  }
  fill(tabs, Object.keys(PROGRAMS).map((name) => button(name, () => choose(name), { role: 'tab' })))
  tabs.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    const all = [...tabs.children]
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length]
    choose(next.textContent)
    next.focus()
  })
  choose(remembered())
  return el('section', { class: 'newcomer', 'aria-label': 'First request' },
    el('h2', {}, 'No requests yet'),
    el('p', { class: 'quiet' }, 'Two lines in a shell make the first one appear here. No key, no network, no cost.'),
    tabs, lines,
    el('p', { class: 'quiet' }, 'A whole program with a server of its own: ', el('code', {}, 'mock-fal run --inspect -- CMD')))
}

function program(text) {
  return [el('pre', { tabindex: 0 }, text), button('Copy', act(async () => {
    await navigator.clipboard.writeText(text)
    tell('Copied.')
  }))]
}

function remembered() {
  try {
    const name = localStorage.getItem(SETTING)
    return name in PROGRAMS ? name : 'Python'
  } catch {
    return 'Python'
  }
}

function remember(name) {
  try {
    localStorage.setItem(SETTING, name)
  } catch {
    // no storage: the choice holds until the page is closed
  }
}
