"""The shipped drivers against the whole catalogue: their failures are those in the baseline and the documentation."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from pathlib import Path

import pytest

from mock_fal_contracts.cli import parser
from mock_fal_contracts.client import check_clients
from mock_fal_contracts.client.catalogue import CASES
from mock_fal_contracts.report import baseline
from mock_fal_contracts.results import Result, Status
from tests.clients.programs import FOLDER, Node, run_program, tool

ROOT = Path(__file__).parents[2]
DRIVERS = ROOT / "contracts/drivers"
KNOWN = ROOT / "contracts/known/clients.txt"


@pytest.fixture(scope="module")
def results() -> list[Result]:
    tool("curl"), tool("jq")
    node = Node("24")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(FOLDER)  # fal_js.mjs looks for its client from here
        return check(
            {
                "fal_client": [sys.executable, DRIVERS / "fal_client_sync.py"],
                "fal_client-async": [sys.executable, DRIVERS / "fal_client_async.py"],
                "@fal-ai/client": [node.binary, DRIVERS / "fal_js.mjs"],
                # Every curl reads all certificates, which takes longer than the request: here only those of mock-fal.
                "curl": [tool("bash"), "-c", f"CURL_CA_BUNDLE=$MOCK_FAL_CA exec bash {DRIVERS / 'curl.sh'}"],
            }
        )


def check(clients: dict[str, list[object]]) -> list[Result]:
    flags = [f"--client={name}={shlex.join(map(str, command))}" for name, command in clients.items()]
    return check_clients(parser().parse_args(flags), lambda result, total: None)


# jq before 1.7 reads numbers as doubles; the baseline and the documentation assume such a version.
_SEEDS = {("curl", "queue.submit-seed"), ("curl", "queue.result-seed")}


@pytest.fixture(scope="module")
def exempt() -> set[tuple[str, str]]:
    version = run_program([tool("jq"), "--version"]).stdout
    return set() if version.startswith(("jq-1.5", "jq-1.6")) else _SEEDS


def test_each_client_fails_exactly_the_cases_in_the_baseline(
    results: list[Result], exempt: set[tuple[str, str]]
) -> None:
    compared = baseline.compare(results, baseline.read(KNOWN) - exempt)
    assert [
        f"{result.subject} {result.case.id}: {result.message}" for result in compared if result.status.is_bad
    ] == []


def test_the_documentation_shows_the_totals(results: list[Result], exempt: set[tuple[str, str]]) -> None:
    page = (ROOT / "docs/how-to/contract-checks.md").read_text("utf-8")
    assert f"{len(CASES)} cases" in page
    for subject in dict.fromkeys(result.subject for result in results):
        counts = Counter(result.status for result in results if result.subject == subject)
        exempted = sum(name == subject for name, _ in exempt)
        passed, failed, skipped = (
            counts[status] for status in (Status.PASSED, Status.FAILED, Status.SKIPPED)
        )
        assert f"| `{subject}` | {passed - exempted} | {failed + exempted} | {skipped} |" in page


def test_each_known_failure_has_a_reason() -> None:
    lines = [line for line in KNOWN.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not line.partition("# ")[2]] == []


@pytest.mark.parametrize("file", ["fal_client_sync.py", "fal_client_async.py", "fal_js.mjs", "curl.sh"])
def test_a_driver_has_at_most_a_hundred_lines(file: str) -> None:
    assert len((DRIVERS / file).read_text("utf-8").splitlines()) <= 100
