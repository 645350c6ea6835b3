// node stub.mjs ENDPOINT: calls an app in every way of the official client, and prints the results as JSON.
import { fal } from '@fal-ai/client'

const endpoint = process.argv[2]
const input = { text: 'hello' }

const subscribed = await fal.subscribe(endpoint, { input, pollInterval: 1 })
const run = await fal.run(endpoint, { input })
const { request_id: requestId } = await fal.queue.submit(endpoint, { input })
await fal.queue.subscribeToStatus(endpoint, { requestId, pollInterval: 1 })
const queued = await fal.queue.result(endpoint, { requestId })
const stream = await fal.stream(endpoint, { input })
const streamed = await stream.done()
const downloaded = await fetch(run.data.image.url)

console.log(JSON.stringify({
  results: [subscribed.data, run.data, queued.data, streamed],
  downloaded: downloaded.headers.get('content-type'),
}))
