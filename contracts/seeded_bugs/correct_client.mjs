// A correct program with @fal-ai/client: all kinds of calls, and handled errors.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { ApiError, fal } from '@fal-ai/client'

const SCHNELL = 'fal-ai/flux/schnell'

async function subscribe() {
  const { data } = await fal.subscribe(SCHNELL, { input: { prompt: 'a cat', seed: 7 }, logs: true, timeout: 2000 })
  await (await fetch(data.images[0].url)).arrayBuffer()
}

async function poll() {
  const { request_id: requestId } = await fal.queue.submit(SCHNELL, { input: { prompt: 'a dog' } })
  await fal.queue.subscribeToStatus(SCHNELL, { requestId, mode: 'streaming', timeout: 2000 })
  await fal.queue.result(SCHNELL, { requestId })
}

async function upload() {
  const { data } = await fal.run(SCHNELL, { input: { prompt: 'a bird' } })
  const image_url = await (await fetch(data.images[0].url)).blob()
  await fal.subscribe('fal-ai/flux/dev/image-to-image', { input: { prompt: 'a bird in oil', image_url }, timeout: 2000 })
}

async function stream() {
  const events = await fal.stream('fal-ai/flux/dev', { input: { prompt: 'a horse' } })
  events.on('data', (event) => console.log('preview', event.images.length))
  await events.done()
}

async function cancel() {
  const { request_id: requestId } = await fal.queue.submit(SCHNELL, {
    input: { prompt: 'a cow [mock: queue=60]' },
  })
  await fal.queue.cancel(SCHNELL, { requestId })
}

async function webhook() {
  const seen = new Set()
  const server = createServer(async (request, response) => {
    const parts = []
    for await (const part of request) parts.push(part)
    const genuine = await isGenuine(request.headers, Buffer.concat(parts))
    if (genuine) seen.add(request.headers['x-fal-webhook-request-id'])
    response.writeHead(genuine ? 200 : 401).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await fal.queue.submit(SCHNELL, {
      input: { prompt: 'an owl' },
      webhookUrl: `http://127.0.0.1:${server.address().port}/hook?a=1&b=2`,
    })
    await new Promise((resolve) => setTimeout(resolve, 1000))
    console.log('delivered:', seen.size)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

async function isGenuine(headers, body) {
  const part = (name) => headers[`x-fal-webhook-${name}`]
  const digest = createHash('sha256').update(body).digest('hex')
  const message = Buffer.from([part('request-id'), part('user-id'), part('timestamp'), digest].join('\n'))
  const { keys } = await (await fetch('https://rest.fal.ai/.well-known/jwks.json')).json()
  return keys.some(({ kty, crv, x }) => {
    const key = createPublicKey({ key: { kty, crv, x: x.replace(/=+$/, '') }, format: 'jwk' })
    return verify(null, message, key, Buffer.from(part('signature'), 'hex'))
  })
}

// Concurrent calls, whose errors are handled separately.
for (const outcome of await Promise.allSettled([subscribe(), poll(), upload(), stream(), cancel(), webhook()])) {
  if (outcome.status === 'fulfilled') continue
  if (!(outcome.reason instanceof ApiError)) throw outcome.reason
  console.log(outcome.reason.status, outcome.reason.message)
}
