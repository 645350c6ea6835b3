"""The workflows of GitHub Actions: valid, without stored tokens, and with the versions that we support."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
BIN = Path(sys.executable).parent


def jobs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text("utf-8"))["jobs"]
    return found


def matrix(job: str) -> list[str]:
    [values] = jobs("ci.yml")[job]["strategy"]["matrix"].values()
    return list(values)


def test_actionlint_finds_nothing() -> None:
    run = subprocess.run(
        [BIN / "actionlint", "-no-color", *WORKFLOWS], cwd=ROOT, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "")
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


def test_actionlint_finds_a_mistake(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text("utf-8").replace("matrix.python", "matrix.pyton"), "utf-8")
    run = subprocess.run([BIN / "actionlint", "-no-color", wrong], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert 'property "pyton" is not defined' in run.stdout


def test_the_quick_tests_run_on_every_python_that_we_support() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pythons = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert matrix("check") == pythons
    assert matrix("test") == [pythons[0], pythons[-1]]
    assert project["requires-python"] == f">={pythons[0]}"


def test_the_clients_run_on_every_node_that_they_are_tested_with() -> None:
    package = json.loads((ROOT / "tests/clients/node/package.json").read_text("utf-8"))
    nodes = {match[1] for name in package["optionalDependencies"] if (match := re.match(r"node(\d+)-", name))}
    assert matrix("node") == sorted(nodes)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_uses_a_stored_token(workflow: Path) -> None:
    text = workflow.read_text("utf-8")
    assert "secrets." not in text
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("registry", ["pypi", "npm", "container"])
def test_a_registry_trusts_the_workflow(registry: str) -> None:
    job = jobs("release.yml")[registry]
    assert job["permissions"]["id-token"] == "write"
    assert job["needs"] == "build"  # with all tests
