// node proxy.mjs WAY SERVER: the official client without the gateway, with one of its options for another address.
import { createFalClient } from '@fal-ai/client'

const [, , way, server] = process.argv
const target = `${server}/api/fal/proxy`
const ways = {
  proxyUrl: { proxyUrl: { url: target, when: 'always' } },
  requestMiddleware: {
    async requestMiddleware(request) {
      return { ...request, url: target, headers: { ...request.headers, 'x-fal-target-url': request.url } }
    },
  },
  directPath: {
    async requestMiddleware(request) {
      return { ...request, url: request.url.replace('https:/', server) }
    },
  },
}
const fal = createFalClient({ credentials: 'proxied:key', ...ways[way] })
const updates = []
const { data, requestId } = await fal.subscribe('fal-ai/flux/schnell', {
  input: { prompt: 'a cat', image_size: 'square' },
  pollInterval: 1,
  onQueueUpdate: ({ status }) => updates.push(status),
})
const { request_id: streamed } = await fal.queue.submit('fal-ai/flux/schnell', { input: { prompt: 'a cat' } })
const stream = await fal.queue.streamStatus('fal-ai/flux/schnell', { requestId: streamed })
const last = await stream.done()
const file = await fetch(data.images[0].url)
console.log(JSON.stringify({
  updates,
  requestId,
  last: last.status,
  url: data.images[0].url,
  type: (await file.blob()).type,
}))
