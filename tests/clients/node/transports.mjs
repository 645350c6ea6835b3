// node transports.mjs URL: requests URL with each of Node's HTTP clients and prints each status and body.
import https from 'node:https'
import { Agent, fetch as npmFetch, request } from 'undici'
import axios from 'axios'
import got from 'got'

const transports = {
  fetch: async (url) => read(await fetch(url)),
  https: (url) => new Promise((resolve, reject) => {
    https.get(url, { agent: false }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve([response.statusCode, JSON.parse(text)])
    }).on('error', reject)
  }),
  'undici.fetch': async (url) => read(await npmFetch(url)),
  'undici.request': async (url) => {
    const { statusCode, body } = await request(url)
    return [statusCode, await body.json()]
  },
  'undici.Agent': async (url) => {
    const dispatcher = new Agent({ pipelining: 1 })
    const { statusCode, body } = await request(url, { dispatcher })
    const result = [statusCode, await body.json()]
    await dispatcher.close()
    return result
  },
  axios: async (url) => {
    const { status, data } = await axios.get(url, { validateStatus: () => true, proxy: false })
    return [status, data]
  },
  got: async (url) => {
    const { statusCode, body } = await got(url, { throwHttpErrors: false })
    return [statusCode, JSON.parse(body)]
  },
  'got http2': async (url) => {
    const { statusCode, body } = await got(url, { throwHttpErrors: false, http2: true })
    return [statusCode, JSON.parse(body)]
  },
}

async function read(response) {
  return [response.status, await response.json()]
}

const [, , url] = process.argv
const results = {}
for (const [name, send] of Object.entries(transports)) results[name] = await send(url)
console.log(JSON.stringify(results))
