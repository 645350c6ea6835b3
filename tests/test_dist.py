"""A release: wheel and sdist, one version, and what the changelog says of it."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import mock_fal
from tests import dist

ROOT = Path(__file__).parent.parent
# A user's `make -j` or `make DIST=…` around the tests is not meant for this make.
QUIET_MAKE = {
    name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "DIST")
}


def test_make_dist_builds_packages_that_install_and_run_without_the_repository(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    command = ["make", f"DIST={folder}", "dist"]
    run = subprocess.run(command, cwd=ROOT, env=QUIET_MAKE, stdout=subprocess.PIPE, text=True, check=True)
    assert run.stdout.count("installed and used in a fresh environment") == 2
    version = mock_fal.__version__
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {f"mock_fal-{version}-py3-none-any.whl", f"mock_fal-{version}.tar.gz"}


def test_another_number_of_files_is_an_error() -> None:
    with pytest.raises(AssertionError, match="expected a wheel and an sdist, got: nothing"):
        dist.main([])


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "mock_fal/__init__.py"


def test_the_changelog_begins_with_the_present_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    released = rf"{re.escape(mock_fal.__version__)} \(\d{{4}}-\d\d-\d\d\)"
    assert re.fullmatch(rf"Unreleased \({re.escape(mock_fal.__version__)}\)|{released}", headings[0])
