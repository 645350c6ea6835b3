"""fal's own clients, new and old, under the usage rules: no errors, and the advice that the documentation lists."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_fal_contracts.results import Status
from mock_fal_contracts.usage_rules import result_of
from mock_fal_contracts.usage_rules.catalogue import RULES
from mock_fal_contracts.usage_rules.program import ProgramRunner, program_runner
from mock_fal_contracts.usage_rules.stress import NO_FAULTS, selected
from tests.clients.programs import FOLDER, Node, missing, tool

PROGRAMS = Path(__file__).parent / "clients"
OLDER = Path(sys.prefix) / "fal-client"


@pytest.fixture(scope="module")
def runner() -> Iterator[ProgramRunner]:
    with program_runner(["--queue-duration", "0.05", "--run-duration", "0.1"]) as runner:
        yield runner


def findings(runner: ProgramRunner, command: list[str]) -> dict[str, Status]:
    """The rules with findings, without faults and with the two after which clients try again."""
    runs = list(runner.runs(command, [NO_FAULTS, *selected("broken,unknown-key")], 60))
    operations = {exchange.operation for exchange in runs[0].record.exchanges}
    assert {"submit", "status", "result", "run", "stream", "upload"} <= operations
    results = [result_of(rule, "client", runs) for rule in RULES]
    return {
        result.case.id: result.status
        for result in results
        if result.status not in (Status.PASSED, Status.SKIPPED)
    }


@pytest.mark.parametrize(
    ("version", "expected"), [("0.4.1", {"usage.key-to-storage": Status.ADVICE}), ("0.7.0", {})]
)
def test_an_older_python_client_gets_no_error(
    version: str, expected: dict[str, Status], runner: ProgramRunner
) -> None:
    folder = OLDER / version
    if not folder.is_dir():
        missing(f"{folder} is not there: `make tools` installs it")
    program = [sys.executable, str(PROGRAMS / "every_call.py")]
    python_path = os.pathsep.join([runner.environ["PYTHONPATH"], str(folder)])
    assert findings(runner, [tool("env"), f"PYTHONPATH={python_path}", *program]) == expected


@pytest.mark.parametrize("package", ["fal-client-1.0", "fal-serverless-client"])
def test_an_older_javascript_client_gets_no_error(
    package: str, runner: ProgramRunner, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    program = tmp_path / "every_call.mjs"
    program.write_text((PROGRAMS / program.name).read_text("utf-8"), "utf-8")
    assert findings(runner, [str(Node("24").binary), str(program), package]) == {}
