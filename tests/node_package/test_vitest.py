"""`mock-fal/vitest` in vitest itself: with and without its setup, in its pools, in parallel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mock_fal import MockFal
from tests.node_package.project import VITEST, add_packages, run, user_environment

CAT = """
import { fal } from '@fal-ai/client'
import { describe, expect } from 'vitest'
import { test } from 'mock-fal/vitest'

const cat = () => fal.subscribe('fal-ai/flux/schnell', { input: { prompt: 'a cat' } })

for (const number of [1, 2, 3]) {
  test(`each test is alone: ${number}`, async ({ mockFal }) => {
    await mockFal.assertNotCalled()
    await mockFal.failNext('content_policy_violation')
    await expect(cat()).rejects.toMatchObject({ status: 422 })
    expect((await cat()).data.images).toHaveLength(1)
    await mockFal.assertAnyCall('fal-ai/flux/*', { prompt: expect.stringContaining('cat') })
    expect(await mockFal.callCount()).toBe(2)
  })
}
"""

# Two tests that run at once: FAL_KEY is that of neither.
CONCURRENT = """
import { createFalClient, fal } from '@fal-ai/client'
import { expect } from 'vitest'
import { test } from 'mock-fal/vitest'

for (const prompt of ['a cat', 'a dog']) {
  test.concurrent(`with a client of its own: ${prompt}`, async ({ mockFal }) => {
    const own = createFalClient({ credentials: mockFal.key })
    await own.subscribe('fal-ai/flux/schnell', { input: { prompt } })
    await fal.subscribe('fal-ai/flux/schnell', { input: { prompt: 'nobody' } })
    await mockFal.assertCalledOnceWith('*', { prompt })
  })
}
"""

# It does not know about mock-fal: only the configuration leads it there.
PLAIN = """
import { fal } from '@fal-ai/client'
import { expect, test } from 'vitest'

test('a test that does not use the fixture reaches mock-fal too', async () => {
  const { data } = await fal.subscribe('fal-ai/flux/schnell', { input: { prompt: 'a cat' } })
  expect(data.images).toHaveLength(1)
  expect(process.env.FAL_KEY).toMatch(/:fal$/)
})
"""

FAILING = """
import { fal } from '@fal-ai/client'
import { test } from 'mock-fal/vitest'

test('fails', { retry: 1 }, async ({ mockFal }) => {
  await fal.subscribe('fal-ai/flux/schnell', { input: { prompt: 'a cat' } })
  await mockFal.assertCalledOnceWith('*', { prompt: 'a dog' })
})
"""

CONFIG = "export default { test: { globalSetup: 'mock-fal/vitest/setup', setupFiles: 'mock-fal/vitest' } }"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = add_packages(tmp_path_factory.mktemp("vitest"))
    files = {"cat": CAT, "other": CAT, "concurrent": CONCURRENT, "plain": PLAIN, "failing": FAILING}
    for name, code in files.items():
        (project / f"{name}.test.mjs").write_text(code)
    (project / "vitest.config.mjs").write_text(CONFIG)
    (project / "none.config.mjs").write_text("export default {}")
    return project


def vitest(project: Path, node: Path, *arguments: str, **env: str) -> tuple[int, str]:
    done = run(project, node, VITEST, "run", *arguments, env=user_environment(**env))
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


def test_it_works_without_a_configuration(project: Path, node: Path) -> None:
    code, text = vitest(project, node, "--config", "none.config.mjs", "cat.test.mjs")
    assert (code, "Tests  3 passed (3)" in text) == (0, True), text


@pytest.mark.parametrize("pool", ["forks", "threads"])
def test_files_in_parallel_never_meet(project: Path, newest_node: Path, pool: str) -> None:
    files = ("cat.test.mjs", "other.test.mjs", "concurrent.test.mjs", "plain.test.mjs")
    code, text = vitest(project, newest_node, f"--pool={pool}", *files)
    assert (code, "Tests  9 passed (9)" in text) == (0, True), text


def test_under_mock_fal_run_the_tests_join_its_server(
    project: Path, newest_node: Path, joined: dict[str, str], mock_fal_server: MockFal
) -> None:
    mock_fal_server.reset()
    code, text = vitest(project, newest_node, "cat.test.mjs", **joined)
    assert (code, "Tests  3 passed (3)" in text) == (0, True), text
    accounts = {exchange.tenant for exchange in mock_fal_server.requests}
    assert len(accounts) == 3 and all(name.startswith("cat-test-mjs-each-test-is-alone") for name in accounts)


def test_a_failure_fails_and_shows_the_requests(project: Path, newest_node: Path) -> None:
    code, text = vitest(project, newest_node, "failing.test.mjs")
    assert (code, "Tests  1 failed (1)" in text) == (1, True), text
    assert "prompt: expected 'a dog'" in text
    # The second attempt has an account of its own.
    assert "received 1 call:" in text and "received 2 calls:" not in text
    assert "mock-fal: the requests of this test:\nPOST   queue.fal.run/fal-ai/flux/schnell  200\n" in text


def test_settings_are_variables(project: Path, newest_node: Path) -> None:
    """Any variable of the server; an invalid one is reported by it."""
    code, text = vitest(project, newest_node, "plain.test.mjs", MOCK_FAL_QUEUE_DURATION="soon")
    assert code == 1
    assert "MOCK_FAL_QUEUE_DURATION: 'soon': expected a number" in text
