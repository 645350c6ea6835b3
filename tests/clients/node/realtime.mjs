// node realtime.mjs CASE: runs one case of the official client's realtime and prints the result as JSON.
import { fal } from '@fal-ai/client'
import { WebSocket as Ws } from 'ws'

console.warn = () => {} // the client warns about its default token provider
globalThis.WebSocket ??= Ws // Node 20 has none

const LCM = 'fal-ai/fast-lcm-diffusion'
const cat = { prompt: 'a cat', seed: 1, request_id: 'first' }

const cases = {
  results: () => session([cat, { prompt: 'a dog', seed: 2 }]),
  invalid: () => session([{ seed: 1 }]),
  wrongToken: () => session([cat], { tokenProvider: () => createToken('', { allowed_apps: ['flux'] }) }),
  // An application sends its input again when it hears of an error.
  again: () => session([cat], { again: true }),
  provided: () => session([cat], {
    tokenProvider: async (app) => (await createToken('realtime', { allowed_apps: [app], duration: 120 })).token,
    maxBuffering: 2,
  }),
}

function session(inputs, { again = false, ...options } = {}) {
  return new Promise((resolve) => {
    const results = []
    const errors = []
    const end = (error = null) => {
      connection.close()
      resolve({ results, error, errors })
    }
    const connection = fal.realtime.connect(LCM, {
      throttleInterval: 0,
      ...options,
      onResult(result) {
        results.push({ ...result, images: result.images.map(picture) })
        if (results.length === inputs.length) end()
        else connection.send(inputs[results.length])
      },
      onError({ message, status, body = null }) {
        errors.push({ message, status, body })
        if (again && errors.length < 5) setTimeout(() => connection.send(inputs[0]), 50)
        else end(errors.at(-1))
      },
    })
    connection.send(inputs[0])
  })
}

function picture({ content, ...metadata }) {
  return { ...metadata, isBytes: content instanceof Uint8Array, head: [...content.slice(0, 2)] }
}

async function createToken(path, body) {
  const headers = { authorization: `Key ${process.env.FAL_KEY}`, 'content-type': 'application/json' }
  const response = await fetch(`https://rest.fal.ai/tokens/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return response.json()
}

console.log(JSON.stringify(await cases[process.argv[2]]()))
process.exit() // the client's timer for a fresh token would keep Node alive
