// node streams.mjs CASE: one case of the official client's streams; prints the result as JSON.
import { ApiError, fal } from '@fal-ai/client'

const SCHNELL = 'fal-ai/flux/schnell'
const input = { prompt: 'a cat', seed: 7, image_size: { width: 64, height: 48 } }

const cases = {
  server: () => streamed(SCHNELL, { input }),
  text: () => streamed('fal-ai/any-llm', { input: { prompt: 'a cat', max_tokens: 4 } }),
  client: () => streamed(SCHNELL, { input, connectionMode: 'client', tokenProvider: createToken }),
  forged: () => failure({ input, connectionMode: 'client', tokenProvider: async () => 'no token' }),
  invalid: () => failure({ input: {} }),
  directive: () => failure({ input: { prompt: '[mock: error=runner_disconnected]' } }),

  // This case needs a request that does not end.
  async abort() {
    const stream = await fal.stream(SCHNELL, { input })
    while (stream.requestId === null) await new Promise((resolve) => setTimeout(resolve, 5))
    stream.abort()
    return { done: await stream.done(), requestId: stream.requestId }
  },
}

async function createToken(app) {
  const response = await fetch('https://rest.fal.ai/tokens/', {
    method: 'POST',
    headers: { authorization: `Key ${process.env.FAL_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ allowed_apps: [app.split('/')[1]], token_expiration: 60 }),
  })
  return response.json()
}

async function streamed(endpoint, options) {
  const stream = await fal.stream(endpoint, options)
  const events = []
  for await (const event of stream) events.push(event)
  return { events, last: await stream.done(), requestId: stream.requestId }
}

async function failure(options) {
  try {
    const stream = await fal.stream(SCHNELL, options)
    return { unexpected: await stream.done() }
  } catch (error) {
    const { name, status, body, requestId } = error
    return { name, status, body, requestId, isApiError: error instanceof ApiError }
  }
}

console.log(JSON.stringify(await cases[process.argv[2]]()))
