// node many.mjs: thousands of requests are remembered; the page asks for few and shows few. Prints what it asked for.
import assert from 'node:assert/strict'
import { inspect } from './browser.mjs'

await inspect(async (open) => {
  const requests = []
  const page = await open('', { requests })
  const list = page.locator('.list')
  await page.locator('.rows .row').first().waitFor()
  const pages = () => requests.map((url) => new URL(url)).filter(({ pathname }) => pathname === '/_mock/calls')
  await page.waitForLoadState('networkidle')
  const first = pages().map(({ searchParams }) => Number(searchParams.get('limit')))
  const rows = await page.locator('.rows .row').count()

  // Scrolling asks for the next pages, and the number of elements stays small.
  for (let step = 0; step < 5; step += 1) {
    const height = await list.evaluate((element) => {
      element.scrollTo(0, element.scrollHeight)
      return element.scrollHeight
    })
    await page.waitForFunction((before) => document.querySelector('.list').scrollHeight > before, height)
  }
  assert.equal(pages().filter(({ searchParams }) => searchParams.has('before')).length, 5)
  await page.waitForFunction(() => /^360 requests loaded/.test(document.querySelector('.list-foot').textContent))
  assert.match(await page.locator('.list-foot').textContent(), /of 10,000 requests$/)
  return { first, rows, later: await page.locator('.rows .row').count() }
})
