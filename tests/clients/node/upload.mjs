// node upload.mjs: uploads with the official client in every way and prints the downloaded files as JSON.
import { fal } from '@fal-ai/client'
import { createHash } from 'node:crypto'

const digest = (bytes) => createHash('md5').update(Buffer.from(bytes)).digest('hex')
const files = {}
async function check(name, url, bytes) {
  const response = await fetch(url)
  const same = digest(await response.arrayBuffer()) === digest(bytes)
  files[name] = { url, same, type: response.headers.get('content-type'), status: response.status }
}

const cat = Buffer.from('a cat')
await check('file', await fal.storage.upload(new File([cat], 'søster 1.txt', { type: 'text/plain' })), cat)
await check('blob', await fal.storage.upload(new Blob([cat])), cat)
const large = Buffer.alloc(95 * 1024 * 1024, 'parts of a file ')
await check('large', await fal.storage.upload(new File([large], 'film.mp4', { type: 'video/mp4' })), large)
const lifecycle = { expiresIn: '1h', initialAcl: { default: 'forbid' } }
await check('forbidden', await fal.storage.upload(new File([cat], 'f.txt'), { lifecycle }), cat)

const { request_id: requestId } = await fal.queue.submit('fal-ai/flux/schnell', {
  input: { prompt: 'a cat', extra: { image_url: new Blob([cat], { type: 'image/png' }), list: [new Blob([cat])] } },
})
console.log(JSON.stringify({ ...files, requestId }))
