// node record.mjs PROMPT: a session with the official client, for a recording; tells what came.
import { fal } from '@fal-ai/client'
import { createHash } from 'node:crypto'

const digest = (bytes) => createHash('sha256').update(Buffer.from(bytes)).digest('hex')
const prompt = process.argv[2]
const seen = { logs: false }
const onQueueUpdate = (update) => (seen.logs ||= (update.logs ?? []).length > 0)

const first = await fal.subscribe('fal-ai/flux/schnell', { input: { prompt, seed: 7 }, logs: true, onQueueUpdate })
const picture = await (await fetch(first.data.images[0].url)).arrayBuffer()
seen.first = first
seen.picture = digest(picture)

const streaming = await fal.subscribe('fal-ai/flux/schnell', { input: { prompt, seed: 8 }, mode: 'streaming', logs: true })
seen.streaming = streaming

const stream = await fal.stream('fal-ai/flux/schnell', { input: { prompt } })
seen.events = []
for await (const event of stream) seen.events.push(digest(JSON.stringify(event)))
seen.last = await stream.done()

const image = new Blob([picture], { type: 'image/jpeg' })
seen.changed = await fal.subscribe('fal-ai/flux/dev/image-to-image', { input: { prompt, image_url: image } })
try {
  await fal.subscribe('fal-ai/flux/schnell', { input: { prompt: [prompt] } })
} catch (error) {
  seen.error = [error.status, error.body]
}
console.log(JSON.stringify(seen))
