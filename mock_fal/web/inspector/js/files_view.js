// Uploads and files of results, latest first.
import { address, go, here } from './address.js'
import * as api from './api.js'
import { previewOf } from './call.js'
import { el } from './dom.js'
import { bytes, dateTime } from './format.js'
import { KeyChoice } from './key_choice.js'
import { PagedList } from './paged_list.js'
import { waveform } from './waveform.js'

const PAGE = 48
const PIXELS = 320

export class FilesView {
  #key = new KeyChoice('Key', 'All keys', { onchange: () => go({ filter: { ...here().filter, key: this.#key.value } }) })
  #list = new PagedList(async (page) => {
    const { files, next } = await api.files({ ...page, key: here().filter.key })
    return { items: files, next }
  }, gallery)

  constructor() {
    this.element = el('section', { class: 'panels', 'aria-label': 'Files', tabindex: -1 },
      el('section', { class: 'panel' }, el('header', {}, el('h2', {}, 'Files'), this.#key.element), this.#list.element))
  }

  show() {
    this.#key.value = here().filter.key ?? ''
    return this.#list.load(PAGE)
  }

  known(use) {
    this.#key.known(use)
  }

  on(event) {
    return event === 'changed' || event === 'reset' || event === 'hello' ? this.#list.load(PAGE) : null
  }
}

function gallery(files) {
  if (!files.length) return el('p', { class: 'empty' }, 'No files yet: uploads and results are listed here.')
  return el('ul', { class: 'gallery' }, files.map((file) => el('li', {},
    el('a', { class: 'tile', href: file.local, target: '_blank', rel: 'noopener', 'aria-label': `Open ${name(file)}` }, tile(file)),
    el('p', { class: 'name', title: file.url }, name(file)),
    el('p', { class: 'quiet' }, file.content_type, file.size === null ? '' : `, ${bytes(file.size)}`),
    el('p', { class: 'quiet' }, file.request_id === null ? 'upload' : el('a', { href: address({ view: 'requests', id: file.request_id }) }, 'result'), ` of ${file.key || '(no key)'}`),
    file.expires_at !== null && el('p', { class: 'quiet' }, `expires ${dateTime(file.expires_at)}`))))
}

function tile(file) {
  const preview = previewOf(file, PIXELS)
  if (preview) return el('img', { src: preview, alt: '', loading: 'lazy', decoding: 'async' })
  if (file.kind === 'audio') return waveform(file.local)
  return el('span', { class: 'sign' }, name(file).split('.').pop().slice(0, 6).toUpperCase())
}

function name({ url }) {
  return url.split('/').pop()
}
