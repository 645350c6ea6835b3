"""Projects of users of the npm package: it is packed and installed, beside the test runners of tests/clients/node."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess

from tests.clients.programs import FOLDER, SETUP, missing, run_program, tool

PACKAGE = Path(__file__).parents[2] / "node"
# The command, not the Python module: a user has it in PATH.
COMMANDS = Path(sys.executable).parent

VITEST = "node_modules/vitest/vitest.mjs"
JEST = "node_modules/jest/bin/jest.js"
PLAYWRIGHT = "node_modules/@playwright/test/cli.js"
TSC = "node_modules/typescript/bin/tsc"


@cache
def tarball() -> Path:
    """What `npm publish` would send."""
    folder = Path(tempfile.mkdtemp(prefix="mock-fal-npm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    done = run_program([tool("npm"), "pack", "--silent", "--pack-destination", str(folder)], cwd=PACKAGE)
    assert done.returncode == 0, done.stderr
    [packed] = folder.glob("*.tgz")
    return packed


@cache
def installed() -> Path:
    """The package as npm installs it, without a network: it has no dependencies."""
    folder = tarball().parent / "project"
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    install = ["install", "--offline", "--no-audit", "--no-fund", "--silent", str(tarball())]
    done = run_program([tool("npm"), *install], cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    assert [entry.name for entry in (folder / "node_modules").iterdir() if entry.name[0] != "."] == [
        "mock-fal"
    ]
    return folder / "node_modules/mock-fal"


def add_packages(project: Path) -> Path:
    """Give a project a node_modules with mock-fal, and with fal's client and the test runners."""
    if not (FOLDER / "node_modules/jest").exists():
        missing(f"the test runners are not installed; install them with: {SETUP}")
    modules = project / "node_modules"
    modules.mkdir(parents=True)
    for entry in (FOLDER / "node_modules").iterdir():
        (modules / entry.name).symlink_to(entry)
    shutil.copytree(installed(), modules / "mock-fal")
    return project


def user_environment(**changes: str) -> dict[str, str]:
    """The environment of a user who has mock-fal in PATH, without this process's own server."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(COMMANDS), os.environ["PATH"]])
    return {**kept, "PATH": path, "NO_COLOR": "1", "FAL_KEY": "real:key", **changes}


def run(
    project: Path, node: Path | str, *arguments: str, env: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run Node in a project, as a user with mock-fal in PATH."""
    return run_program([str(node), *arguments], cwd=project, env=env or user_environment())
