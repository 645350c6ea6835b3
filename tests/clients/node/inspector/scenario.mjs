// node scenario.mjs: a person builds rules, and the next calls of a client fail, or get an answer of their own.
import assert from 'node:assert/strict'
import { fal } from '@fal-ai/client'
import { inspect, isIn, row } from './browser.mjs'

const SCHNELL = 'fal-ai/flux/schnell'
const call = (endpoint, prompt) => fal.subscribe(endpoint, { input: { prompt }, mode: 'polling', pollInterval: 10 })

await inspect(async (open, complaints) => {
  const page = await open('#/scenario')
  const form = page.locator('.rule-form')
  const rules = page.getByRole('region', { name: 'Rules in force' })

  // Let the next call of an endpoint fail.
  await form.locator('[name=endpoint]').fill('fal-ai/flux/*')
  await form.getByRole('combobox', { name: 'Value' }).selectOption('content_policy_violation')
  await form.getByText('The result is the error content_policy_violation.').waitFor()
  await form.locator('.rule-text code', { hasText: 'endpoint=fal-ai/flux/*' }).waitFor()
  await form.getByRole('button', { name: 'Add rule' }).click()
  await rules.locator('tbody tr').waitFor()
  await assert.rejects(call(SCHNELL, 'refused'), ({ status }) => status === 422)
  await call(SCHNELL, 'accepted')
  await rules.locator('tbody td.number b', { hasText: '1' }).waitFor()
  await page.getByRole('link', { name: 'Requests' }).click()
  await isIn(page, 'refused', 'failed')
  await isIn(page, 'accepted', 'completed')
  await row(page, 'refused').click()
  await page.locator('.acting').getByText('error=content_policy_violation').waitFor()

  // What is wrong with a rule is said, and it can't be added.
  await page.getByRole('link', { name: 'Scenario' }).click()
  await form.locator('[name=times]').fill('often')
  await form.locator('.bad', { hasText: 'times' }).waitFor()
  assert.equal(await form.getByRole('button', { name: 'Add rule' }).isDisabled(), true)
  await form.locator('[name=times]').fill('')
  await page.waitForFunction(() => !document.querySelector('.rule-form [type=submit]').disabled)
  // A browser reports each status from 400 up: here that of the rule which is wrong on purpose, while it was typed.
  assert.deepEqual(complaints.filter((text) => !/_mock\/scenario\/explain$|status of 422/.test(text)), [])
  complaints.length = 0

  // Answer with JSON, also for an app that mock-fal does not know.
  await form.getByRole('button', { name: 'Answer with JSON' }).click()
  await form.locator('[name=endpoint]').fill('me/my-app')
  await form.getByRole('textbox', { name: 'Value' }).fill('{"text": "from the page"}')
  await form.locator('.rule-text', { hasText: 'from the page' }).waitFor()
  await form.getByRole('button', { name: 'Add rule' }).click()
  await rules.locator('tbody tr').nth(1).waitFor()
  assert.equal((await call('me/my-app', 'mine')).data.text, 'from the page')

  // Remove one rule; the other stays.
  await rules.getByRole('button', { name: /^Remove .*my-app/ }).click()
  await page.waitForFunction(() => document.querySelectorAll('[aria-label="Rules in force"] tbody tr').length === 1)

  // A rule that begins with a request.
  await page.getByRole('link', { name: 'Requests' }).click()
  await row(page, 'accepted').click()
  await page.getByRole('button', { name: 'Answer with this' }).click()
  await form.locator('.rule-text', { hasText: 'output=' }).waitFor()
  assert.match(await form.getByRole('textbox', { name: 'Value' }).inputValue(), /has_nsfw_concepts/)

  // Reset asks once more.
  const reset = page.getByRole('region', { name: 'Reset' })
  await reset.getByRole('button', { name: 'Reset' }).click()
  await reset.getByRole('button', { name: 'Really remove everything' }).click()
  await rules.getByText('No rules').waitFor()
  await page.getByRole('link', { name: 'Requests' }).click()
  await page.getByRole('heading', { name: 'No requests yet' }).waitFor()
})
