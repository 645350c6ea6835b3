"""The GitHub Actions `action.yml` and `report/action.yml`, and the workflow of docs/how-to/github-actions.md.

A job runs here as a runner of GitHub would run it: each `run:` in a bash of its own, with the files GITHUB_ENV,
GITHUB_PATH, GITHUB_OUTPUT and GITHUB_STEP_SUMMARY.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clients.programs import FOLDER as NODE
from tests.clients.programs import Node

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/how-to/github-actions.md").read_text("utf-8")
BIN = Path(sys.executable).parent

ENV, PATHS, OUTPUT, SUMMARY = "GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"


class StepFailed(Exception):
    """A step ended with another exit code than 0. The text is what it printed."""


@dataclass
class Job:
    """A job on a runner: what its steps have in common."""

    workspace: Path
    temp: Path
    os: str = "Linux"
    env: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    summary: str = ""
    artifacts: dict[str, Path] = field(default_factory=dict)
    log: str = ""

    def action(self, folder: Path, values: Mapping[str, str] | None = None, id: str = "") -> None:
        """Run a composite action with inputs."""
        document = yaml.safe_load((folder / "action.yml").read_text("utf-8"))
        assert document["runs"]["using"] == "composite"
        inputs = {name: row.get("default", "") for name, row in document["inputs"].items()} | dict(
            values or {}
        )
        assert inputs.keys() == document["inputs"].keys(), "an input that the action does not have"
        inner: dict[str, dict[str, str]] = {}
        for step in document["runs"]["steps"]:
            context = {"inputs": inputs, "action_path": str(folder), "steps": inner}
            if "run" in step:
                inner[step.get("id", "")] = self.step(step["run"], step.get("env", {}), context)
            else:
                self._upload(step, context)
        results = document.get("outputs", {}).items()
        self.outputs[id] = {name: self._expand(row["value"], {"steps": inner}) for name, row in results}

    def step(
        self, script: str, env: Mapping[str, str] | None = None, context: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """Run a script, and return its outputs. Raises StepFailed."""
        context = {"steps": self.outputs, **(context or {})}
        files = {name: self.temp / f"_{name}" for name in (ENV, PATHS, OUTPUT, SUMMARY)}
        for path in files.values():
            path.write_text("", "utf-8")
        own = {name: self._expand(value, context) for name, value in (env or {}).items()}
        file = self.temp / "_script.sh"
        file.write_text(self._expand(script, context), "utf-8")
        with (self.temp / "_log").open("w+b") as log:  # a pipe would stay open as long as mock-fal runs
            code = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", file],
                cwd=self.workspace,
                env=self._environ() | own | {name: str(path) for name, path in files.items()},
                stdout=log,
                stderr=log,
                timeout=240,
            ).returncode
            log.seek(0)
            self.log = log.read().decode()
        if code:
            raise StepFailed(self.log)
        for name, value in _pairs(files[ENV]).items():
            # The runner refuses this name since 2.309.0.
            assert name != "NODE_OPTIONS", (
                "Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command."
            )
            self.env[name] = value
        self.paths = [*reversed(files[PATHS].read_text("utf-8").splitlines()), *self.paths]
        self.summary += files[SUMMARY].read_text("utf-8")
        return _pairs(files[OUTPUT])

    def _environ(self) -> dict[str, str]:
        # A runner has no settings of our own tests.
        dropped = ("COV_", "PYTEST", "MOCK_FAL", "FAL_", "NODE_OPTIONS", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        search = os.pathsep.join([*self.paths, str(BIN), os.environ["PATH"]])
        return kept | {"RUNNER_OS": self.os, "RUNNER_TEMP": str(self.temp)} | self.env | {"PATH": search}

    def _upload(self, step: Mapping[str, Any], context: Mapping[str, Any]) -> None:
        assert step["uses"].startswith("actions/upload-artifact@")
        name, path = (self._expand(step["with"][key], context) for key in ("name", "path"))
        assert list(Path(path).iterdir()), "if-no-files-found: error"
        self.artifacts[name] = Path(path)

    def _expand(self, text: str, context: Mapping[str, Any]) -> str:
        """Replace the expressions that our files use. Raises KeyError for another one."""

        def value(match: re.Match[str]) -> str:
            source, *names = match[1].split(".")
            if match[1] in ("github.action_path", "runner.temp"):
                return str({"action_path": context.get("action_path"), "temp": self.temp}[names[0]])
            if source == "steps":
                id, kind, name = names
                assert kind == "outputs"
                return str(context["steps"][id][name])
            return str(context[source][names[0]])

        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", value, text)

    def end(self) -> None:
        """End the background processes of the job, as a runner does."""
        name = str(self.temp / "mock-fal")
        for folder in Path("/proc").iterdir():
            with suppress(OSError, ProcessLookupError):
                if folder.name.isdigit() and name in (folder / "cmdline").read_text("utf-8", "replace"):
                    os.kill(int(folder.name), signal.SIGTERM)


def _pairs(file: Path) -> dict[str, str]:
    """The lines NAME=VALUE of a file. The runner takes no other line, except those of a heredoc, which we don't use."""
    lines = [line for line in file.read_text("utf-8").splitlines() if line]
    assert all("=" in line for line in lines), "Invalid format"
    return dict(line.split("=", 1) for line in lines)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def guide(language: str, name: str) -> str:
    """The block of the guide with this file name in its first line."""
    match = re.search(
        rf"^```{language}\n(?:#|//) {re.escape(name)}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL
    )
    assert match, name
    return match[1]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """The job of the guide, after its last step."""
    workspace, temp = tmp_path_factory.mktemp("workspace"), tmp_path_factory.mktemp("temp")
    (workspace / "test_app.py").write_text(guide("python", "test_app.py"), "utf-8")
    (workspace / "app.mjs").write_text(guide("js", "app.mjs"), "utf-8")
    (workspace / "node_modules").symlink_to(NODE / "node_modules")
    job = Job(workspace, temp, env={"PYTEST_ADDOPTS": "-p no:schemathesis -p no:cov"})
    job.paths = [str(Path(Node("20").binary).parent)]
    try:
        for step in yaml.safe_load(guide("yaml", ".github/workflows/test.yml"))["jobs"]["test"]["steps"]:
            _run_step(job, step)
        yield job
    finally:
        job.end()


def _run_step(job: Job, step: Mapping[str, Any]) -> None:
    uses, _, tag = step.get("uses", "@").partition("@")
    if uses.startswith("OWNER/mock-fal"):
        assert tag == "v0.1.0"
        ports = {} if uses.endswith("/report") else {"port": free_port()}
        folder = ROOT / uses.removeprefix("OWNER/mock-fal").strip("/")
        job.action(folder, {**step.get("with", {}), **ports}, step.get("id", ""))
    elif "run" in step and not step["run"].startswith("pip install"):  # they are installed here
        job.step(step["run"], step.get("env"))
    else:
        assert uses.startswith("actions/") or "run" in step


def test_a_later_step_reaches_mock_fal_unchanged(job: Job) -> None:
    """Python's client under pytest, and Node 20 with the output `node-options`."""
    archive = json.loads((job.artifacts["mock-fal"] / "requests.har").read_bytes())
    posts = [entry["request"] for entry in archive["log"]["entries"] if entry["request"]["method"] == "POST"]
    agents = [
        row["value"] for post in posts for row in post["headers"] if row["name"].lower() == "user-agent"
    ]
    assert [agent.partition("/")[0] for agent in agents] == ["fal-client", "@fal-ai"]


def test_the_report_has_the_summary_and_the_artifact(job: Job) -> None:
    lines = job.summary.splitlines()
    assert lines[:3] == ["### mock-fal", "", "~~~~~~~~~~text"]
    assert lines[-1] == "~~~~~~~~~~"
    assert re.fullmatch(r"\d+ requests received", lines[3])
    assert "  POST   queue.fal.run/fal-ai/flux/schnell  200 ×2" in lines
    archive = json.loads((job.artifacts["mock-fal"] / "requests.har").read_bytes())
    assert archive["log"]["creator"]["name"] == "mock-fal"
    assert {path.name for path in job.artifacts["mock-fal"].iterdir()} == {
        *("summary.txt", "requests.har", "requests.json", "deliveries.json"),
        *("files.json", "usage.json", "scenario.json", "server.log"),
    }


def test_mock_fal_still_runs_after_the_report_for_the_rest_of_the_job(job: Job) -> None:
    job.step(
        'curl -sf https://fal.run/fal-ai/flux/schnell -H "Authorization: Key $FAL_KEY" -d \'{"prompt": "a dog"}\''
    )
    assert json.loads(job.log)["prompt"] == "a dog"


@pytest.mark.parametrize("version", ["22", "24"])
def test_newer_nodes_need_no_options(job: Job, version: str) -> None:
    job.step(f"{Node(version).binary} app.mjs")
    assert job.log.splitlines()[-1].startswith("https://v3b.fal.media/")


def test_the_python_of_the_job_stays_as_it_is(job: Job) -> None:
    job.step("command -v python mock-fal")
    python, command = job.log.splitlines()
    assert python == str(BIN / "python")
    assert command == str(job.temp / "mock-fal/bin/mock-fal")


def test_a_wrong_flag_fails_at_once_with_the_reason(job: Job) -> None:
    again = Job(job.workspace, job.temp)
    start = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["runs"]["steps"][1]
    with pytest.raises(StepFailed) as failed:
        again.step(start["run"], {"ARGS": "--clok system\n", "PORT": free_port()})
    assert "::error::mock-fal did not start: " in str(failed.value)
    assert "unrecognized arguments: --clok system" in str(failed.value)


def test_a_report_without_mock_fal_says_so(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="::error::mock-fal is not running in this job"):
        Job(tmp_path, tmp_path).action(ROOT / "report")


def test_windows_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="::error::mock-fal runs on Linux and macOS runners"):
        Job(tmp_path, tmp_path, os="Windows").action(ROOT)


@pytest.mark.parametrize("folder", ["", "report"])
def test_an_action_has_the_form_that_github_expects(folder: str) -> None:
    file = ROOT / folder / "action.yml"
    command: list[str | Path] = [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-actions", file]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    assert "${{" not in "".join(
        step.get("run", "") for step in yaml.safe_load(file.read_text("utf-8"))["runs"]["steps"]
    )


def test_the_inputs_and_outputs_are_documented() -> None:
    for folder in ("", "report"):
        document = yaml.safe_load((ROOT / folder / "action.yml").read_text("utf-8"))
        names = [*document["inputs"], *document.get("outputs", {})]
        assert [name for name in names if f"`{name}`" not in GUIDE] == []


def test_the_workflow_of_the_guide_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "test.yml"
    file.write_text(guide("yaml", ".github/workflows/test.yml"), "utf-8")
    run = subprocess.run([BIN / "actionlint", "-no-color", file], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")
