// node record.mjs PROMPT: runs the official client for a recording and prints the results as JSON.
import { fal } from '@fal-ai/client'
import { createHash } from 'node:crypto'

const digest = (bytes) => createHash('sha256').update(Buffer.from(bytes)).digest('hex')
const prompt = process.argv[2]
const output = { logs: false }
const onQueueUpdate = (update) => (output.logs ||= (update.logs ?? []).length > 0)

const first = await fal.subscribe('fal-ai/flux/schnell', { input: { prompt, seed: 7 }, logs: true, onQueueUpdate })
const picture = await (await fetch(first.data.images[0].url)).arrayBuffer()
output.first = first
output.picture = digest(picture)

const streaming = await fal.subscribe('fal-ai/flux/schnell', { input: { prompt, seed: 8 }, mode: 'streaming', logs: true })
output.streaming = streaming

const stream = await fal.stream('fal-ai/flux/schnell', { input: { prompt } })
output.events = []
for await (const event of stream) output.events.push(digest(JSON.stringify(event)))
output.last = await stream.done()

const image = new Blob([picture], { type: 'image/jpeg' })
output.changed = await fal.subscribe('fal-ai/flux/dev/image-to-image', { input: { prompt, image_url: image } })
try {
  await fal.subscribe('fal-ai/flux/schnell', { input: { prompt: [prompt] } })
} catch (error) {
  output.error = [error.status, error.body]
}
console.log(JSON.stringify(output))
