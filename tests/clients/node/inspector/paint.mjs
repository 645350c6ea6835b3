// node paint.mjs: how long the list takes to appear, in milliseconds since the navigation began. Prints JSON.
import { inspect } from './browser.mjs'

await inspect(async (open) => {
  const page = await open('', { isTimed: true })
  await page.locator('.rows .row').first().waitFor()
  await page.waitForFunction(() => [...document.querySelectorAll('.thumb img')].every(({ complete }) => complete))
  const [paint, rows] = await page.evaluate(() => [performance.getEntriesByName('first-contentful-paint')[0].startTime, window.rowsAt])
  await page.close()
  return { paint, rows }
})
