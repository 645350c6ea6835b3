// The page: its views, the address, the keyboard, and the events of the server.
import { address, here, onMove, VIEWS } from './address.js'
import * as api from './api.js'
import { el, fill } from './dom.js'
import * as clock from './emulated_clock.js'
import { listen } from './events.js'
import { time } from './format.js'
import { openHelp } from './help.js'
import { bind } from './keyboard.js'
import { complain } from './notices.js'
import { RequestsView } from './requests_view.js'

const TITLES = { requests: 'Requests', scenario: 'Scenario', webhooks: 'Webhooks', files: 'Files', hosts: 'Hosts', usage: 'Usage' }
// The modules of a view are loaded when it is first shown; those of the first view with the page.
const CLASSES = {
  requests: async () => RequestsView,
  scenario: async () => (await import('./scenario_view.js')).ScenarioView,
  webhooks: async () => (await import('./webhooks_view.js')).WebhooksView,
  files: async () => (await import('./files_view.js')).FilesView,
  hosts: async () => (await import('./hosts_view.js')).HostsView,
  usage: async () => (await import('./usage_view.js')).UsageView,
}
// Events that come one after another are taken over together.
const GATHER_MS = 100
// How often the lists of keys and endpoints may be asked for.
const KNOWN_MS = 3000
const TICK_MS = 250

const main = document.querySelector('main')
const bar = document.querySelector('.views')
const views = {}
let inUse = { keys: [], endpoints: [] }

/** The view of a name, made when it is first needed. */
async function view(name) {
  const View = await CLASSES[name]()
  if (!views[name]) {
    views[name] = new View()
    views[name].known?.(inUse)
    main.append(views[name].element)
  }
  return views[name]
}

const links = Object.fromEntries(VIEWS.map((name) => [name, el('a', {}, TITLES[name])]))
fill(bar, Object.values(links))

async function show() {
  const place = here()
  for (const [name, link] of Object.entries(links)) {
    link.href = address({ view: name, filter: place.filter })
    if (name === place.view) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  main.setAttribute('aria-busy', 'true')
  const current = await view(place.view)
  if (here().view !== place.view) return
  for (const other of Object.values(views)) other.element.hidden = other !== current
  document.title = `${place.id && place.view === 'requests' ? place.id.slice(0, 13) : TITLES[place.view]} · mock-fal`
  try {
    await current.show()
  } catch (error) {
    complain(error)
  } finally {
    main.removeAttribute('aria-busy')
  }
}

// -- keys and endpoints in use

let askedAt = -Infinity

async function learn() {
  if (performance.now() - askedAt < KNOWN_MS) return
  askedAt = performance.now()
  const found = await api.keys()
  if (JSON.stringify(found) === JSON.stringify(inUse)) return
  inUse = found
  for (const shown of Object.values(views)) shown.known?.(inUse)
}

// -- events

let gathered = new Map() // name of an event -> its data, of which `ids` are joined
let timer = 0
let isBusy = false
let shown = null // the promise of the first view

function gather(name, data) {
  clock.set(data)
  if (name === 'changed' && gathered.has(name)) {
    const { ids } = gathered.get(name)
    gathered.set(name, { ...data, ids: ids && data.ids && [...new Set([...ids, ...data.ids])] })
  } else {
    gathered.set(name, data)
  }
  timer ||= setTimeout(takeOver, GATHER_MS)
}

async function takeOver() {
  timer = 0
  if (isBusy) {
    timer = setTimeout(takeOver, GATHER_MS)
    return
  }
  isBusy = true
  const events = gathered
  gathered = new Map()
  try {
    await shown
    // The list that was read after the first greeting has missed nothing.
    if (events.get('hello')?.isFirst && here().view === 'requests' && views.requests.readAt > events.get('hello').now) events.delete('hello')
    for (const [name, data] of events) await (await view(here().view)).on(name, data)
    if (events.has('changed') || events.has('hello') || events.has('reset') || events.has('scenario')) await learn()
    // The list goes on while another view is shown.
    if (here().view !== 'requests' && views.requests) for (const [name, data] of events) await views.requests.on(name, data)
  } catch (error) {
    if (document.querySelector('.connection').dataset.state === 'live') complain(error)
  } finally {
    isBusy = false
  }
}

const connection = document.querySelector('.connection')

function connected(state) {
  connection.dataset.state = state
  connection.textContent = state === 'live' ? 'live' : 'no connection'
}

const NAMES = ['hello', 'changed', 'exchange', 'scenario', 'clock', 'connections', 'reset']
let isGreeted = false

function take(name) {
  return (data) => {
    if (name === 'hello' && data.resumed) clock.set(data) // nothing was missed
    else gather(name, { ...data, isFirst: !isGreeted })
    isGreeted = true
  }
}

// -- clock in the bar

const clockTime = document.querySelector('.clock-time')
const clockKind = document.querySelector('.clock-kind')

function tick() {
  const { clock: kind, speed } = clock.kind()
  clockTime.textContent = time(clock.now())
  clockKind.textContent = kind === 'system' ? (speed === 1 ? 'system clock' : `× ${speed}`) : kind
}
setInterval(() => document.hidden || tick(), TICK_MS)

// -- keyboard

const requests = () => (here().view === 'requests' ? views.requests : null)
bind('j', 'next request', () => requests()?.move(1))
bind('k', 'previous request', () => requests()?.move(-1))
bind(['ArrowDown', 'ArrowUp'], 'the same, in the list', (event) => {
  if (!event.target.closest?.('.list')) return false
  requests()?.move(event.key === 'ArrowDown' ? 1 : -1)
})
bind('Enter', 'open the request', (event) => (event.target.closest?.('a, button, summary, input') ? false : requests()?.open()))
bind('Escape', 'leave the field, close the detail', (event) => {
  if (event.target.matches?.('input, select, textarea')) event.target.blur()
  else return requests()?.close()
})
bind('/', 'search', () => requests()?.search())
bind(VIEWS.map((_, index) => String(index + 1)), 'the views', (event) => links[VIEWS[Number(event.key) - 1]].click())
bind('?', 'this help', () => openHelp())
document.querySelector('.help-button').addEventListener('click', () => openHelp())

onMove(show)
listen(Object.fromEntries(NAMES.map((name) => [name, take(name)])), connected)
shown = show()
await shown
tick()
learn().catch(complain)
