"""Installs a wheel or an sdist into a fresh environment and uses it there: `python -m tests.dist FILE …`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# What a user installs beside it.
BESIDE: Final = ("fal-client>=1.0.3", "pytest>=8.3")

PROGRAM: Final = """\
import sys
from urllib.request import urlopen

import fal_client

result = fal_client.subscribe("fal-ai/flux/schnell", {"prompt": "a cat", "seed": 7})
assert result["seed"] == 7, result
sys.stdout.buffer.write(urlopen(result["images"][0]["url"]).read(3))
"""

TEST: Final = """\
import fal_client


def test_the_plugin_is_installed(mock_fal):
    fal_client.subscribe("fal-ai/flux/schnell", {"prompt": "a cat"})
    mock_fal.assert_called_once_with(endpoint="fal-ai/flux/schnell", prompt="a cat")
"""

JPEG: Final = b"\xff\xd8\xff"


def check(package: Path, version: str, extra: str = "") -> None:
    """Install `package`, and use the command, fal's client and the pytest plugin; with its extra, the contract checks.

    Raises CalledProcessError or AssertionError. The environment knows nothing of this repository.
    """
    with tempfile.TemporaryDirectory(prefix="mock-fal-dist-") as name:
        folder = Path(name)
        python = _install(package, extra, folder / "environment")
        scripts = python.parent
        (folder / "app.py").write_text(PROGRAM, "utf-8")
        (folder / "test_app.py").write_text(TEST, "utf-8")

        def run(*command: str | Path) -> bytes:
            return subprocess.run(
                command, cwd=folder, env=_environ(scripts), check=True, stdout=subprocess.PIPE, timeout=240
            ).stdout

        home = run(python, "-c", "import mock_fal; print(mock_fal.__file__)").decode().strip()
        assert Path(home).is_relative_to(folder), f"mock_fal was imported from {home}"
        assert run("mock-fal", "--version").decode() == f"mock-fal {version}\n"
        assert run("mock-fal", "run", "--clock", "auto-advance", "--", "python", "app.py") == JPEG
        run(python, "-m", "pytest", "-q", "-p", "no:schemathesis", "test_app.py")
        if extra:  # Schemathesis, Hypothesis and the OpenAPI documents
            run(
                "mock-fal", "check", "--quiet", "--only", "invariant.queue.submit", "--only", "spec.rest.jwks"
            )


def _install(package: Path, extra: str, environment: Path) -> Path:
    """A new environment with the package; its Python."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    python = environment / "bin/python"
    requirements = [f"mock-fal{extra} @ {package.resolve().as_uri()}", *BESIDE]
    # Always this file: uv caches by name and version, and a build of the same version replaces it.
    command: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--refresh-package",
        "mock-fal",
    ]
    subprocess.run([*command, *requirements], check=True)
    return python


def _environ(scripts: Path) -> dict[str, str]:
    """The environment of a user whose shell has activated the new environment."""
    dropped = ("COV_", "PYTEST", "PYTHON", "VIRTUAL_ENV", "MOCK_FAL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PATH": os.pathsep.join([str(scripts), os.environ["PATH"]])}


def main(files: Sequence[str]) -> None:
    """Check each file; its version is that of this tree."""
    from mock_fal import __version__

    assert len(files) == 2, f"expected a wheel and an sdist, got: {' '.join(files) or 'nothing'}"
    for file in map(Path, files):
        check(file, __version__, "[check]" if file.suffix == ".whl" else "")
        sys.stdout.write(f"{file}: installed and used in a fresh environment\n")


if __name__ == "__main__":
    main(sys.argv[1:])
