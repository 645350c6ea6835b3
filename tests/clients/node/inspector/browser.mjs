// The inspector in a browser, for the tests: opens it, collects what its console says, and asks axe about it.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

const text = { type: 'string' }
const { values } = parseArgs({ options: { chromium: text, url: text, python: text, hook: text, command: text } })

/** What the test said: paths and addresses. */
export const given = values

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const PATIENCE_MS = 20_000

/**
 * Runs `work(open)` with a browser, and prints as JSON what the consoles of the pages said, and what `work` returned.
 * `open(place, options)` opens the page at a place such as `#/files`.
 */
export async function inspect(work) {
  const { HOME, PATH } = process.env
  const browser = await chromium.launch({
    executablePath: given.chromium,
    args: [
      '--no-sandbox', // for whoever is root
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', // nothing leaves
      '--autoplay-policy=no-user-gesture-required',
    ],
    env: { HOME, PATH }, // not the proxy of the clients
  })
  const complaints = []
  const open = async (place = '', { width = 1280, height = 800, scheme = 'light', requests = [], isTimed = false } = {}) => {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme })
    context.setDefaultTimeout(PATIENCE_MS)
    if (isTimed) await context.addInitScript(noteFirstRow)
    const page = await context.newPage()
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => requests.push(request.url()))
    page.on('response', (response) => response.status() >= 400 && complaints.push(`${response.status()} ${response.url()}`))
    await page.goto(`${given.url}/${place}`)
    await page.locator('.connection[data-state=live]').waitFor()
    return page
  }
  try {
    const seen = await work(open, complaints)
    console.log(JSON.stringify({ complaints, ...seen }))
  } finally {
    await browser.close()
  }
}

// In the page: notes the moment of the frame after the first row.
function noteFirstRow() {
  const observer = new MutationObserver(() => {
    if (!document.querySelector('.rows .row')) return
    observer.disconnect()
    requestAnimationFrame(() => setTimeout(() => (window.rowsAt = performance.now())))
  })
  observer.observe(document, { childList: true, subtree: true })
}

/** The serious findings of axe on a page as it is now. */
export async function findings(page) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }))
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ''}`).join(' | ')}`)
}

/** The row of the request whose prompt contains a text. */
export const row = (page, words) => page.locator('.rows .row', { hasText: words })

/** Waits until a row has a state. */
export const isIn = (page, words, state) => row(page, words).locator(`.cell-state .state-${state}`).waitFor()
