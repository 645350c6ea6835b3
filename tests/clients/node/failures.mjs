// node failures.mjs PROMPTS: runs and subscribes to each prompt of a JSON list and prints the results.
import { ApiError, ValidationError, fal } from '@fal-ai/client'

// No delay between the client's retries. Other timers, such as fetch's connection timeout, are unchanged.
const { setTimeout: later } = globalThis
globalThis.setTimeout = (callback, ms, ...rest) =>
  later(callback, new Error().stack.includes('@fal-ai/client') ? 0 : ms, ...rest)

const SCHNELL = 'fal-ai/flux/schnell'
const [prompts] = process.argv.slice(2).map((text) => JSON.parse(text))

async function outcome(call) {
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

const results = []
for (const prompt of prompts) {
  const input = { prompt }
  results.push({
    run: await outcome(fal.run(SCHNELL, { input })),
    subscribe: await outcome(fal.subscribe(SCHNELL, { input, pollInterval: 1 })),
  })
}
console.log(JSON.stringify(results))
