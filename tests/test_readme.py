"""The README and docs/ are run: every block of code, in a folder of its own, one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from mock_fal.models.catalog import FAMILIES
from mock_fal.settings import Settings
from mock_fal.web.control.api import ROUTES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCS = [path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", "\n".join([README, *DOCS]), re.MULTILINE | re.DOTALL)
SHELL = [code for language, code in BLOCKS if language == "sh"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that they show, each under the name in its first line."""
    folder = tmp_path_factory.mktemp("readme")
    for language, code in BLOCKS:
        if language in ("python", "js"):
            name = re.match(r"(?:#|//) (\S+\.\w+)", code)
            assert name is not None, f"a block without a name in its first line:\n{code}"
            file = folder / name[1].rstrip(":")
            assert not file.exists(), f"{file.name} is shown twice"
            file.write_text(code)
    (folder / "node_modules").symlink_to(ROOT / "tests/clients/node/node_modules")
    return folder


def environ() -> Mapping[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The README's programs are somebody else's: they run without our settings for coverage and pytest.
    return {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST"))} | {
        "PATH": path
    }


def test_the_readme_has_blocks() -> None:
    assert len(SHELL) >= 6
    assert DOCS


@pytest.mark.parametrize("code", [code for code in SHELL if "make " not in code])
def test_a_block_runs(code: str, folder: Path) -> None:
    run = subprocess.run(
        ["bash", "-euc", code], cwd=folder, env=environ(), capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, f"{code}\n{run.stdout}\n{run.stderr}"


def test_the_commands_of_the_clone_exist() -> None:
    targets = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert targets == ["demo", "test"]
    subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("name", [setting.name for setting in fields(Settings)])
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `--{name.replace('_', '-')}` |" in README


@pytest.mark.parametrize("endpoint", FAMILIES)
def test_every_endpoint_is_documented(endpoint: str) -> None:
    assert f"`{endpoint}`" in README


def test_every_route_of_the_control_api_is_documented() -> None:
    told = set(re.findall(r"(/_mock/[a-z./{}_]+)", README))
    assert {path for path in ROUTES if path.startswith("/_mock/")} <= told
