"""`mock-fal check` passes on the mock, and finds every seeded bug of the buggy server."""

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
from mock_fal_contracts.server.surfaces import CONTROL, SURFACES
from mock_fal_contracts.server.workers import all_cases

BUGGY_SERVER = Path(__file__).parents[2] / "contracts" / "seeded_bugs" / "buggy_server.py"

# Each bug, the clock of the mock behind it, and the invariant that it violates.
BUGS = [
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
    ("result-detail-differs", "manual", "invariant.queue.result"),
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
    ("webhook-not-requested", "auto-advance", "invariant.webhook.requested"),
    ("webhook-ignored", "auto-advance", "invariant.webhook.requested"),
    ("webhook-dropped", "auto-advance", "invariant.webhook.requested"),
    ("webhook-body-differs", "auto-advance", "invariant.webhook.payload"),
    ("seed-ignored", "auto-advance", "invariant.picture.seed"),
    ("picture-size-differs", "auto-advance", "invariant.picture.file"),
    ("upload-truncated", "auto-advance", "invariant.files.upload"),
    ("range-ignored", "auto-advance", "invariant.files.range"),
    ("etag-changes", "auto-advance", "invariant.files.etag"),
]

# Bugs that generated requests find as well, and the case of the operation.
SCHEMA_BUGS = [
    ("wrong-status-submit", "spec.queue.submitApp"),
    ("missing-request-id-header", "spec.queue.status"),
    ("missing-field", "spec.queue.submitFluxDev"),
    ("wrong-type", "spec.platform.getPricing"),
    ("token-not-a-string", "spec.rest.createToken"),
]


@contextmanager
def buggy_server(bug: str, clock: str) -> Iterator[str]:
    """The address of a mock with one bug."""
    command = [sys.executable, str(BUGGY_SERVER), bug, "--clock", clock, "--runners", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def check(target: str, tmp_path: Path, *flags: str) -> tuple[int, set[str]]:
    """The exit code, and the ids of the failed cases."""
    report = tmp_path / "report.json"
    code = main(["--target", target, "--quiet", "--examples", "5", "--json", str(report), *flags])
    results = json.loads(report.read_text("utf-8"))["results"]
    return code, {result["case"] for result in results if result["status"] == "failed"}


@pytest.mark.parametrize(("bug", "clock", "invariant"), BUGS)
def test_a_seeded_bug_is_found_by_its_invariant(bug: str, clock: str, invariant: str, tmp_path: Path) -> None:
    with buggy_server(bug, clock) as url:
        code, failed = check(url, tmp_path, "--only", "invariant.*")
    assert code == 1
    assert invariant in failed
    assert len(failed) <= 4


@pytest.mark.parametrize(("bug", "case"), SCHEMA_BUGS)
def test_generated_requests_find_a_bug_that_violates_a_schema(bug: str, case: str, tmp_path: Path) -> None:
    with buggy_server(bug, "auto-advance") as url:
        assert check(url, tmp_path, "--only", case) == (1, {case})


@pytest.mark.parametrize("clock", ["auto-advance", "manual"])
def test_a_server_without_a_bug_passes(clock: str, tmp_path: Path) -> None:
    with buggy_server("none", clock) as url:
        assert check(url, tmp_path, "--only", "invariant.*") == (0, set())


# One test for each, so that they run in parallel.
PARTS = ["invariant", *(f"spec.{name}" for name in (*SURFACES, CONTROL))]


@pytest.mark.parametrize("part", PARTS)
def test_the_mock_conforms_to_the_specification_and_the_invariants(part: str, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "mock_fal", "check", "--quiet", "--junit", str(junit)]
    completed = subprocess.run([*command, "--only", f"{part}.*"], capture_output=True, text=True, timeout=280)
    assert completed.returncode == 0, completed.stdout[-6000:] + completed.stderr[-2000:]
    [suite] = ET.parse(junit).getroot()
    expected = [case for case in all_cases(with_control=True) if case.id.startswith(f"{part}.")]
    assert int(suite.get("tests", "0")) == len(expected)
    assert suite.get("skipped") == "0"


def test_the_parts_are_all_cases() -> None:
    cases = [case.id for case in all_cases(with_control=True)]
    assert len(cases) >= 90
    assert [id for id in cases if not id.startswith(tuple(f"{part}." for part in PARTS))] == []


def test_list_prints_the_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    output = capsys.readouterr().out
    assert "invariant.queue.never-back" in output and "spec.control.listRules" in output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only", "invariant.nothing"], "no case has an id like invariant.nothing"),
        (["--target", "somewhere"], "expected mock, live, or a URL"),
        (["--target", "http://127.0.0.1:9"], "http://127.0.0.1:9 does not answer"),
        (["--target", "live", "--key", ""], "needs a key: set FAL_KEY"),
    ],
)
def test_a_usage_error_exits_with_2(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags) == 2
    assert message in capsys.readouterr().err


def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "schemathesis", None)
    assert main([]) == 2
    assert "needs schemathesis: pip install 'mock-fal[check]'" in capsys.readouterr().err
