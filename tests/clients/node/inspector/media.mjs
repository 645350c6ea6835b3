// node media.mjs: a video and a sound play in the page, and webhooks are sent again to a receiver.
import assert from 'node:assert/strict'
import { fal } from '@fal-ai/client'
import { given, inspect, row } from './browser.mjs'

const call = (endpoint, input, options = {}) => fal.subscribe(endpoint, { input, mode: 'polling', pollInterval: 10, ...options })

await inspect(async (open) => {
  const picture = await fal.storage.upload(new Blob(['<svg xmlns="http://www.w3.org/2000/svg"/>'], { type: 'image/svg+xml' }))
  await call('fal-ai/kling-video/v2.5-turbo/pro/text-to-video', { prompt: 'a train' })
  await call('fal-ai/elevenlabs/tts/turbo-v2.5', { text: 'hello there' })
  await call('fal-ai/any-llm', { prompt: 'tell me something' })
  const { requestId } = await call('fal-ai/flux/schnell', { prompt: 'with a webhook' }, { webhookUrl: given.hook })
  const page = await open()

  // Thumbnails: the first frame of the video, the waveform of the sound, the first words of the text.
  await page.waitForFunction(() => document.querySelector('.thumb .play')?.parentNode.querySelector('img').naturalWidth > 0)
  await row(page, 'hello there').locator('.thumb .waveform[data-drawn]').waitFor()
  await row(page, 'tell me something').locator('.thumb .words').waitFor()

  await row(page, 'a train').click()
  const video = await played(page, 'video')
  await row(page, 'hello there').click()
  const sound = await played(page, 'audio')

  // The page looks at files without a trace in the journal.
  const { requests } = await (await fetch(`${given.url}/_mock/requests?operation=download`)).json()
  assert.deepEqual(requests, [])

  // A webhook again, as it was and with another body.
  await row(page, 'with a webhook').click()
  const delivery = page.locator('.detail .delivery')
  await delivery.getByRole('cell', { name: 'HTTP 200' }).waitFor()
  await delivery.getByRole('cell', { name: 'valid', exact: true }).waitFor()
  await delivery.getByRole('button', { name: 'Send again' }).click()
  await delivery.getByRole('cell', { name: 'HTTP 200' }).nth(1).waitFor()
  await page.goto(`${given.url}/#/webhooks/${requestId}`)
  const chosen = page.getByRole('region', { name: 'Webhook', exact: true }).locator('.delivery')
  await chosen.getByText('Edit the body and send it').click()
  await chosen.getByRole('textbox', { name: 'Body of the webhook' }).fill('{"edited": "on the page"}')
  await chosen.getByRole('button', { name: 'Send this body, signed anew' }).click()
  await page.getByText('The edited webhook is sent.').waitFor()
  await page.locator('tr[aria-current] td.number', { hasText: '3' }).waitFor()

  // Files: what was made and what was uploaded.
  await page.getByRole('link', { name: 'Files' }).click()
  await page.locator('.gallery li', { hasText: 'video/mp4' }).waitFor()
  await page.locator('.gallery li', { hasText: 'upload' }).getByText(picture.split('/').pop()).waitFor()
  return { video, sound, requestId }
})

/** Plays what the detail shows, and returns its duration once it has moved. */
async function played(page, name) {
  const player = page.locator(`.detail ${name}`)
  await player.evaluate((element) => {
    element.muted = true
    return element.play()
  })
  await page.waitForFunction((tag) => document.querySelector(`.detail ${tag}`).currentTime > 0.2, name)
  return player.evaluate((element) => {
    element.pause()
    return element.duration
  })
}
