// The requests of the list: pages of them, newest first, kept up to date by the ids of those that changed.
import * as api from './api.js'
import { isOpen } from './call.js'
import * as clock from './emulated_clock.js'

// The rows of a page: more than fit on a large screen.
export const PAGE = 60
// The ids that one question may name.
const MAX_IDS = 100
// The rows that are kept; beyond them the list begins anew with its first page.
const MAX_KEPT = 20_000

export class RequestStore {
  items = []
  total = 0 // all requests that the server remembers, whatever the filter
  isLoaded = false
  readAt = -Infinity // the emulated time of the last answer, as the server said
  #next = null // the cursor of the next page; null after the last one
  #filter = {}
  #generation = 0
  #loading = null
  #listeners = []

  onChange(listener) {
    this.#listeners.push(listener)
  }

  /** Whether there are pages that are not loaded. */
  get hasMore() {
    return this.#next !== null
  }

  get isFiltered() {
    return Object.keys(this.#filter).length > 0
  }

  /** Loads the first page for a filter, in place of everything. */
  async load(filter = this.#filter) {
    this.#filter = filter
    this.#generation += 1
    this.#loading = null
    const generation = this.#generation
    const page = await this.#page({})
    if (generation !== this.#generation) return
    this.items = page.calls
    this.#next = page.next
    this.isLoaded = true
    this.#changed({ isNew: true })
  }

  /** Loads the next page; a second call meanwhile waits for the first. */
  more() {
    if (!this.hasMore) return Promise.resolve()
    this.#loading ??= this.#more().finally(() => (this.#loading = null))
    return this.#loading
  }

  async #more() {
    const generation = this.#generation
    const page = await this.#page({ before: this.#next })
    if (generation !== this.#generation) return
    const known = new Set(this.items.map(({ id }) => id))
    this.items.push(...page.calls.filter(({ id }) => !known.has(id)))
    this.#next = page.next
    this.#changed({})
  }

  /** Asks for requests that are new or changed. Those that the filter no longer matches leave the list. */
  async refresh(ids) {
    const generation = this.#generation
    let added = 0
    for (let start = 0; start < ids.length; start += MAX_IDS) {
      const asked = ids.slice(start, start + MAX_IDS)
      const page = await this.#page({ id: asked, limit: MAX_IDS })
      if (generation !== this.#generation) return
      added += this.#merge(asked, page.calls)
    }
    if (!this.isFiltered && !this.hasMore && this.items.length > this.total) this.items.length = this.total
    if (this.items.length > MAX_KEPT) await this.load()
    else this.#changed({ added })
  }

  /** Catches up after more changes than the server lists: reads the first page and those that may have changed. */
  async catchUp() {
    const generation = this.#generation
    const page = await this.#page({})
    if (generation !== this.#generation) return
    const known = new Set(this.items.map(({ id }) => id))
    const isJoined = page.next === null || page.calls.some(({ id }) => known.has(id))
    if (!isJoined) {
      await this.load()
      return
    }
    const read = new Set(page.calls.map(({ id }) => id))
    const added = this.#merge([...read], page.calls)
    const open = this.items.filter((call) => isOpen(call) && !read.has(call.id)).map(({ id }) => id)
    if (open.length) await this.refresh(open.slice(0, MAX_IDS))
    this.#changed({ added })
  }

  #merge(asked, found) {
    const place = new Map(this.items.map(({ id }, index) => [id, index]))
    const seen = new Map(found.map((call) => [call.id, call]))
    const oldest = this.items.at(-1)
    const fresh = found.filter((call) => !place.has(call.id) && (!this.hasMore || !oldest || order(call, oldest) < 0))
    for (const id of asked) if (seen.has(id) && place.has(id)) this.items[place.get(id)] = seen.get(id)
    const gone = new Set(asked.filter((id) => place.has(id) && !seen.has(id)))
    if (gone.size) this.items = this.items.filter(({ id }) => !gone.has(id))
    if (fresh.length) this.items = [...fresh, ...this.items].sort(order)
    return fresh.length
  }

  async #page(question) {
    const page = await api.calls({ ...this.#filter, limit: PAGE, ...question })
    clock.set(page)
    this.total = page.total
    this.readAt = page.now
    return page
  }

  #changed(change) {
    for (const listener of this.#listeners) listener(change)
  }
}

/** Newest first. */
function order(one, other) {
  return other.submitted_at - one.submitted_at || (other.exchange ?? 0) - (one.exchange ?? 0)
}
