// node every_call.mjs PACKAGE: each kind of call of a JavaScript client; one that fails does not stop the others.
const { fal = undefined, ...module } = await import(process.argv[2])
const client = fal ?? module
const SCHNELL = 'fal-ai/flux/schnell'

const steps = {
  subscribe: () => client.subscribe(SCHNELL, { input: { prompt: 'a cat' }, logs: true }),
  async poll() {
    const { request_id: requestId } = await client.queue.submit(SCHNELL, { input: { prompt: 'a dog' } })
    while ((await client.queue.status(SCHNELL, { requestId })).status !== 'COMPLETED') {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await client.queue.result(SCHNELL, { requestId })
  },
  upload: () => client.storage.upload(new Blob(['a cat'], { type: 'image/jpeg' })),
  stream: async () => (await client.stream('fal-ai/flux/dev', { input: { prompt: 'a horse' } })).done(),
  run: () => client.run(SCHNELL, { input: { prompt: 'a fish' } }),
}

for (const [name, step] of Object.entries(steps)) {
  await step().catch((error) => console.log(`${name}: ${error}`))
}
