"""`--target live`, against a mock that stands in for fal.ai: by fal's own host names, through the gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mock_fal_contracts.target import started


@pytest.fixture
def stand_in() -> Iterator[str]:
    """A mock whose requests wait long enough to be cancelled."""
    with started(["--queue-duration", "1.5", "--run-duration", "0.2"]) as url:
        yield url


def check(stand_in: str, tmp_path: Path, *flags: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Check `live` as a person would whose environment leads to the mock."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "mock_fal", "check", "--target", "live", "--json", str(report), *flags]
    environment = {**os.environ, **_environment(stand_in), "FAL_KEY": "live:secret"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert report.exists(), done.stdout + done.stderr
    assert "live:secret" not in done.stdout
    results = json.loads(report.read_text("utf-8"))["results"]
    return done.returncode, {each["case"]: each for each in results}


def _environment(url: str) -> dict[str, str]:
    command = [sys.executable, "-m", "mock_fal", "env", "--url", url]
    exports = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    shell = subprocess.run(["sh", "-c", f"{exports}\nenv -0"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in shell.stdout.split("\0") if "=" in line)


def paid(stand_in: str) -> int:
    """How many requests came to an answer that costs something."""
    shown = httpx.get(f"{stand_in}/_mock/requests", trust_env=False).json()["requests"]
    billed = {
        each["request_id"]
        for each in shown
        if dict(each["response"]["headers"]).get("x-fal-billable-units", "0") not in ("0", "0.0")
    }
    return len(billed)


def test_without_a_budget_nothing_is_paid_for(stand_in: str, tmp_path: Path) -> None:
    code, results = check(stand_in, tmp_path)
    assert code == 0
    assert paid(stand_in) == 0
    skipped = results["invariant.queue.stream"]
    assert skipped["verdict"] == "skipped"
    assert "costs about $0.003" in skipped["message"] and "raise --budget" in skipped["message"]
    free = (
        "invariant.queue.cancel",
        "invariant.queue.unknown",
        "invariant.auth.no-key",
        "invariant.files.upload",
        "invariant.token.string",
    )
    assert {results[id]["verdict"] for id in free} == {"passed"}
    assert results["spec.queue.cancel"]["verdict"] == "passed"


@pytest.mark.parametrize(("budget", "calls"), [("0.004", 1), ("0.006", 2), ("0.015", 4)])
def test_a_budget_is_counted_and_kept(stand_in: str, tmp_path: Path, budget: str, calls: int) -> None:
    code, _ = check(
        stand_in, tmp_path, "--budget", budget, "--only", "invariant.queue.*", "--only", "invariant.picture.*"
    )
    assert code == 0
    assert paid(stand_in) == calls


def test_a_difference_is_told_as_drift(stand_in: str, tmp_path: Path) -> None:
    rules = ['operation=cancel merge={"status":"GONE"}']
    httpx.put(f"{stand_in}/_mock/scenario", json=rules, trust_env=False).raise_for_status()
    code, results = check(stand_in, tmp_path)
    assert code == 1
    assert results["invariant.queue.cancel"]["message"].startswith("drift: ")
    told = results["spec.queue.cancel"]["message"]
    assert told.startswith("drift: ") and "cancel: 200 has a body that does not fit" in told
