// node fal.mjs CASE: runs one case of the official client and prints the result as JSON.
import { ApiError, ValidationError, createFalClient, fal } from '@fal-ai/client'

const SCHNELL = 'fal-ai/flux/schnell'
const cat = { prompt: 'a cat', seed: 7 }
const atOnce = { pollInterval: 1 }

const cases = {
  run: () => fal.run(SCHNELL, { input: cat }),

  async queue() {
    const submitted = await fal.queue.submit(SCHNELL, { input: cat })
    const { request_id: requestId } = submitted
    const early = await failure(fal.queue.result(SCHNELL, { requestId }))
    const running = await fal.queue.status(SCHNELL, { requestId, logs: true })
    const done = await fal.queue.status(SCHNELL, { requestId, logs: true })
    return { submitted, early, running, done, result: await fal.queue.result(SCHNELL, { requestId }) }
  },

  // Programs that read the status of a submission: `COMPLETED` would end their loop before it began.
  async submitAtOnce() {
    const submitted = await fal.queue.submit(SCHNELL, { input: { prompt: '[mock: queue=0 run=0]' } })
    const { request_id: requestId } = submitted
    await fal.queue.subscribeToStatus(SCHNELL, { requestId, ...atOnce })
    return { submitted, result: await fal.queue.result(SCHNELL, { requestId }) }
  },

  // A runner breaks off; fal tries again, and the program sees one request.
  async triedAgain() {
    const input = { prompt: 'a cat [mock: error=runner_disconnected logs=1 times=1]' }
    const ids = []
    const seen = await fal.subscribe(SCHNELL, {
      input, logs: true, ...atOnce, onEnqueue: (id) => ids.push(id), onQueueUpdate: ({ status }) => ids.push(status),
    })
    const direct = await failure(fal.run(SCHNELL, {
      input: { prompt: 'another [mock: error=runner_disconnected retry=false]' },
    }))
    return { seen, ids, direct }
  },

  options: () => fal.queue.submit(SCHNELL, {
    input: cat, webhookUrl: 'http://127.0.0.1:9/hook', priority: 'low', hint: 'warm', startTimeout: 30,
  }),

  async streamStatus() {
    const { request_id: requestId } = await fal.queue.submit(SCHNELL, { input: cat })
    const stream = await fal.queue.streamStatus(SCHNELL, { requestId, logs: true })
    const events = []
    for await (const event of stream) events.push(event)
    return { events, last: await stream.done() }
  },

  polling: () => subscribe({ mode: 'polling', ...atOnce }),
  streaming: () => subscribe({ mode: 'streaming' }),

  async cancelQueued() {
    const { request_id: requestId } = await fal.queue.submit(SCHNELL, { input: cat })
    const cancelled = await fal.queue.cancel(SCHNELL, { requestId })
    const status = await fal.queue.status(SCHNELL, { requestId })
    return { cancelled, status, result: await failure(fal.queue.result(SCHNELL, { requestId })) }
  },

  async cancelDone() {
    const { requestId } = await fal.subscribe(SCHNELL, { input: cat, ...atOnce })
    return failure(fal.queue.cancel(SCHNELL, { requestId }))
  },

  invalidRun: () => failure(fal.run(SCHNELL, { input: { seed: 'seven' } })),
  invalidSubscribe: () => failure(fal.subscribe(SCHNELL, { input: { seed: 'seven' }, ...atOnce })),
  policy: () => failure(fal.run(SCHNELL, { input: { prompt: '[mock: error=content_policy_violation]' } })),
  unknownApp: () => failure(fal.subscribe('fal-ai/fluxx/schnell', { input: cat })),
  unknownId: () => failure(fal.queue.result(SCHNELL, { requestId: '019f6b1b-49c3-7163-9866-2d7bdfec2232' })),
  noKey: () => failure(createFalClient({ credentials: () => undefined }).run(SCHNELL, { input: cat })),
  startTimeout: () => failure(fal.run(SCHNELL, { input: { prompt: '[mock: queue=60]' }, startTimeout: 2 })),

  // These three cases need a request that does not end.
  subscribeTimeout: () => failure(fal.subscribe(SCHNELL, { input: cat, timeout: 100, ...atOnce })),
  async abortRun() {
    return failure(fal.run(SCHNELL, { input: cat, abortSignal: AbortSignal.timeout(100) }))
  },
  async abortSubscribe() {
    const controller = new AbortController()
    const onQueueUpdate = () => controller.abort()
    return failure(fal.subscribe(SCHNELL, { input: cat, abortSignal: controller.signal, onQueueUpdate, ...atOnce }))
  },

  async files() {
    const { data } = await fal.run(SCHNELL, { input: { ...cat, num_images: 2, image_size: 'square' } })
    return Promise.all(data.images.map(async ({ url }) => {
      const response = await fetch(url)
      return [response.headers.get('content-type'), (await response.arrayBuffer()).byteLength]
    }))
  },
}

async function subscribe(options) {
  const updates = []
  const onQueueUpdate = (update) => updates.push([update.status, update.logs?.length ?? null])
  let enqueued
  const onEnqueue = (requestId) => { enqueued = requestId }
  const result = await fal.subscribe(SCHNELL, { input: cat, logs: true, onEnqueue, onQueueUpdate, ...options })
  return { updates, enqueued, result }
}

async function failure(promise) {
  try {
    return { unexpected: await promise }
  } catch (error) {
    const { name, message, status, body, requestId } = error
    return {
      name, message, status, body, requestId,
      isApiError: error instanceof ApiError,
      isUserTimeout: error.isUserTimeout,
      fields: error instanceof ValidationError ? error.getFieldErrors('prompt') : null,
    }
  }
}

console.log(JSON.stringify(await cases[process.argv[2]]()))
