// Uses the package as a user would, from an ES module. It is only compiled.
import { defineConfig } from '@playwright/test'
import { fal } from '@fal-ai/client'
import { expect } from 'vitest'
import { account, ControlError, file, fileUrl, startMockFal, verifyWebhook } from 'mock-fal'
import type { Account, Exchange, MockFal, Settings, StartOptions } from 'mock-fal'
import { useMockFal } from 'mock-fal/jest'
import * as playwright from 'mock-fal/playwright'
import { it, mockFalFixtures, test } from 'mock-fal/vitest'
import setup from 'mock-fal/vitest/setup'
import 'mock-fal/node'

const options: StartOptions = { clock: 'manual', queueDuration: 2, maxMemory: '64M', allowHost: ['example.com'], pollInterval: 1 }
const server: MockFal = await startMockFal(options)
const settings: Settings = { offline: true }
const mine: Account = (await account('cat')).use()
const [exchange]: Exchange[] = await mine.requests({ operation: 'submit', status: '2xx' })
const attempts: number | undefined = exchange?.attempts?.length
await mine.failNext('content_policy_violation', { times: 2, endpoint: 'fal-ai/*', prompt: 'cat' })
await mine.respond('me/my-app', { video: file('video', { duration_s: 2 }), poster: fileUrl(Buffer.from('x'), { content_type: 'image/png' }) })
await mine.addRule('queue=600')
await mine.addRule({ connection: 'reset', operation: 'status' })
const cost: number = (await mine.usage()).cost + (await server.clock.advance(600))
const receiver = await mine.webhooks()
const [webhook] = await receiver.waitFor(1, { timeoutMs: 5000 })
verifyWebhook(webhook!.headers, webhook!.body, await server.webhookKeys())
await server.stop()

// @ts-expect-error: fal has no such error
await mine.failNext('content_policy_violated')
// @ts-expect-error: there is no such clock
await startMockFal({ clock: 'sundial' })
// @ts-expect-error: an account is made by a server
new (mine.constructor as typeof import('mock-fal').Account)()

test('a cat', async ({ mockFal }) => {
  await fal.subscribe('fal-ai/flux/schnell', { input: { prompt: 'a cat' } })
  await mockFal.assertCalledOnceWith('fal-ai/*', { prompt: expect.any(String) })
})
const jestAccount: Account = useMockFal()
playwright.test('a page', async ({ page, mockFal, mockFalServer }) => {
  await page.goto(mockFalServer.url)
  await playwright.expect.poll(() => mockFal.callCount()).toBe(1)
})
export default defineConfig(playwright.withMockFal({ use: { baseURL: 'http://127.0.0.1:3000' } }, { queueDuration: 0 }))
export const used = [settings, attempts, cost, ControlError, it, mockFalFixtures, setup, jestAccount]
