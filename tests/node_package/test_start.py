"""How the npm package comes to a server: the four ways, what goes wrong, and how the server ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mock_fal import MockFal
from tests.clients.programs import PATIENCE_S, run_program
from tests.node_package.project import COMMANDS, user_environment

# A PATH without programs: a machine may have pipx or uv anywhere.
NOTHING = "/nonexistent"

START = """
  import { startMockFal } from 'mock-fal'
  const server = await startMockFal(JSON.parse(process.argv[2] ?? '{}'))
  const key = process.env.FAL_KEY
  const response = await fetch('https://fal.run/fal-ai/flux/schnell', {
    method: 'POST', headers: { authorization: `Key ${key}` }, body: JSON.stringify({ prompt: 'a cat' }),
  })
  const { clock } = await server.control.send('GET', 'health')
  await server.stop()
  const { url, version } = server
  console.log(JSON.stringify({ url, version, key, clock, status: response.status, after: process.env.FAL_KEY }))
"""


@pytest.fixture(scope="module", autouse=True)
def programs(project: Path) -> None:
    (project / "start.mjs").write_text(START)


def start(project: Path, node: Path, env: Mapping[str, str], **options: Any) -> Any:
    """What the program saw, or the message of its error."""
    done = run_program([str(node), "start.mjs", json.dumps(options)], cwd=project, env=env)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def command(folder: Path, name: str, script: str) -> Path:
    """A program in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return folder


def without_mock_fal(**changes: str) -> dict[str, str]:
    """The environment of a user who has neither mock-fal nor uv nor pipx in PATH."""
    return user_environment(PATH=NOTHING, **changes)


def test_it_starts_the_command_in_path(project: Path, node: Path) -> None:
    seen = start(project, node, user_environment())
    assert (seen["status"], seen["key"], seen["clock"]) == (200, "mock:fal", "auto-advance")
    assert seen["after"] == "real:key"


@pytest.mark.parametrize(
    ("name", "first"), [("uvx", '[ "$1" = mock-fal ]'), ("pipx", '[ "$1 $2" = "run mock-fal" ] && shift')]
)
def test_it_starts_it_with_uvx_or_pipx(
    project: Path, newest_node: Path, tmp_path: Path, name: str, first: str
) -> None:
    script = f'{first} || exit 9\nshift\nexec {COMMANDS / "mock-fal"} "$@"'
    folder = command(tmp_path / "bin", name, script)
    seen = start(project, newest_node, without_mock_fal() | {"PATH": f"{folder}"})
    assert seen["status"] == 200


def test_mock_fal_command_comes_first_and_may_have_arguments(
    project: Path, newest_node: Path, tmp_path: Path
) -> None:
    folder = command(tmp_path / "bin", "mock-fal", "exit 9")
    own = f"'{sys.executable}' -m mock_fal"
    seen = start(project, newest_node, user_environment(PATH=f"{folder}", MOCK_FAL_COMMAND=own))
    assert seen["status"] == 200


def test_it_joins_a_server_that_runs(project: Path, newest_node: Path, mock_fal_server: MockFal) -> None:
    """By its address alone: the package asks the command for the rest. The server stays."""
    mock_fal_server.reset()
    seen = start(project, newest_node, user_environment(MOCK_FAL_URL=f"{mock_fal_server.url}/"))
    assert (seen["url"], seen["status"]) == (mock_fal_server.url, 200)
    assert [exchange.endpoint for exchange in mock_fal_server.requests] == ["fal-ai/flux/schnell"]


def test_under_mock_fal_run_it_needs_no_command(
    project: Path, newest_node: Path, joined: dict[str, str], mock_fal_server: MockFal
) -> None:
    seen = start(project, newest_node, joined | {"PATH": NOTHING})
    assert (seen["url"], seen["status"]) == (mock_fal_server.url, 200)


def test_if_a_running_server_needs_the_command_that_is_said(
    project: Path, newest_node: Path, mock_fal_server: MockFal
) -> None:
    message = start(project, newest_node, without_mock_fal(MOCK_FAL_URL=mock_fal_server.url))
    assert f"this package runs: mock-fal env --url {mock_fal_server.url}" in message
    assert "There are four ways" in message


def test_another_clock_than_the_wanted_one_is_refused(
    project: Path, newest_node: Path, joined: dict[str, str]
) -> None:
    message = start(project, newest_node, joined, clock="manual")
    assert re.search(
        r"clock is manual, but the mock-fal at \S+ was started with --clock auto-advance", message
    )


def test_without_a_redirect_it_needs_no_command_either(
    project: Path, newest_node: Path, mock_fal_server: MockFal
) -> None:
    program = """
      import { startMockFal } from 'mock-fal'
      const server = await startMockFal({ url: process.argv[2], redirect: false })
      const none = await server.account("cat").requests()
      console.log(process.env.FAL_KEY, none.length, server.account('cat').key)
    """
    (project / "watch.mjs").write_text(program)
    done = run_program(
        [str(newest_node), "watch.mjs", mock_fal_server.url], cwd=project, env=without_mock_fal()
    )
    assert (done.stdout, done.stderr) == ("real:key 0 cat:fal\n", "")


def test_if_there_is_no_way_all_four_are_named(project: Path, newest_node: Path) -> None:
    message = start(project, newest_node, without_mock_fal())
    for way in (
        "pip install mock-fal",
        "MOCK_FAL_COMMAND",
        "uvx mock-fal",
        "pipx run mock-fal",
        "MOCK_FAL_URL",
    ):
        assert way in message
    assert "code: 'ERR_MOCK_FAL_NOT_FOUND'" in message


def test_the_command_of_this_package_is_not_taken_for_mock_fal(
    project: Path, newest_node: Path, tmp_path: Path
) -> None:
    """npm puts node_modules/.bin into PATH, in which `mock-fal` is the one of this package."""
    folder = command(tmp_path / "node_modules", ".ignored", "").joinpath(".bin")
    command(folder, "mock-fal", "echo wrong; exit 9")
    message = start(project, newest_node, without_mock_fal() | {"PATH": f"{folder}"})
    assert "There are four ways" in message


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"clock": "sundial"}, "--clock: 'sundial': expected system or manual or auto-advance"),
        ({"nonsense": 1}, "unrecognized arguments: --nonsense 1"),
        ({"url": "ftp://x"}, "the address of mock-fal is ftp://x, expected an http:// URL"),
        ({"url": "nowhere"}, 'the address of mock-fal is "nowhere", expected a URL'),
        (
            {"url": "http://127.0.0.1:9", "redirect": False},
            "the mock-fal at http://127.0.0.1:9 does not answer",
        ),
        (
            {"url": "http://127.0.0.1:9", "speed": 2},
            "--speed 2: there is a server at http://127.0.0.1:9 already",
        ),
    ],
)
def test_a_mistake_is_explained(
    project: Path, newest_node: Path, options: dict[str, Any], reason: str
) -> None:
    message = start(project, newest_node, user_environment(), **options)
    assert reason in message


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo hello", 'printed "hello\\n", expected JSON'),
        ("echo broken >&2; exit 3", "ended with exit code 3\nbroken"),
    ],
)
def test_a_command_that_is_not_mock_fal_is_reported(
    project: Path, newest_node: Path, tmp_path: Path, script: str, reason: str
) -> None:
    folder = command(tmp_path / "bin", "mock-fal", script)
    message = start(project, newest_node, user_environment(PATH=f"{folder}"))
    assert f"{folder}/mock-fal serve --attached --clock auto-advance: {reason}" in message


def test_another_server_can_follow_in_the_same_process(project: Path, newest_node: Path) -> None:
    program = """
      import { startMockFal } from 'mock-fal'
      const statuses = []
      for (const queueDuration of [1, 2]) {
        const server = await startMockFal({ queueDuration })
        statuses.push((await fetch('https://rest.fal.ai/.well-known/jwks.json')).status)
        await server.stop()
      }
      const gone = await fetch('https://fal.run/').catch((error) => error.cause.code)
      console.log(JSON.stringify([...statuses, gone, process.env.FAL_KEY]))
    """
    (project / "two.mjs").write_text(program)
    done = run_program([str(newest_node), "two.mjs"], cwd=project, env=user_environment())
    assert json.loads(done.stdout or done.stderr) == [200, 200, "ECONNREFUSED", "real:key"]


@pytest.mark.parametrize("ending", ["process.exit(0)", "process.kill(process.pid, 'SIGKILL')"])
def test_the_server_ends_with_its_process(project: Path, newest_node: Path, ending: str) -> None:
    program = f"""
      import {{ startMockFal }} from 'mock-fal'
      const server = await startMockFal()
      process.stdout.write(server.url, () => {ending})
    """
    (project / "end.mjs").write_text(program)
    process = subprocess.Popen(
        [str(newest_node), "end.mjs"], cwd=project, env=user_environment(), stdout=subprocess.PIPE, text=True
    )
    url, _ = process.communicate(timeout=PATIENCE_S)
    port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)", url)[1])  # type: ignore[index]
    assert process.returncode in (0, -signal.SIGKILL)
    ended = run_program([sys.executable, "-c", _WAIT, str(port)])
    assert ended.stdout == "ended\n"


_WAIT = """
import socket, sys, time
for _ in range(1000):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
    except ConnectionRefusedError:
        print("ended")
        break
    time.sleep(0.02)
"""


def test_npx_mock_fal_runs_the_command(project: Path, newest_node: Path) -> None:
    binary = "node_modules/mock-fal/bin.cjs"
    flags = ["run", "--", "sh", "-c", 'test "$FAL_KEY" = mock:fal && exit 7']
    done = run_program([str(newest_node), binary, *flags], cwd=project, env=user_environment())
    assert (done.returncode, "mock-fal: no request received" in done.stderr) == (7, True)
    missing = run_program([str(newest_node), binary, "--version"], cwd=project, env=without_mock_fal())
    assert (missing.returncode, "There are four ways" in missing.stderr) == (127, True)


def test_the_tests_have_mock_fal_in_path() -> None:
    assert os.access(COMMANDS / "mock-fal", os.X_OK)
