"""`mock-fal check` holds on the mock, finds every planted fault, and names it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mock_fal_contracts.cli import main

MUTANT = Path(__file__).parents[2] / "contracts" / "seeded_bugs" / "buggy_server.py"

# Each fault, the clock of the mock behind it, and the law that must be named.
FAULTS = [
    ("wrong-status-submit", "auto-advance", "invariant.queue.submit"),
    ("missing-request-id-header", "auto-advance", "invariant.queue.request-id"),
    ("missing-field", "auto-advance", "invariant.queue.links"),
    ("wrong-type", "auto-advance", "invariant.platform.pricing"),
    ("new-state", "auto-advance", "invariant.queue.status"),
    ("state-goes-back", "auto-advance", "invariant.queue.never-back"),
    ("status-200-while-queued", "auto-advance", "invariant.queue.status"),
    ("position-grows", "auto-advance", "invariant.queue.position"),
    ("queue-position-missing", "auto-advance", "invariant.queue.status-body"),
    ("lost-log", "auto-advance", "invariant.queue.logs"),
    ("stream-differs", "auto-advance", "invariant.queue.stream"),
    ("stream-without-end", "auto-advance", "invariant.queue.stream"),
    ("early-result-200", "manual", "invariant.queue.result"),
    ("result-still-in-other-words", "manual", "invariant.queue.result"),
    ("cancel-after-end-202", "manual", "invariant.queue.cancel"),
    ("unknown-id-200", "auto-advance", "invariant.queue.unknown"),
    ("no-auth-accepted", "auto-advance", "invariant.auth.no-key"),
    ("urls-with-subpath", "auto-advance", "invariant.queue.links"),
    ("allow-header-missing", "auto-advance", "invariant.http.methods"),
    ("error-without-loc", "auto-advance", "invariant.queue.input-error"),
    ("billed-for-errors", "auto-advance", "invariant.picture.billed"),
    ("token-not-a-string", "auto-advance", "invariant.token.string"),
    ("jwks-wrong-key", "auto-advance", "invariant.webhook.signature"),
    ("bad-signature", "auto-advance", "invariant.webhook.signature"),
    ("webhook-unasked", "auto-advance", "invariant.webhook.asked"),
    ("webhook-forgotten", "auto-advance", "invariant.webhook.asked"),
    ("webhook-withheld", "auto-advance", "invariant.webhook.asked"),
    ("webhook-body-differs", "auto-advance", "invariant.webhook.payload"),
    ("seed-ignored", "auto-advance", "invariant.picture.seed"),
    ("picture-of-another-size", "auto-advance", "invariant.picture.file"),
    ("upload-truncated", "auto-advance", "invariant.files.upload"),
    ("range-ignored", "auto-advance", "invariant.files.range"),
    ("etag-changes", "auto-advance", "invariant.files.etag"),
]

# What a schema can say, too, is found by the generated questions, and named by the operation.
SCHEMA_FAULTS = [
    ("wrong-status-submit", "spec.queue.submitApp"),
    ("missing-request-id-header", "spec.queue.status"),
    ("missing-field", "spec.queue.submitFluxDev"),
    ("wrong-type", "spec.platform.getPricing"),
    ("token-not-a-string", "spec.rest.createToken"),
]


@contextmanager
def mutant(fault: str, clock: str) -> Iterator[str]:
    """The address of a mock with one fault."""
    command = [sys.executable, str(MUTANT), fault, "--clock", clock, "--runners", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def failing(target: str, tmp_path: Path, *flags: str) -> tuple[int, set[str]]:
    """The exit code, and the ids of the cases that failed."""
    report = tmp_path / "report.json"
    code = main(["--target", target, "--quiet", "--examples", "5", "--json", str(report), *flags])
    results = json.loads(report.read_text("utf-8"))["results"]
    return code, {each["case"] for each in results if each["verdict"] == "failed"}


@pytest.mark.parametrize(("fault", "clock", "law"), FAULTS)
def test_a_planted_fault_is_found_and_named(fault: str, clock: str, invariant: str, tmp_path: Path) -> None:
    with mutant(fault, clock) as url:
        code, broken = failing(url, tmp_path, "--only", "invariant.*")
    assert code == 1
    assert invariant in broken
    assert len(broken) <= 4


@pytest.mark.parametrize(("fault", "case"), SCHEMA_FAULTS)
def test_a_fault_that_a_schema_can_tell_is_found_by_generated_questions(
    fault: str, case: str, tmp_path: Path
) -> None:
    with mutant(fault, "auto-advance") as url:
        assert failing(url, tmp_path, "--only", case) == (1, {case})


@pytest.mark.parametrize("clock", ["auto-advance", "manual"])
def test_without_a_fault_nothing_is_found(clock: str, tmp_path: Path) -> None:
    with mutant("none", clock) as url:
        assert failing(url, tmp_path, "--only", "invariant.*") == (0, set())


def test_the_mock_keeps_to_the_specification_and_the_laws(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "mock_fal", "check", "--quiet", "--junit", str(junit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    [suite] = ET.parse(junit).getroot()
    assert int(suite.get("tests", "0")) >= 90
    assert suite.get("skipped") == "0"


def test_the_cases_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert "invariant.queue.never-back" in listed and "spec.control.listRules" in listed


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--only", "invariant.nothing"], "no case has an id like invariant.nothing"),
        (["--target", "somewhere"], "expected mock, live, or an address"),
        (["--target", "http://127.0.0.1:9"], "http://127.0.0.1:9 does not answer"),
        (["--target", "live", "--key", ""], "needs a key: set FAL_KEY"),
    ],
)
def test_a_wrong_question_is_told(flags: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags) == 2
    assert words in capsys.readouterr().err


def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "schemathesis", None)
    assert main([]) == 2
    assert "needs schemathesis: pip install 'mock-fal[check]'" in capsys.readouterr().err
