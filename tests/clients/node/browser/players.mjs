// node players.mjs --chromium FILE --media JSON
//
// A page with a player for each URL of `media` ({ name: URL }), which plays to its end. Prints JSON: by name how it ended,
// its duration, size and position, and where it is after a seek to the middle.
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

const text = { type: 'string' }
const { values: given } = parseArgs({ options: { chromium: text, media: text } })

const { HOME, PATH } = process.env
const browser = await chromium.launch({
  executablePath: given.chromium,
  args: [
    '--no-sandbox', // for whoever is root
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    '--autoplay-policy=no-user-gesture-required',
  ],
  env: { HOME, PATH },
})
try {
  const page = await browser.newPage()
  const media = Object.entries(JSON.parse(given.media))
  const played = await Promise.all(media.map(([name, url]) => page.evaluate(play, url).then((how) => [name, how])))
  console.log(JSON.stringify(Object.fromEntries(played)))
} finally {
  await browser.close()
}

// In the page: plays a file sixteen times as fast, then seeks back to its middle.
async function play(url) {
  const player = document.createElement(/\.(mp4|webm)$/.test(url) ? 'video' : 'audio')
  document.body.append(player)
  const event = (...names) => new Promise((resolve) => {
    for (const name of names) player.addEventListener(name, () => resolve(name), { once: true })
  })
  const over = event('ended', 'error')
  Object.assign(player, { muted: true, src: url })
  player.playbackRate = 16
  player.play().catch(() => {}) // `error` says it too
  const how = await over
  const { duration, currentTime, videoWidth = 0, videoHeight = 0 } = player
  const found = { how, error: player.error?.message ?? '', duration, currentTime, size: [videoWidth, videoHeight] }
  if (how === 'error') return found
  const sought = event('seeked', 'error')
  player.currentTime = duration / 2
  return { ...found, sought: await sought, heard: player.webkitAudioDecodedByteCount > 0 }
}
