"""Programs that the tests start: each Node, curl, Python and our own command line, with what they print."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mock_fal import MockFal

FOLDER = Path(__file__).parent / "node"
SETUP = "npm ci --prefix tests/clients/node"
NODES = ("20", "22", "24")

# Nothing here takes so long; a test that hangs fails instead.
PATIENCE_S = 120.0


class Node:
    """One Node, with the npm packages of this folder."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.binary = _binary(version)

    def __call__(
        self, script: str | Path, *arguments: str, env: Mapping[str, str] | None = None, told: bool = True
    ) -> Any:
        """What a script prints last, as JSON. A word on stderr is a failure, and so is an exit code.

        With `told=False` all of stdout is returned as text.
        """
        done = finished([str(self.binary), str(FOLDER / script), *arguments], env=env)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout
        return json.loads(done.stdout.splitlines()[-1]) if told else done.stdout


def finished(
    command: list[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    given: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """A program that has ended: its exit code, and what it printed."""
    return subprocess.run(
        command,
        env=env,
        cwd=cwd,
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )


def mock_fal_run(
    command: list[str], *flags: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`mock-fal run FLAGS -- COMMAND`, as a person would type it."""
    ours = [sys.executable, "-m", "mock_fal", "run", "--speed", "50", *flags, "--"]
    return finished([*ours, *command], cwd=cwd)


def tool(name: str) -> str:
    """The path of a program that the machine should have."""
    return shutil.which(name) or missing(f"{name} is not installed")


def missing(what: str) -> NoReturn:
    """Something that a test needs is not here: skip it. In CI everything is here, and so it fails."""
    if "CI" in os.environ:
        pytest.fail(what)
    pytest.skip(what)


def _binary(version: str) -> Path:
    # The packages are named for what they run on, and npm installs those only that fit: node22-linux-x64, say.
    found = sorted((FOLDER / "node_modules").glob(f"node{version}-*/bin/node"))
    if not found or not (FOLDER / "node_modules/@fal-ai/client").exists():
        missing(f"no Node {version} or no clients in {FOLDER.name}/node_modules; set up by: {SETUP}")
    return found[0]


class StandingClock:
    """For a class of tests: their server's clock moves only when they move it, so no request ends by itself."""

    @pytest.fixture(scope="class")
    @classmethod
    def mock_fal_server(cls) -> Iterator[MockFal]:
        with MockFal(clock="manual") as fal:
            yield fal
