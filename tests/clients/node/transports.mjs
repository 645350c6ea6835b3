// node transports.mjs URL: asks URL by each of Node's HTTP clients and prints the status and the body for each.
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
    const answer = [statusCode, await body.json()]
    await dispatcher.close()
    return answer
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

async function read(answer) {
  return [answer.status, await answer.json()]
}

const [, , url] = process.argv
const answers = {}
for (const [name, ask] of Object.entries(transports)) answers[name] = await ask(url)
console.log(JSON.stringify(answers))
