"""`--target live` against a mock in place of fal.ai: with fal's own host names, through the gateway."""

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

from mock_fal_contracts.target import running_mock


@pytest.fixture
def fake_fal() -> Iterator[str]:
    """A mock whose requests stay in the queue long enough to be cancelled."""
    with running_mock(["--queue-duration", "1.5", "--run-duration", "0.2"]) as url:
        yield url


def check(fake_fal: str, tmp_path: Path, *flags: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Check `live`, with an environment that points to the mock; returns the exit code and each case's result."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "mock_fal", "check", "--target", "live", "--json", str(report), *flags]
    environment = {**os.environ, **_environment(fake_fal), "FAL_KEY": "live:secret"}
    completed = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert report.exists(), completed.stdout + completed.stderr
    assert "live:secret" not in completed.stdout
    results = json.loads(report.read_text("utf-8"))["results"]
    return completed.returncode, {result["case"]: result for result in results}


def _environment(url: str) -> dict[str, str]:
    command = [sys.executable, "-m", "mock_fal", "env", "--url", url]
    exports = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    shell = subprocess.run(["sh", "-c", f"{exports}\nenv -0"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in shell.stdout.split("\0") if "=" in line)


def billed_requests(fake_fal: str) -> int:
    """The number of requests with a billed response."""
    exchanges = httpx.get(f"{fake_fal}/_mock/requests", trust_env=False).json()["requests"]
    billed = {
        exchange["request_id"]
        for exchange in exchanges
        if dict(exchange["response"]["headers"]).get("x-fal-billable-units", "0") not in ("0", "0.0")
    }
    return len(billed)


def test_without_a_budget_nothing_is_billed(fake_fal: str, tmp_path: Path) -> None:
    code, results = check(fake_fal, tmp_path)
    assert code == 0
    assert billed_requests(fake_fal) == 0
    skipped = results["invariant.queue.stream"]
    assert skipped["status"] == "skipped"
    assert "costs about $0.003" in skipped["message"] and "raise --budget" in skipped["message"]
    free = (
        "invariant.queue.unknown",
        "invariant.auth.no-key",
        "invariant.files.upload",
        "invariant.token.string",
    )
    assert {results[id]["status"] for id in free} == {"passed"}
    # A request that is cancelled too late is billed.
    assert results["invariant.queue.cancel"]["status"] == "skipped"


@pytest.mark.parametrize(("budget", "calls"), [("0.004", 1), ("0.006", 2), ("0.015", 4)])
def test_a_budget_is_not_exceeded(fake_fal: str, tmp_path: Path, budget: str, calls: int) -> None:
    code, _ = check(
        fake_fal, tmp_path, "--budget", budget, "--only", "invariant.queue.*", "--only", "invariant.picture.*"
    )
    assert code == 0
    assert billed_requests(fake_fal) == calls


def test_a_difference_is_reported_as_drift(fake_fal: str, tmp_path: Path) -> None:
    rules = ['operation=cancel merge={"status":"GONE"}']
    httpx.put(f"{fake_fal}/_mock/scenario", json=rules, trust_env=False).raise_for_status()
    code, results = check(fake_fal, tmp_path, "--budget", "0.004")
    assert code == 1
    assert results["invariant.queue.cancel"]["message"].startswith("drift: ")
    message = results["spec.queue.cancel"]["message"]
    assert (
        message.startswith("drift: ") and "cancel: 200 has a body that does not match the schema" in message
    )
