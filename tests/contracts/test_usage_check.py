"""Each mutant is found, by the rule that it is planted for and by no other; nobody else is accused."""

from __future__ import annotations

import fcntl
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_fal_contracts.results import Status
from mock_fal_contracts.usage_rules import judged
from mock_fal_contracts.usage_rules.catalogue import RULES
from mock_fal_contracts.usage_rules.program import TIMED_OUT, ProgramRunner, opened
from mock_fal_contracts.usage_rules.stress import BASELINE, TRIALS, chosen

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = ROOT / "contracts/seeded_bugs"
MUTANTS = [path for path in sorted(PROGRAMS.glob("*.py")) if "\nRule: verdict." in path.read_text("utf-8")]
README = (ROOT / "README.md").read_text("utf-8")

# What the README runs with mock-fal run, as it stands there; minutes.py needs a clock that it moves itself.
SAMPLES = [
    name
    for name in re.findall(
        r"^mock-fal run (?:--speed 10 )?-- (?:python|node) (\S+\.(?:py|mjs))$", README, re.MULTILINE
    )
]


@pytest.fixture(scope="module")
def bench() -> Iterator[ProgramRunner]:
    with opened(["--queue-duration", "0.05", "--run-duration", "0.1"]) as bench:
        yield bench


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder from which Node finds its packages."""
    (tmp_path / "node_modules").symlink_to(ROOT / "tests/clients/node/node_modules")
    return tmp_path


def told(path: Path, name: str) -> str:
    """What a mutant says of itself."""
    found = re.search(rf"^{name}: (\S+)$", path.read_text("utf-8"), re.MULTILINE)
    return found[1] if found else ""


def accused(
    bench: ProgramRunner, command: list[str], stress: str = "", timeout_s: float = 60
) -> dict[str, str]:
    """The rules that find something, and what they say."""
    runs = list(bench.runs(command, [BASELINE, *chosen(stress)], timeout_s))
    assert runs[0].record.exchanges, "the program asked nothing"
    results = [judged(each, "program", runs) for each in RULES]
    return {each.case.id: each.message for each in results if each.status is Status.FAILED}


def test_each_rule_has_its_mutant() -> None:
    assert sorted(told(path, "Rule") for path in MUTANTS) == sorted(each.case.id for each in RULES)
    assert len(RULES) >= 25


@pytest.mark.parametrize("path", MUTANTS, ids=lambda path: path.stem)
def test_a_mutant_is_found_by_its_rule_and_by_no_other(path: Path, bench: ProgramRunner) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 40
    found = accused(bench, [sys.executable, str(path)], told(path, "Stress"), timeout_s=4)
    assert list(found) == [told(path, "Rule")], found


@pytest.mark.parametrize("name", ["correct.py", "correct_client.py", "correct_async_client.py"])
def test_a_good_program_is_not_accused_whatever_goes_wrong(name: str, bench: ProgramRunner) -> None:
    assert accused(bench, [sys.executable, str(PROGRAMS / name)], "all") == {}


def test_the_client_for_javascript_is_not_accused_whatever_goes_wrong(
    bench: ProgramRunner, folder: Path
) -> None:
    program = folder / "correct_client.mjs"
    program.write_text((PROGRAMS / program.name).read_text("utf-8"), "utf-8")
    assert accused(bench, ["node", str(program)], "all") == {}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_of_the_readme_is_not_accused(name: str, bench: ProgramRunner, folder: Path) -> None:
    [code] = re.findall(rf"^```\w+\n((?:#|//) {re.escape(name)}.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (folder / name).write_text(code, "utf-8")
    program = "node" if name.endswith(".mjs") else sys.executable
    assert accused(bench, [program, str(folder / name)], "refused,gone") == {}


def test_the_readme_has_samples() -> None:
    assert {"app.py", "app.mjs", "stream.py"} <= set(SAMPLES)


def test_a_program_that_hangs_is_ended_with_all_that_it_started(bench: ProgramRunner, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    run = bench.run(["sh", "-c", f"flock {lock} sleep 60 & wait"], BASELINE, 1)
    assert (run.code, run.record.killed_after_s) == (TIMED_OUT, 1)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as soon as nobody has it: else this waits for a minute


def test_each_kind_of_trouble_is_what_some_rule_waits_for() -> None:
    hints = " ".join(each.about for each in RULES)
    assert [each.name for each in TRIALS if f"--stress {each.name}" not in hints] == []
