// node upload.mjs: every way in which the official client uploads; what came back of each file.
import { fal } from '@fal-ai/client'
import { createHash } from 'node:crypto'

const digest = (bytes) => createHash('md5').update(Buffer.from(bytes)).digest('hex')
const seen = {}
async function keep(name, url, bytes) {
  const answer = await fetch(url)
  const same = digest(await answer.arrayBuffer()) === digest(bytes)
  seen[name] = { url, same, type: answer.headers.get('content-type'), status: answer.status }
}

const cat = Buffer.from('a cat')
await keep('file', await fal.storage.upload(new File([cat], 'søster 1.txt', { type: 'text/plain' })), cat)
await keep('blob', await fal.storage.upload(new Blob([cat])), cat)
const large = Buffer.alloc(95 * 1024 * 1024, 'parts of a file ')
await keep('large', await fal.storage.upload(new File([large], 'film.mp4', { type: 'video/mp4' })), large)
const lifecycle = { expiresIn: '1h', initialAcl: { default: 'forbid' } }
await keep('forbidden', await fal.storage.upload(new File([cat], 'f.txt'), { lifecycle }), cat)

const { request_id: requestId } = await fal.queue.submit('fal-ai/flux/schnell', {
  input: { prompt: 'a cat', extra: { image_url: new Blob([cat], { type: 'image/png' }), list: [new Blob([cat])] } },
})
console.log(JSON.stringify({ ...seen, requestId }))
