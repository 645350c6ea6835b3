// node views.mjs: every view, light and dark, wide and narrow, empty and full, as axe sees it. Prints its findings.
import assert from 'node:assert/strict'
import { fal } from '@fal-ai/client'
import { findings, given, inspect, isIn, row } from './browser.mjs'

const SCHNELL = 'fal-ai/flux/schnell'
const VIEWS = ['requests', 'scenario', 'webhooks', 'files', 'hosts', 'usage']
const call = (prompt, options = {}) => fal.subscribe(SCHNELL, { input: { prompt }, mode: 'polling', pollInterval: 10, ...options })

await inspect(async (open) => {
  const found = {}
  const look = async (page, name) => {
    await page.locator('main:not([aria-busy])').waitFor()
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `${name} is wider than the window`)
    found[name] = await findings(page)
  }
  const tour = async (name, options, ids = {}, views = VIEWS) => {
    const page = await open('', options)
    for (const view of views) {
      await page.evaluate((hash) => { location.hash = hash }, `#/${view}${ids[view] ? `/${ids[view]}` : ''}`)
      await page.locator(`main > section:not([hidden])[aria-label="${view[0].toUpperCase()}${view.slice(1)}"]`).waitFor()
      if (ids[view]) await page.locator('.delivery:visible').first().waitFor()
      if (view === 'scenario') await page.locator('.rule-text').waitFor()
      await look(page, `${name} ${view}`)
    }
    await page.keyboard.press('?')
    await page.getByRole('dialog').waitFor()
    await look(page, `${name} help`)
    await page.context().close()
  }

  await tour('empty', {}, {}, ['requests', 'webhooks'])
  const { requestId } = await call('one', { webhookUrl: given.hook })
  await assert.rejects(call('two [mock: error=content_policy_violation]'))
  await assert.rejects(fal.subscribe('fal-ai/nope', { input: {} }))
  const { request_id: queued } = await fal.queue.submit(SCHNELL, { input: { prompt: 'three [mock: queue=600]' } })
  await fal.queue.submit(SCHNELL, { input: { prompt: 'four [mock: run=600]' } })
  await fal.queue.cancel(SCHNELL, { requestId: queued })
  await fetch(`${given.url}/_mock/scenario`, { method: 'POST', body: '["endpoint=x/* error=internal_error"]' })
  const ids = { requests: requestId, webhooks: requestId }
  await tour('light', {}, ids)
  await tour('dark', { scheme: 'dark' }, ids)
  await tour('narrow', { width: 390, scheme: 'dark' }, ids, ['requests', 'scenario', 'usage'])

  // The list without a detail, and every state in it.
  const page = await open()
  for (const [words, state] of [['one', 'completed'], ['two', 'failed'], ['three', 'cancelled'], ['four', 'running']]) await isIn(page, words, state)
  await row(page, 'nope').getByText('refused 404').waitFor()
  await look(page, 'list')

  // The speed of a system clock.
  await page.getByRole('link', { name: 'Scenario' }).click()
  await page.getByRole('region', { name: 'Clock' }).getByRole('button', { name: '× 10', exact: true }).click()
  await page.getByText('10 times as fast').waitFor()
  assert.equal((await (await fetch(`${given.url}/_mock/clock`)).json()).speed, 10)
  return { found }
})
