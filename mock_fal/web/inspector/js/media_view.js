// Files as one sees or hears them: pictures, players, and links for all others.
import { previewOf } from './call.js'
import { el, link } from './dom.js'
import { waveform } from './waveform.js'

/** The files, each with its URL. `local` is where its content is on this address; null for one of another host. */
export function mediaView(files) {
  return el('div', { class: 'media' }, files.map((file) => el('figure', { class: `medium medium-${file.kind}` }, player(file), caption(file))))
}

function player(file) {
  const { local, kind, url } = file
  if (local === null) return el('p', { class: 'quiet' }, 'On another host, so it is not loaded.')
  switch (kind) {
    case 'image':
      return el('a', { href: local, target: '_blank', rel: 'noopener' }, el('img', { src: local, alt: `Picture ${name(url)}`, decoding: 'async' }))
    case 'video':
      return el('video', { src: local, poster: previewOf(file, 512), controls: true, loop: true, preload: 'none', 'aria-label': `Video ${name(url)}` })
    case 'audio':
      return [waveform(local), el('audio', { src: local, controls: true, preload: 'metadata', 'aria-label': `Sound ${name(url)}` })]
    default:
      return el('a', { href: local, download: name(url), class: 'file' }, `Save ${name(url)}`)
  }
}

// A file of mock-fal is opened here: the host of its URL is on the internet, and does not have it.
function caption({ url, local, content_type, pointer }) {
  const title = local === null ? link(url, name(url)) : el('a', { href: local, target: '_blank', rel: 'noopener', title: url }, name(url))
  return el('figcaption', {}, pointer && el('code', {}, pointer), title, el('span', { class: 'quiet' }, content_type ?? 'type not known'))
}

function name(url) {
  return url.startsWith('data:') ? `${url.slice(0, 30)}…` : url.split(/[?#]/)[0].split('/').pop() || url
}
