"""`--import mock-fal/node`: workers, child processes, a bundled server, node:test."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mock_fal import MockFal
from tests.clients.programs import FOLDER, run_program
from tests.node_package.project import add_packages, run, user_environment

IMPORT = ("--import", "mock-fal/node")

# Each line: who asked, and the status.
FAMILY = """
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { Worker, isMainThread } from 'node:worker_threads'

const who = process.argv[2] ?? (isMainThread ? 'main' : 'worker')
const response = await fetch('https://rest.fal.ai/.well-known/jwks.json')
console.log(who, response.status, process.env.FAL_KEY)
if (who === 'main') {
  await once(new Worker(new URL(import.meta.url)), 'exit')
  await once(fork(new URL(import.meta.url), ['fork']), 'exit')
  const elsewhere = { cwd: mkdtempSync('/tmp/elsewhere-'), encoding: 'utf8' }
  process.stdout.write(execFileSync(process.execPath, [new URL(import.meta.url).pathname, 'child'], elsewhere))
}
"""

SERVER = """
import { fal } from '@fal-ai/client'
import { createServer } from 'node:http'
const server = createServer(async (request, response) => {
  const { data } = await fal.subscribe('fal-ai/flux/schnell', { input: { prompt: 'a cat' } })
  response.end(data.images[0].url)
  server.close()
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
"""

TEST = """
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fal } from '@fal-ai/client'
import { account } from 'mock-fal'

for (const number of [1, 2]) {
  test(`each test is alone: ${number}`, async () => {
    const mockFal = await account(`${import.meta.url} ${number}`)
    await fal.subscribe('fal-ai/flux/schnell', { input: { prompt: 'a cat' } })
    await mockFal.assertCalledOnceWith('fal-ai/flux/schnell', { prompt: 'a cat' })
    assert.ok(process.env.SHARED ? mockFal.url === process.env.MOCK_FAL_URL : mockFal.url)
  })
}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = add_packages(tmp_path_factory.mktemp("node"))
    for name, code in {
        "family.mjs": FAMILY,
        "server.mjs": SERVER,
        "cat.test.mjs": TEST,
        "other.test.mjs": TEST,
    }.items():
        (project / name).write_text(code)
    return project


def test_workers_and_child_processes_are_led_there_too(project: Path, node: Path) -> None:
    done = run(project, node, *IMPORT, "family.mjs")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.splitlines() == [f"{who} 200 mock:fal" for who in ("main", "worker", "fork", "child")]


def test_node_options_lead_all_programs_there(project: Path, newest_node: Path) -> None:
    done = run(project, newest_node, "family.mjs", env=user_environment(NODE_OPTIONS=" ".join(IMPORT)))
    assert (done.returncode, done.stdout.count(" 200 mock:fal\n")) == (0, 4), done.stderr


def test_it_uses_the_server_at_mock_fal_url(
    project: Path, newest_node: Path, mock_fal_server: MockFal
) -> None:
    mock_fal_server.reset()
    done = run(
        project, newest_node, *IMPORT, "family.mjs", env=user_environment(MOCK_FAL_URL=mock_fal_server.url)
    )
    assert (done.returncode, len(mock_fal_server.requests)) == (0, 4), done.stderr


@pytest.mark.parametrize("target", ["esm", "cjs"])
def test_a_bundled_server_is_led_there(project: Path, newest_node: Path, target: str) -> None:
    """With everything in one file, as frameworks deploy it."""
    bundle = project / f"bundle.{'mjs' if target == 'esm' else 'cjs'}"
    esbuild = FOLDER / "node_modules/.bin/esbuild"
    banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"
    flags = ["--bundle", "--platform=node", f"--format={target}", f"--outfile={bundle}"]
    made = run_program(
        [str(esbuild), "server.mjs", *flags, *([f"--banner:js={banner}"] if target == "esm" else [])],
        cwd=project,
    )
    assert made.returncode == 0, made.stderr
    env = user_environment(MOCK_FAL_SPEED="100")
    program = [str(newest_node), *IMPORT, str(bundle)]
    with subprocess.Popen(program, cwd=project, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        asked = run_program(
            [
                str(newest_node),
                "-e",
                f"fetch('http://127.0.0.1:{port}').then(async (r) => console.log(await r.text()))",
            ]
        )
    assert asked.stdout.startswith("https://v3b.fal.media/files/b/"), asked.stderr
    assert process.returncode == 0


def test_node_test_works_without_it(project: Path, node: Path) -> None:
    done = run(project, node, "--test", "cat.test.mjs")
    assert (done.returncode, _passed(done.stdout)) == (0, 2), done.stdout


def test_test_files_share_a_server_with_it(project: Path, newest_node: Path) -> None:
    env = user_environment(MOCK_FAL_CLOCK="auto-advance", SHARED="1")
    done = run(project, newest_node, *IMPORT, "--test", "cat.test.mjs", "other.test.mjs", env=env)
    assert (done.returncode, _passed(done.stdout)) == (0, 4), done.stdout


def _passed(report: str) -> int:
    match = re.search(r"^(?:# |ℹ )pass (\d+)$", report, re.MULTILINE)
    return int(match[1]) if match else 0
