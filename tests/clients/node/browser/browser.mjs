// node browser.mjs --chromium FILE --picture FILE [--adapter NAME] [--proxy URL] [--gateway]
//
// The page in a browser, used as a person does; what could be seen of it there, as JSON, and a screenshot in --picture.
// It comes from an application with fal's server proxy and asks that one, or --proxy. With --gateway the browser goes
// the way of all other programs: the environment tells it the proxy, and it takes that one's certificates for good.
import { build } from 'esbuild'
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { started } from '../proxy_app.mjs'

const here = new URL('.', import.meta.url).pathname
const text = { type: 'string' }
const { values: given } = parseArgs({
  options: { chromium: text, picture: text, adapter: { ...text, default: 'express' }, proxy: text, gateway: { type: 'boolean' } },
})

const bundle = await build({ entryPoints: [`${here}page.js`], bundle: true, write: false, platform: 'browser' })
const app = await started(given.adapter, {
  '/': { type: 'text/html', text: await readFile(`${here}page.html`, 'utf8') },
  '/page.js': { type: 'text/javascript', text: bundle.outputFiles[0].text },
})
const { HOME, PATH } = process.env
const browser = await chromium.launch({
  executablePath: given.chromium,
  args: [
    '--no-sandbox', // for whoever is root
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', // nothing leaves, not even a browser's own questions
  ],
  env: given.gateway ? process.env : { HOME, PATH },
})
try {
  const page = await browser.newPage({ ignoreHTTPSErrors: given.gateway, viewport: { width: 800, height: 480 } })
  const exchanges = []
  const complaints = []
  page.on('requestfinished', (request) => exchanges.push(exchange(request)))
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure().errorText}`))
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))

  await page.goto(given.proxy ? `${app.url}/?proxy=${encodeURIComponent(given.proxy)}` : app.url)
  const statuses = []
  for (const button of ['draw', 'paint']) {
    await page.click(`#${button}:enabled`)
    statuses.push(await (await page.waitForFunction(over)).jsonValue())
  }
  const pictures = await page.$$eval('figure', (figures) => figures.map((figure) => {
    const { src, complete, naturalWidth, naturalHeight } = figure.querySelector('img')
    return { src, complete, size: [naturalWidth, naturalHeight], requestId: figure.textContent.trim() }
  }))
  await page.screenshot({ path: given.picture })
  console.log(JSON.stringify({ statuses, pictures, complaints, exchanges: await Promise.all(exchanges) }))
} finally {
  await browser.close()
  app.close()
}

// In the page: how it ended, when it has.
function over() {
  const { textContent } = document.getElementById('status')
  return /done|Error/.test(textContent) && textContent
}

// All that a page, or a person with the browser's tools, can see of a request and its answer; bodies are in Base64.
async function exchange(request) {
  const response = await request.response()
  return {
    method: request.method(),
    url: request.url(),
    headers: await request.allHeaders(),
    body: request.postDataBuffer()?.toString('base64') ?? '',
    answer: {
      status: response.status(),
      headers: await response.allHeaders(),
      body: await response.body().then((body) => body.toString('base64'), () => ''),
    },
  }
}
