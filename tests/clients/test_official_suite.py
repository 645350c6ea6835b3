"""The tests of fal's Python client, unmodified, from its source distribution."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.clients.programs import missing, mock_fal_run

OFFICIAL = Path(sys.prefix) / "official"
SUITE = OFFICIAL / f"fal_client-{version('fal-client')}"

# Most of them wait between retries, so several run in parallel.
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "4"]


def test_the_clients_own_tests_pass_unmodified(monkeypatch: pytest.MonkeyPatch) -> None:
    if not SUITE.is_dir():
        missing(f"{SUITE} is not there: `make tools` fetches it from PyPI")
    monkeypatch.setenv("PYTHONPATH", str(OFFICIAL / "site"))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    files = ["tests/test_sync_client.py", "tests/test_async_client.py"]
    run = mock_fal_run([*PYTEST, *files], "--offline", cwd=SUITE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\b\d{2,} passed", run.stdout), run.stdout
    assert "skipped" not in run.stdout, run.stdout  # they are skipped without a key
