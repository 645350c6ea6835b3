// node proxy_server.mjs ADAPTER CASE [MOCK]: the official client uses fal's server proxy; prints the result as JSON.
import { createFalClient } from '@fal-ai/client'
import { started } from './proxy_app.mjs'

const SCHNELL = 'fal-ai/flux/schnell'
const cat = { prompt: 'a cat', seed: 7 }

const cases = {
  run: (fal) => fal.run(SCHNELL, { input: cat }),

  async subscribe(fal) {
    const updates = []
    const onQueueUpdate = ({ status, logs }) => updates.push([status, logs?.length])
    const result = await fal.subscribe(SCHNELL, { input: cat, logs: true, pollInterval: 1, onQueueUpdate })
    return { updates, ...result }
  },

  // MOCK's clock is advanced after the first event, so a proxy that buffers events would never end.
  async streamStatus(fal) {
    const { request_id: requestId } = await fal.queue.submit(SCHNELL, { input: cat, priority: 'low' })
    const stream = await fal.queue.streamStatus(SCHNELL, { requestId })
    const states = []
    for await (const { status } of stream) {
      if (states.push(status) === 1) await advance(600)
    }
    return { requestId, states }
  },

  async stream(fal) {
    const stream = await fal.stream(SCHNELL, { input: cat })
    const prompts = []
    for await (const { prompt } of stream) prompts.push(prompt)
    return { prompts, last: await stream.done(), requestId: stream.requestId }
  },

  async upload(fal) {
    const url = await fal.storage.upload(new Blob(['a cat'], { type: 'text/plain' }))
    return { url, text: await (await fetch(url)).text() }
  },

  async cancel(fal) {
    const { request_id: requestId } = await fal.queue.submit(SCHNELL, { input: cat })
    return fal.queue.cancel(SCHNELL, { requestId })
  },

  invalid: (fal) => fal.run(SCHNELL, { input: { seed: 'seven' } }),
  large: (fal) => fal.storage.upload(new Blob([new Uint8Array(91 << 20)])),
}

const [, , adapter, name, mock] = process.argv
const advance = (seconds) => fetch(`${mock}/_mock/clock/advance`, { method: 'POST', body: JSON.stringify({ seconds }) })

const app = await started(adapter)
const keys = new Set()
const fal = createFalClient({
  credentials: () => undefined, // a page has no key
  proxyUrl: { url: `${app.url}/api/fal/proxy`, when: 'always' },
  retry: { maxRetries: 0 },
  fetch(url, init) {
    keys.add(new Headers(init.headers).get('authorization'))
    return fetch(url, init)
  },
})
const result = await cases[name](fal).catch(({ name, status, body, message }) => ({ name, status, body, message }))
app.close()
console.log(JSON.stringify({ ...result, keys: [...keys] }))
