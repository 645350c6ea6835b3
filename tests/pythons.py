"""Runs the quick tests on each supported Python of this machine: `python -m tests.pythons [PATH …]`.

A Python is found on PATH, among those of pyenv, or by uv, which downloads it where GitHub can be reached.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
UV: Final = Path(sys.executable).with_name("uv")
ENVIRONMENTS: Final = ROOT / ".venv/pythons"


def supported() -> list[str]:
    """The versions that the package declares, oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))


def find(version: str) -> str | None:
    """The path of a Python of this version, or None."""
    return next((path for path in _candidates(version) if _version(path) == version), None)


def _candidates(version: str) -> Iterator[str]:
    if found := shutil.which(f"python{version}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True))
    if found := _output(str(UV), "python", "find", "--no-project", version):
        yield found
    if _output(str(UV), "python", "install", version) is not None:
        yield _output(str(UV), "python", "find", "--no-project", "--managed-python", version) or ""


def _version(python: str) -> str | None:
    """The version of a Python; None if it does not run, such as a shim of pyenv without a Python behind it."""
    return _output(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")


def _output(*command: str) -> str | None:
    """What a command prints; None if it fails."""
    try:
        run = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() if run.returncode == 0 else None


def test(version: str, python: str, paths: Sequence[str]) -> bool:
    """Run the quick tests in an environment of its own. Whether they pass."""
    environment = ENVIRONMENTS / version
    own = environment / "bin/python"
    install: list[str | Path] = [
        UV,
        "pip",
        "install",
        "--quiet",
        "--python",
        own,
        "--editable",
        ".",
        "--group",
        "dev",
    ]
    pytest: list[str | Path] = [
        own,
        "-m",
        "pytest",
        "-q",
        "-n",
        "auto",
        "-p",
        "no:cacheprovider",
        "-m",
        "not programs",
        *paths,
    ]
    commands: list[list[str | Path]] = [
        [UV, "venv", "--quiet", "--allow-existing", "--python", python, environment],
        install,
        pytest,
    ]
    return all(subprocess.run(command, cwd=ROOT).returncode == 0 for command in commands)


def main(paths: Sequence[str]) -> int:
    """Print a line for each version: passed, failed or not found. Returns 1 if one failed or none was found."""
    results: dict[str, str] = {}
    for version in supported():
        python = find(version)
        if python is None:
            results[version] = "not found on PATH, in pyenv and by uv"
            continue
        sys.stdout.write(f"Python {version}: {python}\n")
        sys.stdout.flush()
        results[version] = "passed" if test(version, python, paths) else "FAILED"
    for version, result in results.items():
        sys.stdout.write(f"Python {version}: {result}\n")
    return 0 if "passed" in results.values() and "FAILED" not in results.values() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
