// node openai.mjs CASE: one case of the official openai client with fal's base URL; prints the result as JSON.
import OpenAI, { APIError } from 'openai'

// As in programs that use fal: the key is in a default header.
const client = new OpenAI({
  baseURL: 'https://fal.run/openrouter/router/openai/v1',
  apiKey: 'not-needed',
  defaultHeaders: { Authorization: `Key ${process.env.FAL_KEY}` },
  maxRetries: 0,
})
const model = 'google/gemini-2.5-flash'
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
]

const ask = (content, options) =>
  client.chat.completions.create({ model, messages: [{ role: 'user', content }], ...options })

const cases = {
  async chat() {
    const completion = await ask('a cat', { n: 2 })
    return [completion.choices.map((choice) => choice.message.content), completion.usage.total_tokens]
  },

  async stream() {
    const chunks = []
    for await (const chunk of await ask('a cat', { stream: true, stream_options: { include_usage: true } }))
      chunks.push(chunk)
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
    return [text, chunks.at(-1).usage.total_tokens]
  },

  async tools() {
    const runner = client.chat.completions.stream({
      model,
      messages: [{ role: 'user', content: 'use get_weather' }],
      tools,
    })
    const completion = await runner.finalChatCompletion()
    const [call] = completion.choices[0].message.tool_calls
    return [call.function.name, JSON.parse(call.function.arguments)]
  },

  async responses() {
    const response = await client.responses.create({ model, input: 'a cat' })
    return [response.output_text, response.status]
  },

  async response_stream() {
    const stream = client.responses.stream({ model, input: 'a cat' })
    const types = []
    for await (const event of stream) types.push(event.type)
    return [types[0], types.at(-1), (await stream.finalResponse()).output_text]
  },

  async embeddings() {
    const { data } = await client.embeddings.create({ model: 'm', input: ['a cat', 'a dog'] })
    return [data.length, data[0].embedding.length, data[0].embedding.reduce((sum, x) => sum + x * x, 0)]
  },

  async failures() {
    return [await failure('[mock: status=429]'), await failure('[mock: error=content_policy_violation]')]
  },
}

async function failure(content) {
  try {
    await ask(content)
  } catch (error) {
    return [error instanceof APIError, error.status, error.code ?? null]
  }
  throw new Error('no error')
}

console.log(JSON.stringify(await cases[process.argv[2]]()))
