// The page: its views, the address, the keyboard, and the events of the server.
import { address, here, onMove, VIEWS } from './address.js'
import * as api from './api.js'
import { el, fill } from './dom.js'
import * as clock from './emulated_clock.js'
import { listen } from './events.js'
import { FilesView } from './files_view.js'
import { time } from './format.js'
import { openHelp } from './help.js'
import { HostsView } from './hosts_view.js'
import { bind } from './keyboard.js'
import { complain } from './notices.js'
import { RequestsView } from './requests_view.js'
import { ScenarioView } from './scenario_view.js'
import { UsageView } from './usage_view.js'
import { WebhooksView } from './webhooks_view.js'

const TITLES = { requests: 'Requests', scenario: 'Scenario', webhooks: 'Webhooks', files: 'Files', hosts: 'Hosts', usage: 'Usage' }
const MAKE = { requests: RequestsView, scenario: ScenarioView, webhooks: WebhooksView, files: FilesView, hosts: HostsView, usage: UsageView }
// Events that come one after another are taken over together.
const GATHER_MS = 100
// How often the lists of keys and endpoints may be asked for.
const KNOWN_MS = 3000
const TICK_MS = 250

const main = document.querySelector('main')
const bar = document.querySelector('.views')
const views = {}

/** The view of a name, made when it is first needed. */
function view(name) {
  if (!views[name]) {
    views[name] = new MAKE[name]()
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
  const current = view(place.view)
  for (const other of Object.values(views)) other.element.hidden = other !== current
  document.title = `${place.id && place.view === 'requests' ? place.id.slice(0, 13) : TITLES[place.view]} · mock-fal`
  main.setAttribute('aria-busy', 'true')
  try {
    await current.show()
  } catch (error) {
    complain(error)
  } finally {
    main.removeAttribute('aria-busy')
  }
}

// -- keys and endpoints in use

let inUse = { keys: [], endpoints: [] }
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
    for (const [name, data] of events) await view(here().view).on(name, data)
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
// How long the page waits for the first greeting before it reads the list.
const GREETING_MS = 300
let greet
let isShown = false
const greeted = new Promise((resolve) => (greet = resolve))

function take(name) {
  return (data) => {
    // What is read after the greeting misses nothing. A later greeting says that something may have been missed.
    if (name === 'hello' && (data.resumed || !isShown)) {
      clock.set(data)
      greet()
    } else {
      gather(name, data)
    }
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

const requests = () => (here().view === 'requests' ? view('requests') : null)
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
await Promise.race([greeted, new Promise((resolve) => setTimeout(resolve, GREETING_MS))])
isShown = true
await show()
tick()
learn().catch(complain)
