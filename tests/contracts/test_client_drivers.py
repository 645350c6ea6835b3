"""The drivers that we ship, against the whole catalogue: fal's own clients do what the baseline and README say."""

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
from tests.clients.programs import FOLDER, Node, finished, tool

ROOT = Path(__file__).parents[2]
DRIVERS = ROOT / "contracts/drivers"
KNOWN = ROOT / "contracts/known/clients.txt"


@pytest.fixture(scope="module")
def results() -> list[Result]:
    tool("curl"), tool("jq")
    node = Node("24")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(FOLDER)  # fal_js.mjs looks for its client from here
        return checked(
            {
                "fal_client": [sys.executable, DRIVERS / "fal_client_sync.py"],
                "fal_client-async": [sys.executable, DRIVERS / "fal_client_async.py"],
                "@fal-ai/client": [node.binary, DRIVERS / "fal_js.mjs"],
                "curl": [tool("bash"), DRIVERS / "curl.sh"],
            }
        )


def checked(clients: dict[str, list[object]]) -> list[Result]:
    flags = [f"--client={name}={shlex.join(map(str, command))}" for name, command in clients.items()]
    return check_clients(parser().parse_args(flags), lambda result, total: None)


# Before 1.7 jq read numbers as doubles, as the baseline and the README say.
_SEEDS = {("curl", "queue.submit-seed"), ("curl", "queue.result-seed")}


@pytest.fixture(scope="module")
def exempt() -> set[tuple[str, str]]:
    said = finished([tool("jq"), "--version"]).stdout
    return set() if said.startswith(("jq-1.5", "jq-1.6")) else _SEEDS


def test_each_client_does_wrong_what_the_baseline_says_and_nothing_else(
    results: list[Result], exempt: set[tuple[str, str]]
) -> None:
    compared = baseline.compared(results, baseline.read(KNOWN) - exempt)
    assert [f"{each.subject} {each.case.id}: {each.message}" for each in compared if each.status.is_bad] == []


def test_the_readme_shows_the_matrix(results: list[Result], exempt: set[tuple[str, str]]) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"{len(CASES)} cases" in readme
    for subject in dict.fromkeys(each.subject for each in results):
        counts = Counter(each.status for each in results if each.subject == subject)
        newer = sum(name == subject for name, _ in exempt)
        passed, failed, skipped = (counts[each] for each in (Status.PASSED, Status.FAILED, Status.SKIPPED))
        assert f"| `{subject}` | {passed - newer} | {failed + newer} | {skipped} |" in readme


def test_each_known_failure_has_a_reason() -> None:
    lines = [line for line in KNOWN.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not line.partition("# ")[2]] == []


@pytest.mark.parametrize("file", ["fal_client_sync.py", "fal_client_async.py", "fal_js.mjs", "curl.sh"])
def test_a_driver_is_an_example_of_eighty_lines_at_most(file: str) -> None:
    assert len((DRIVERS / file).read_text("utf-8").splitlines()) <= 80
