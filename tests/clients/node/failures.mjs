// node failures.mjs PROMPTS: each of a JSON list of prompts, run and subscribed to; prints what each came to.
import { ApiError, ValidationError, fal } from '@fal-ai/client'

// Nobody waits between two tries: the client is as it is, only its evening is short. Other people's deadlines
// (fetch has one for each connection) stay as they are.
const { setTimeout: later } = globalThis
globalThis.setTimeout = (act, ms, ...rest) =>
  later(act, new Error().stack.includes('@fal-ai/client') ? 0 : ms, ...rest)

const SCHNELL = 'fal-ai/flux/schnell'
const [prompts] = process.argv.slice(2).map((text) => JSON.parse(text))

async function seen(call) {
  try {
    return { data: (await call).data }
  } catch (error) {
    return {
      name: error.name,
      isApiError: error instanceof ApiError,
      isValidationError: error instanceof ValidationError,
      status: error.status,
      body: error.body,
      message: error.message,
      requestId: error.requestId,
      timeoutType: error.timeoutType,
      fieldErrors: error instanceof ValidationError ? error.fieldErrors : undefined,
      code: error.cause?.code,
    }
  }
}

const found = []
for (const prompt of prompts) {
  const input = { prompt }
  found.push({
    run: await seen(fal.run(SCHNELL, { input })),
    subscribe: await seen(fal.subscribe(SCHNELL, { input, pollInterval: 1 })),
  })
}
console.log(JSON.stringify(found))
