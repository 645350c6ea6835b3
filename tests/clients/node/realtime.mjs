// node realtime.mjs STORY: one story of the official client's realtime; prints what it saw as JSON.
import { fal } from '@fal-ai/client'
import { WebSocket as Ws } from 'ws'

console.warn = () => {} // the client's own word on its default token provider
globalThis.WebSocket ??= Ws // Node 20 has none

const LCM = 'fal-ai/fast-lcm-diffusion'
const cat = { prompt: 'a cat', seed: 1, request_id: 'first' }

const stories = {
  results: () => session([cat, { prompt: 'a dog', seed: 2 }]),
  invalid: () => session([{ seed: 1 }]),
  wrongToken: () => session([cat], { tokenProvider: () => granted('', { allowed_apps: ['flux'] }) }),
  provided: () => session([cat], {
    tokenProvider: async (app) => (await granted('realtime', { allowed_apps: [app], duration: 120 })).token,
    maxBuffering: 2,
  }),
}

function session(inputs, options) {
  return new Promise((resolve) => {
    const results = []
    const end = (error = null) => {
      connection.close()
      resolve({ results, error })
    }
    const connection = fal.realtime.connect(LCM, {
      throttleInterval: 0,
      ...options,
      onResult(result) {
        results.push({ ...result, images: result.images.map(picture) })
        if (results.length === inputs.length) end()
        else connection.send(inputs[results.length])
      },
      onError: ({ message, status, body = null }) => end({ message, status, body }),
    })
    connection.send(inputs[0])
  })
}

function picture({ content, ...its }) {
  return { ...its, isBytes: content instanceof Uint8Array, head: [...content.slice(0, 2)] }
}

async function granted(path, body) {
  const headers = { authorization: `Key ${process.env.FAL_KEY}`, 'content-type': 'application/json' }
  const answer = await fetch(`https://rest.fal.ai/tokens/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return answer.json()
}

console.log(JSON.stringify(await stories[process.argv[2]]()))
process.exit() // the client's timer for a fresh token would keep Node alive
