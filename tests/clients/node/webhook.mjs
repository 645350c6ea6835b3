// node webhook.mjs: submits with a webhook, receives it twice, and verifies it with Node's own crypto.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fal } from '@fal-ai/client'

const received = []
const server = createServer(async (request, response) => {
  const parts = []
  for await (const part of request) parts.push(part)
  received.push({ headers: request.headers, body: Buffer.concat(parts) })
  response.writeHead(received.length === 1 ? 500 : 200).end()
  if (received.length === 2) server.close()
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

const submitted = await fal.queue.submit('fal-ai/flux/schnell', {
  input: { prompt: 'a cät', seed: 7 },
  webhookUrl: `http://127.0.0.1:${server.address().port}/hook?a=1&b=2`,
})
await once(server, 'close')

const { keys } = await (await fetch('https://rest.fal.ai/.well-known/jwks.json')).json()

function genuine({ headers, body }) {
  const part = (name) => headers[`x-fal-webhook-${name}`]
  const digest = createHash('sha256').update(body).digest('hex')
  const message = [part('request-id'), part('user-id'), part('timestamp'), digest].join('\n')
  const signature = Buffer.from(part('signature'), 'hex')
  return keys.some(({ kty, crv, x }) => {
    const key = createPublicKey({ key: { kty, crv, x: x.replace(/=+$/, '') }, format: 'jwk' })
    return verify(null, Buffer.from(message), key, signature)
  })
}

console.log(JSON.stringify({
  requestId: submitted.request_id,
  genuine: received.map(genuine),
  forged: genuine({ ...received[0], body: Buffer.concat([received[0].body, Buffer.from(' ')]) }),
  same: received[0].body.equals(received[1].body),
  body: JSON.parse(received[1].body),
}))
