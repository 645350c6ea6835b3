"""`mock-fal/playwright` in Playwright itself, with Debian's Chromium: pages, and the server under test."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mock_fal import MockFal
from tests.clients.programs import tool
from tests.node_package.project import PLAYWRIGHT, add_packages, run, user_environment

SERVER = """
import { createServer } from 'node:http'
import { fal } from '@fal-ai/client'

const page = (prompt) => `<button onclick="draw()">Draw</button><img><script>
  async function draw() {
    const response = await fetch('/draw?prompt=${prompt}')
    document.querySelector('img').src = (await response.json()).url
  }
</script>`

createServer(async (request, response) => {
  const prompt = new URL(request.url, 'http://host').searchParams.get('prompt') ?? 'a cat'
  if (!request.url.startsWith('/draw')) {
    return response.setHeader('content-type', 'text/html').end(page(prompt))
  }
  const result = fal.subscribe('fal-ai/flux/schnell', { input: { prompt } })
  const drawn = await result.then(({ data }) => data.images[0], ({ status }) => ({ url: `/error/${status}` }))
  response.setHeader('content-type', 'application/json').end(JSON.stringify(drawn))
}).listen(Number(process.argv[2]), '127.0.0.1')
"""

CONFIG = """
const { defineConfig } = require('@playwright/test')
const { withMockFal } = require('mock-fal/playwright')
const baseURL = `http://127.0.0.1:${process.env.APP_PORT}`
module.exports = defineConfig(withMockFal({
  testMatch: '*.spec.mjs',
  fullyParallel: true,
  reporter: 'line',
  use: { baseURL, launchOptions: { executablePath: process.env.CHROMIUM } },
  webServer: { command: `node server.mjs ${process.env.APP_PORT}`, url: baseURL },
}))
"""

SPEC = """
import { expect, test } from 'mock-fal/playwright'

for (const prompt of ['cat', 'dog']) {
  test(`the ${prompt} is shown`, async ({ page, mockFal }) => {
    await page.goto(`/?prompt=${prompt}`)
    await page.getByRole('button').click()
    await expect.poll(() => page.$eval('img', (img) => img.naturalWidth)).toBe(1024)
    expect(await page.getAttribute('img', 'src')).toMatch(/^https:[/][/]v3b[.]fal[.]media[/]/)
    await mockFal.assertAnyCall('fal-ai/flux/schnell', { prompt })
    if (process.env.ALONE) await mockFal.assertCalledOnceWith()
  })
}

test('a refusal is shown', async ({ page, mockFal, mockFalServer }) => {
  expect(mockFal.url).toBe(mockFalServer.url)
  await mockFal.failNext('content_policy_violation', { prompt: 'snake' })
  await page.goto('/?prompt=snake')
  await page.getByRole('button').click()
  await expect.poll(() => page.getAttribute('img', 'src')).toBe('/error/422')
})

test('a page reaches fal itself', async ({ page }) => {
  await page.goto('/')
  const url = 'https://rest.fal.ai/.well-known/jwks.json'
  expect(await page.evaluate(async (url) => (await (await fetch(url)).json()).keys.length, url)).toBe(2)
})
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = add_packages(tmp_path_factory.mktemp("playwright"))
    for name, code in {"server.mjs": SERVER, "playwright.config.cjs": CONFIG, "app.spec.mjs": SPEC}.items():
        (project / name).write_text(code)
    return project


def playwright(project: Path, node: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    variables |= {"APP_PORT": port, "CHROMIUM": tool("chromium")}
    env = user_environment(**variables)
    env["PATH"] = f"{node.parent}:{env['PATH']}"  # for the command of the web server
    config = ("--config", "playwright.config.cjs")
    done = run(project, node, PLAYWRIGHT, "test", *config, *arguments, env=env)
    return done.returncode, done.stdout + done.stderr


def test_pages_and_the_server_under_test_reach_mock_fal(project: Path, newest_node: Path) -> None:
    """One worker: each test begins with an empty account."""
    code, report = playwright(project, newest_node, "--workers=1", ALONE="1")
    assert (code, "4 passed" in report) == (0, True), report


def test_workers_share_a_server_that_runs(project: Path, newest_node: Path, mock_fal_server: MockFal) -> None:
    mock_fal_server.reset()
    code, report = playwright(project, newest_node, "--workers=2", MOCK_FAL_URL=mock_fal_server.url)
    assert (code, "4 passed" in report) == (0, True), report
    prompts = {exchange.json["prompt"] for exchange in mock_fal_server.requests if exchange.is_submission}
    assert prompts == {"cat", "dog", "snake"}
