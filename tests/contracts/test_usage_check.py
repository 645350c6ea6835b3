"""Each buggy program violates the rule of its seeded bug and no other; correct programs violate none."""

from __future__ import annotations

import fcntl
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_fal_contracts.results import Status
from mock_fal_contracts.usage_rules import result_of
from mock_fal_contracts.usage_rules.catalogue import RULES
from mock_fal_contracts.usage_rules.program import TIMED_OUT, ProgramRunner, program_runner
from mock_fal_contracts.usage_rules.stress import FAULT_INJECTIONS, NO_FAULTS, selected

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = ROOT / "contracts/seeded_bugs"
BUGGY_PROGRAMS = [
    path for path in sorted(PROGRAMS.glob("*.py")) if "\nRule: usage." in path.read_text("utf-8")
]
# The results of a rule that has findings.
VIOLATED = (Status.FAILED, Status.ADVICE)

# The pages whose programs are checked.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/how-to").glob("*.md"))]

# The programs that these pages run with mock-fal run and at most --speed, as (page, program).
SAMPLES = [
    (page.name, name)
    for page in PAGES
    for name in re.findall(
        r"^mock-fal run (?:--speed 10 )?-- (?:python|node) (\S+\.(?:py|mjs))$",
        page.read_text("utf-8"),
        re.MULTILINE,
    )
]


@pytest.fixture(scope="module")
def runner() -> Iterator[ProgramRunner]:
    with program_runner(["--queue-duration", "0.05", "--run-duration", "0.1"]) as runner:
        yield runner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which Node finds the client packages."""
    (tmp_path / "node_modules").symlink_to(ROOT / "tests/clients/node/node_modules")
    return tmp_path


def metadata(path: Path, name: str) -> str:
    """The value of a `name: value` line in a program's docstring; empty if there is none."""
    match = re.search(rf"^{name}: (\S+)$", path.read_text("utf-8"), re.MULTILINE)
    return match[1] if match else ""


def violations(
    runner: ProgramRunner, command: list[str], stress: str = "", timeout_s: float = 60
) -> dict[str, str]:
    """The violated rules and their messages, by the rule's id."""
    runs = list(runner.runs(command, [NO_FAULTS, *selected(stress)], timeout_s))
    assert runs[0].record.exchanges, "the program sent no request"
    results = [result_of(rule, "program", runs) for rule in RULES]
    return {result.case.id: result.message for result in results if result.status in VIOLATED}


def test_each_rule_has_one_buggy_program() -> None:
    assert sorted(metadata(path, "Rule") for path in BUGGY_PROGRAMS) == sorted(rule.case.id for rule in RULES)
    assert len(RULES) >= 25


@pytest.mark.parametrize("path", BUGGY_PROGRAMS, ids=lambda path: path.stem)
def test_a_buggy_program_violates_its_rule_and_no_other(path: Path, runner: ProgramRunner) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 40
    violated = violations(runner, [sys.executable, str(path)], metadata(path, "Stress"), timeout_s=4)
    assert list(violated) == [metadata(path, "Rule")], violated


@pytest.mark.parametrize("name", ["correct.py", "correct_client.py", "correct_async_client.py"])
def test_a_correct_program_violates_no_rule_under_any_fault(name: str, runner: ProgramRunner) -> None:
    assert violations(runner, [sys.executable, str(PROGRAMS / name)], "all") == {}


def test_a_correct_javascript_program_violates_no_rule_under_any_fault(
    runner: ProgramRunner, folder: Path
) -> None:
    program = folder / "correct_client.mjs"
    program.write_text((PROGRAMS / program.name).read_text("utf-8"), "utf-8")
    assert violations(runner, ["node", str(program)], "all") == {}


@pytest.mark.parametrize(("page", "name"), SAMPLES)
def test_a_sample_of_the_documentation_violates_no_rule(
    page: str, name: str, runner: ProgramRunner, folder: Path
) -> None:
    [text] = [path.read_text("utf-8") for path in PAGES if path.name == page]
    [code] = re.findall(rf"^```\w+\n((?:#|//) {re.escape(name)}.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (folder / name).write_text(code, "utf-8")
    program = "node" if name.endswith(".mjs") else sys.executable
    assert violations(runner, [program, str(folder / name)], "refused,gone") == {}


def test_the_documentation_has_samples() -> None:
    assert {"app.py", "app.mjs", "stream.py"} <= {name for _, name in SAMPLES}


def test_a_hanging_program_is_ended_with_its_child_processes(runner: ProgramRunner, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    run = runner.run(["sh", "-c", f"flock {lock} sleep 60 & wait"], NO_FAULTS, 1)
    assert (run.code, run.record.killed_after_s) == (TIMED_OUT, 1)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # blocks for a minute if a child process still holds the lock


def test_each_fault_injection_is_named_by_some_rule() -> None:
    subjects = " ".join(rule.subject for rule in RULES)
    names = [injection.name for injection in FAULT_INJECTIONS]
    assert [name for name in names if f"--stress {name}" not in subjects] == []
