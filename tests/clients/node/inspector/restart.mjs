// node restart.mjs: the server ends and another one starts at its address; the page goes on by itself.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { given, inspect, row } from './browser.mjs'

const { port } = new URL(given.url)

async function started() {
  const server = spawn(given.python, ['-m', 'mock_fal', 'serve', '--port', port], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(server.stdout, 'data')
  return server
}

async function stopped(server) {
  server.kill('SIGINT')
  await once(server, 'exit')
}

async function submit(prompt) {
  const headers = { authorization: 'Key me:secret', 'content-type': 'application/json' }
  await fetch(`${given.url}/queue.fal.run/fal-ai/flux/schnell`, { method: 'POST', headers, body: JSON.stringify({ prompt }) })
}

let server = await started()
try {
  await inspect(async (open, complaints) => {
    const page = await open()
    await submit('before')
    await row(page, 'before').waitFor()
    await stopped(server)
    await page.locator('.connection[data-state=lost]').waitFor()
    server = await started()
    await page.locator('.connection[data-state=live]').waitFor()
    await page.getByRole('heading', { name: 'No requests yet' }).waitFor()
    await submit('after')
    await row(page, 'after').waitFor()
    // While there is no server a browser says so, whatever the page does.
    const network = complaints.filter((complaint) => complaint.includes('net::ERR_'))
    complaints.splice(0, complaints.length, ...complaints.filter((complaint) => !network.includes(complaint)))
  })
} finally {
  await stopped(server)
}
