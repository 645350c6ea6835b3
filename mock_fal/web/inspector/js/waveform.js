// The waveform of a sound, drawn from its samples. Sounds are read once, a few at a time, and those of a few megabytes at most.
import { el } from './dom.js'

const BARS = 48
const MAX_BYTES = 4_000_000
const MAX_REMEMBERED = 200
const AT_ONCE = 2

const peaksOf = new Map() // URL -> promise of BARS numbers from 0 to 1
const waiting = []
let reading = 0

/** A canvas with the waveform of the sound at `url`. It stays empty if the browser can't decode the sound. */
export function waveform(url) {
  const canvas = el('canvas', { class: 'waveform', width: BARS * 4, height: 64, 'aria-hidden': 'true' })
  peaks(url).then((heights) => draw(canvas, heights), () => canvas.classList.add('unknown'))
  return canvas
}

function peaks(url) {
  if (!peaksOf.has(url)) {
    if (peaksOf.size >= MAX_REMEMBERED) peaksOf.delete(peaksOf.keys().next().value)
    peaksOf.set(url, inTurn(() => read(url)))
  }
  return peaksOf.get(url)
}

async function inTurn(work) {
  if (reading >= AT_ONCE) await new Promise((resolve) => waiting.push(resolve))
  reading += 1
  try {
    return await work()
  } finally {
    reading -= 1
    waiting.shift()?.()
  }
}

async function read(url) {
  const response = await fetch(url)
  if (!response.ok || Number(response.headers.get('content-length')) > MAX_BYTES) throw new Error('no sound to draw')
  const context = new OfflineAudioContext(1, 1, 8000)
  const sound = await context.decodeAudioData(await response.arrayBuffer())
  const samples = sound.getChannelData(0)
  const step = Math.max(1, Math.floor(samples.length / BARS))
  const heights = Array.from({ length: BARS }, (_, bar) => {
    let peak = 0
    for (let index = bar * step; index < (bar + 1) * step && index < samples.length; index += 1) peak = Math.max(peak, Math.abs(samples[index]))
    return peak
  })
  const most = Math.max(...heights, 1e-6)
  return heights.map((height) => height / most)
}

function draw(canvas, heights) {
  const context = canvas.getContext('2d')
  context.fillStyle = getComputedStyle(canvas).color
  for (const [bar, height] of heights.entries()) {
    const tall = Math.max(2, height * canvas.height)
    context.fillRect(bar * 4, (canvas.height - tall) / 2, 2.6, tall)
  }
  canvas.dataset.drawn = ''
}
