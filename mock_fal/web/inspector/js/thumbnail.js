// What came out of a request, small: a picture, the first frame of a video, the waveform of a sound, or a sign.
import { previewOf } from './call.js'
import { el } from './dom.js'
import { waveform } from './waveform.js'

// Twice the size in which it is shown, for dense screens.
const PIXELS = 80

/** The thumbnail of a call in the list. It is decoration: the row says in words what it is. */
export function thumbnail({ files, file_count, text }) {
  const [file] = files
  const box = el('span', { class: 'thumb', 'aria-hidden': 'true' })
  if (file) box.append(...[content(file)].flat())
  else if (text) box.append(el('span', { class: 'words' }, text.slice(0, 24)))
  if (file_count > 1) box.append(el('b', {}, String(file_count)))
  return box
}

function content(file) {
  const preview = previewOf(file, PIXELS)
  if (preview) return picture(file, preview)
  if (file.kind === 'audio' && file.local) return waveform(file.local)
  return sign(file)
}

function picture(file, preview) {
  const image = el('img', { src: preview, alt: '', decoding: 'async' })
  image.addEventListener('error', () => image.replaceWith(sign(file)))
  return file.kind === 'video' ? [image, el('span', { class: 'play' })] : image
}

/** The ending of the file's name, such as `GLB`. */
function sign({ url, kind }) {
  const ending = /\.(\w{1,5})$/.exec(url)?.[1] ?? kind
  return el('span', { class: 'sign' }, ending.toUpperCase())
}
