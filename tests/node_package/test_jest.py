"""`mock-fal/jest` in jest itself: with and without its setup, CommonJS and ES modules, in one process and several."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.node_package.project import JEST, add_packages, run, user_environment

TESTS = """
const mockFal = useMockFal()
const cat = () => fal.subscribe('fal-ai/flux/schnell', { input: { prompt: 'a cat' } })

for (const number of [1, 2, 3]) {
  test(`each test is alone: ${number}`, async () => {
    await mockFal.assertNotCalled()
    await mockFal.failNext('content_policy_violation')
    await expect(cat()).rejects.toMatchObject({ status: 422 })
    expect((await cat()).data.images).toHaveLength(1)
    await mockFal.assertAnyCall('fal-ai/flux/*', { prompt: expect.stringContaining('cat') })
    expect(await mockFal.callCount()).toBe(2)
    expect(process.env.FAL_KEY).toBe(mockFal.key)
  })
}
"""

CJS = f"""
const {{ fal }} = require('@fal-ai/client')
const {{ useMockFal }} = require('mock-fal/jest')
{TESTS}
"""

ESM = f"""
import {{ fal }} from '@fal-ai/client'
import {{ expect, test }} from '@jest/globals'
import {{ useMockFal }} from 'mock-fal/jest'
{TESTS}
"""

OUTSIDE = """
const { useMockFal } = require('mock-fal/jest')
const mockFal = useMockFal()
let message
try { mockFal.key } catch (error) { message = error.message }
test('the account is that of a test', () => expect(message).toMatch('key is used outside of a test'))
"""

CONFIG = "module.exports = { globalSetup: 'mock-fal/jest/setup', globalTeardown: 'mock-fal/jest/teardown' }"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = add_packages(tmp_path_factory.mktemp("jest"))
    files = {"cat.test.js": CJS, "other.test.js": CJS, "outside.test.js": OUTSIDE, "module.test.mjs": ESM}
    for name, code in files.items():
        (project / name).write_text(code)
    (project / "jest.config.js").write_text(CONFIG)
    (project / "none.config.js").write_text("module.exports = {}")
    return project


def jest(project: Path, node: Path, *arguments: str, **env: str) -> tuple[int, str]:
    """Its exit code and report. It does not end while a server or a connection keeps it."""
    done = run(project, node, JEST, "--no-cache", *arguments, env=user_environment(**env))
    return done.returncode, done.stderr


def test_it_works_without_a_configuration(project: Path, node: Path) -> None:
    code, report = jest(project, node, "--config", "none.config.js", "cat.test.js")
    assert (code, "Tests:       3 passed, 3 total" in report) == (0, True), report


@pytest.mark.parametrize(
    "workers", [["--maxWorkers=2"], ["--runInBand"], ["--maxWorkers=2", "--workerThreads"]]
)
def test_files_never_meet(project: Path, newest_node: Path, workers: list[str]) -> None:
    code, report = jest(project, newest_node, *workers, "cat.test.js", "other.test.js", "outside.test.js")
    assert (code, "Tests:       7 passed, 7 total" in report) == (0, True), report
    assert "did not exit" not in report


def test_es_modules_work(project: Path, newest_node: Path) -> None:
    match = ["--testMatch", "**/module.test.mjs"]
    code, report = jest(project, newest_node, *match, NODE_OPTIONS="--experimental-vm-modules")
    assert (code, "Tests:       3 passed, 3 total" in report) == (0, True), report
