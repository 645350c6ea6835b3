// The server's events. The connection is opened again when it breaks, also after a restart of the server.

const RETRY_MS = 2000

/**
 * Listens to the events of the server. `handlers` are functions by the name of an event; `onState` gets `live` or `lost`.
 * A browser connects again by itself after a lost connection, but not after a refusal such as 503.
 */
export function listen(handlers, onState) {
  const open = () => {
    const source = new EventSource('/_mock/events')
    source.onopen = () => onState('live')
    source.onerror = () => {
      onState('lost')
      if (source.readyState === EventSource.CLOSED) setTimeout(open, RETRY_MS)
    }
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handler(JSON.parse(event.data)))
    }
  }
  open()
}
