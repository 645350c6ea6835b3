// The address of the page: view, chosen item and filter, as in `#/requests/ID?key=alice&state=failed`.

export const VIEWS = ['requests', 'scenario', 'webhooks', 'files', 'hosts', 'usage']
export const FILTERS = ['text', 'key', 'endpoint', 'state', 'status']

const listeners = []

/** What the address says now: `{ view, id, filter }`; the filter has no empty values. */
export function here() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2)
  const [view, id = ''] = path.split('/', 2)
  const params = new URLSearchParams(query)
  const filter = Object.fromEntries(FILTERS.filter((name) => params.get(name)).map((name) => [name, params.get(name)]))
  return { view: VIEWS.includes(view) ? view : VIEWS[0], id: decoded(id), filter }
}

function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return '' // a broken escape in an address that somebody typed
  }
}

/** The address of a place; what is left out is as it is now. */
export function address({ view = here().view, id = '', filter = here().filter }) {
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value)).toString()
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ''}${query ? `?${query}` : ''}`
}

/** Goes to a place. With `replace`, the browser's Back does not stop at the present one. */
export function go(place, { replace = false } = {}) {
  const target = address(place)
  if (target === location.hash) return
  history[replace ? 'replaceState' : 'pushState'](null, '', target)
  for (const listener of listeners) listener(here())
}

/** Calls a function with the place whenever the address has changed. */
export function onMove(listener) {
  listeners.push(listener)
}

addEventListener('popstate', () => {
  for (const listener of listeners) listener(here())
})
