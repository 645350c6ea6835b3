// node upload_proxied.mjs SERVER: an upload through the proxy protocol, without the gateway.
import { createFalClient } from '@fal-ai/client'

const url = `${process.argv[2]}/api/fal/proxy`
const fal = createFalClient({ credentials: 'proxied:key', proxyUrl: { url, when: 'always' } })
const file = await fal.storage.upload(new File(['a cat'], 'cat.txt', { type: 'text/plain' }))
console.log(JSON.stringify({ url: file, text: await (await fetch(file)).text() }))
