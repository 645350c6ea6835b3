"""Programs that the tests run: Node versions, curl, Python and mock-fal's command line."""

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

# A timeout, so that a test that hangs fails.
PATIENCE_S = 120.0


class Node:
    """One Node version, with the npm packages of this folder."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.binary = _binary(version)

    def __call__(
        self,
        script: str | Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        json_output: bool = True,
    ) -> Any:
        """Run a script and return the last line of its output as JSON. Output on stderr is a failure.

        With `json_output=False` stdout is returned as text.
        """
        done = run_program([str(self.binary), str(FOLDER / script), *arguments], env=env)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout
        return json.loads(done.stdout.splitlines()[-1]) if json_output else done.stdout


def client_python(name: str = "current") -> str:
    """The Python in which a program of tests/clients/python runs: `current`, or `older` for older packages."""
    python = Path(sys.prefix) / "clients" / name / "bin/python"
    return str(python) if python.exists() else missing(f"{python} is not there: `make tools` installs it")


def run_program(
    command: list[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its exit code and output."""
    return subprocess.run(
        command,
        env=env,
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )


def mock_fal_run(
    command: list[str], *flags: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `mock-fal run FLAGS -- COMMAND`."""
    run_command = [sys.executable, "-m", "mock_fal", "run", "--speed", "50", *flags, "--"]
    return run_program([*run_command, *command], cwd=cwd)


def tool(name: str) -> str:
    """The path of a program; if it is not installed, the test is skipped, or fails in CI."""
    return shutil.which(name) or missing(f"{name} is not installed")


def missing(reason: str) -> NoReturn:
    """Skip a test because something is not installed; in CI, fail it."""
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


def _binary(version: str) -> Path:
    # The packages are named by platform, as in node22-linux-x64, and npm installs those of this platform only.
    binaries = sorted((FOLDER / "node_modules").glob(f"node{version}-*/bin/node"))
    if not binaries or not (FOLDER / "node_modules/@fal-ai/client").exists():
        missing(f"no Node {version} or no clients in {FOLDER.name}/node_modules; install with: {SETUP}")
    return binaries[0]


class WithManualClock:
    """A base for test classes with a manual clock, so that no request ends by itself."""

    @pytest.fixture(scope="class")
    @classmethod
    def mock_fal_server(cls) -> Iterator[MockFal]:
        with MockFal(clock="manual") as fal:
            yield fal
