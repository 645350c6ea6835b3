// node live.mjs: with a manual clock, real clients submit; a person watches their rows, opens one, and works by keyboard.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fal } from '@fal-ai/client'
import { given, inspect, isIn, row } from './browser.mjs'

const SCHNELL = 'fal-ai/flux/schnell'
const python = `import fal_client; print(fal_client.subscribe("${SCHNELL}", {"prompt": "a dog of Python"})["seed"])`
const cat = { prompt: 'a cat <script>window.ran = true</script><img src=x onerror="window.ran = true">' }

await inspect(async (open) => {
  const page = await open()
  await page.getByRole('heading', { name: 'No requests yet' }).waitFor()

  // Both clients wait in the queue until the clock moves.
  const results = [fal.subscribe(SCHNELL, { input: cat, mode: 'polling', pollInterval: 50 })]
  await isIn(page, 'a cat', 'queued')
  const child = spawn(given.python, ['-c', python], { stdio: ['ignore', 'ignore', 'inherit'] })
  results.push(once(child, 'exit'))
  await isIn(page, 'a dog of Python', 'queued')
  assert.equal(await page.getByRole('grid', { name: 'Requests' }).getByRole('row').count(), 3)

  await advance(page, 0.5)
  await isIn(page, 'a cat', 'running')
  assert.match(await row(page, 'a cat').locator('.cell-state').innerText(), /running \d\/4/)
  await advance(page, 10)
  await isIn(page, 'a cat', 'completed')
  await isIn(page, 'a dog of Python', 'completed')
  const [node, [code]] = await Promise.all(results)
  assert.equal(code, 0)

  // The detail of the call of the Node client, with the picture that the client got.
  await row(page, 'a cat').click()
  const detail = page.getByRole('article', { name: 'Request' })
  await detail.getByText(node.requestId).first().waitFor()
  await page.waitForFunction(() => document.querySelector('.detail .medium-image img')?.naturalWidth > 0)
  const size = await detail.locator('.medium-image img').evaluate(({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight])
  assert.deepEqual(size, [node.data.images[0].width, node.data.images[0].height])
  assert.match(await detail.locator('.moments').innerText(), /queued[^]*ran[^]*completed/)
  assert.equal(await detail.locator('.logs li').count(), 4)
  await detail.locator('.exchange', { hasText: 'submit' }).locator('summary').click()
  await detail.locator('.exchange .headers', { hasText: 'Key ' }).waitFor()
  assert.equal(await page.evaluate(() => window.ran), undefined)
  await detail.getByText('<script>window.ran = true</script>').first().waitFor()

  // Copy: a program in the clipboard.
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await detail.getByRole('button', { name: 'Copy as Python' }).click()
  await page.getByText('Copied as Python.').waitFor()
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /fal_client/)

  // A link holds the chosen request and the filter.
  await page.getByRole('searchbox', { name: 'Search' }).fill('a cat')
  await page.waitForFunction(() => location.hash.includes('text=a+cat'))
  const shared = await open(new URL(page.url()).hash)
  await shared.getByRole('article', { name: 'Request' }).getByText(node.requestId).first().waitFor()
  assert.equal(await shared.locator('.rows .row').count(), 1)
  assert.equal(await shared.getByRole('searchbox', { name: 'Search' }).inputValue(), 'a cat')
  await shared.context().close()

  // Filters; `Clear` shows everything again.
  await page.getByRole('searchbox', { name: 'Search' }).fill('')
  await page.getByRole('combobox', { name: 'State' }).selectOption('failed')
  await page.getByText('No request matches the filter.').waitFor()
  await page.getByRole('button', { name: 'Clear' }).click()
  await page.waitForFunction(() => document.querySelectorAll('.rows .row').length === 2)

  // Run again.
  await row(page, 'a cat').click()
  await detail.getByRole('button', { name: 'Run again' }).click()
  await page.locator('.rows .row', { hasText: 'again' }).waitFor()
  await advance(page, 10)
  await page.locator('.rows .row', { hasText: 'again' }).locator('.state-completed').waitFor()
  assert.equal(await page.locator('.rows .row').count(), 3)

  // The keyboard alone.
  await page.keyboard.press('1')
  await page.waitForFunction(() => !location.hash.includes('/requests/'))
  await page.keyboard.press('k')
  await page.keyboard.press('k')
  await page.keyboard.press('k')
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  const focused = await page.evaluate(() => document.activeElement.textContent)
  assert.match(focused, /a cat/)
  await page.keyboard.press('Enter')
  await detail.getByText(node.requestId).first().waitFor()
  await page.keyboard.press('k')
  await detail.getByText('"a dog of Python"').first().waitFor()
  await page.keyboard.press('Escape')
  await detail.waitFor({ state: 'hidden' })
  await page.keyboard.press('/')
  await page.keyboard.type('dog')
  await page.waitForFunction(() => document.querySelectorAll('.rows .row').length === 1)
  await page.keyboard.press('Escape')
  assert.notEqual(await page.evaluate(() => document.activeElement.tagName), 'INPUT')
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keys' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  return { requestId: node.requestId }
})

async function advance(page, seconds) {
  await page.keyboard.press('Escape')
  await page.getByRole('link', { name: 'Scenario' }).click()
  const clock = page.getByRole('region', { name: 'Clock' })
  await clock.getByRole('spinbutton', { name: 'Seconds' }).fill(String(seconds))
  await clock.getByRole('button', { name: 'Advance' }).click()
  await page.getByText('further.').last().waitFor()
  await page.getByRole('link', { name: 'Requests' }).click()
}
