"""The catalogue against one client that is flawed to order: every case can be passed, and every case can fail."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mock_fal_contracts.cli import main, parser
from mock_fal_contracts.client import check_clients
from mock_fal_contracts.client.catalogue import CASES
from mock_fal_contracts.results import Result, Status
from mock_fal_contracts.target import CheckError

FLAWED = Path(__file__).parents[2] / "contracts/seeded_bugs/buggy_driver.py"

# What somebody writes who has read one example: no look at the HTTP status, no pause, no second try, no end.
NAIVE = "status_ignored busy no_retry no_cancel key_to_cdn simple_sse options_ignored no_logs id_lost"


def driver(name: str, flaws: str = "") -> str:
    return f"{name}={sys.executable} {FLAWED} {flaws}"


def checked(clients: Sequence[str], *only: str) -> list[Result]:
    arguments = [word for client in clients for word in ("--client", client)]
    arguments += [word for glob in only for word in ("--only", glob)]
    return check_clients(parser().parse_args(arguments), lambda result, total: None)


def failures(results: Sequence[Result], subject: str) -> dict[str, Result]:
    return {r.case.id: r for r in results if r.subject == subject and r.status is Status.FAILED}


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return checked([driver("good"), driver("yes", "yes"), driver("no", "no"), driver("naive", NAIVE)])


def test_there_are_many_cases_each_with_an_id_of_its_own() -> None:
    ids = [each.case.id for each in CASES]
    assert len(ids) >= 80
    assert len(set(ids)) == len(ids)
    assert {each.partition(".")[0] for each in ids} == {
        "queue", "errors", "stream", "files", "webhooks", "manners",
    }  # fmt: skip


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.case.id)
def test_a_case_says_what_is_required_and_who_says_so(each: object) -> None:
    case = each.case  # type: ignore[attr-defined]
    assert case.title and case.requirement.endswith(".") and case.source
    assert each.jobs and each.checks  # type: ignore[attr-defined]


def test_a_client_without_a_flaw_passes_every_case(results: list[Result]) -> None:
    assert {each.case.id: each.message for each in results if each.subject == "good" and each.message} == {}
    assert sum(each.subject == "good" for each in results) == len(CASES)


def test_every_case_fails_for_who_says_yes_to_all_or_no_to_all(results: list[Result]) -> None:
    """Neither of the two sends a request: no case fails here because of the specification alone."""
    failing = failures(results, "yes") | failures(results, "no")
    assert [each.case.id for each in CASES if each.case.id not in failing] == []


def test_a_naive_client_fails_in_many_cases_and_is_told_what_to_fix(results: list[Result]) -> None:
    failing = failures(results, "naive")
    assert len(failing) >= 15
    assert "the key was sent to the CDN" in failing["files.key"].message
    assert "wait at least 100 ms between polls" in failing["etiquette.polling"].message
    assert "send PUT" in failing["etiquette.cancels"].message
    assert "send it" in failing["queue.submit-hint"].message
    assert all(each.evidence for each in failing.values())


@pytest.mark.parametrize(
    ("flaw", "case", "message"),
    [
        ("no_key", "queue.submit-key", "Authorization is missing"),
        ("bearer", "queue.submit", "expected `Authorization: Key <FAL_KEY>`"),
        ("key_in_url", "queue.submit", "the key stands in the address"),
        ("key_to_cdn", "files.key", "carries the key, expected none"),
        ("wrapped", "queue.submit", "expected the input itself"),
        ("escapes_lost", "queue.submit-unicode", "UTF-8 JSON"),
        ("nulls_dropped", "queue.submit-nulls", "expected the input itself"),
        ("no_content_type", "queue.submit-content-type", "expected application/json"),
        ("options_ignored", "queue.submit-priority", "X-Fal-Queue-Priority is missing"),
        ("options_ignored", "queue.submit-webhook", "fal_webhook is None"),
        ("webhook_raw", "queue.submit-webhook-encoded", "percent-encode"),
        ("sub_path", "queue.status-path", "was asked, expected /fal-ai/flux/requests/"),
        ("sub_path", "queue.subscribe-sub-path", "leave v1.1 out"),
        ("cancel_by_post", "queue.cancel-queued", "expected PUT"),
        ("strict_status", "queue.status-no-logs", "must cope"),
        ("strict_status", "queue.status-position-zero", "queue_position is null, expected 0"),
        ("no_logs", "queue.status-logs", "the query has logs='0'"),
        ("floats", "queue.result-seed", "expected 18446744073709551557"),
        ("id_lost", "queue.subscribe", "request_id is null"),
        ("no_updates", "queue.subscribe-states", "the updates tell the states"),
        ("submits_twice", "queue.subscribe", "a second one is a second bill"),
        ("status_ignored", "errors.validation", "check the HTTP status"),
        ("says_nothing", "errors.validation", "hand `detail` on"),
        ("no_retry", "errors.429-status", "must cope"),
        ("retries_all", "errors.bad-key", "expected 1"),
        ("no_backoff", "etiquette.backoff", "wait before you try again"),
        ("follows_redirects", "errors.redirect", "Authorization followed the redirect"),
        ("no_timeout", "errors.timeout", "no answer within"),
        ("no_cancel", "etiquette.cancels", "send PUT"),
        ("polls_on", "etiquette.silent", "stop polling when you give up"),
        ("polls_on", "etiquette.polling-stops", "after it was COMPLETED"),
        ("polls_on", "etiquette.one-result", "expected 1"),
        ("busy", "etiquette.polling", "wait at least 100 ms"),
        ("simple_sse", "stream.comments", "must cope"),
        ("no_accept", "stream.accept", "text/event-stream"),
        ("name_lost", "files.name", "send file_name"),
        ("name_lost", "files.type", "declare it"),
        ("text_upload", "files.bytes", "send them raw"),
        ("keys_not_kept", "webhooks.keys-kept", "keep it, up to 24 hours"),
    ],
)  # fmt: skip
def test_a_flaw_is_found_and_named(flaw: str, case: str, message: str) -> None:
    [result] = checked([driver(flaw, flaw)], case)
    assert result.status is Status.FAILED
    assert message in result.message


def test_a_driver_that_dies_or_talks_fails_its_cases_and_the_check_goes_on() -> None:
    clients = [
        f"dead={sys.executable} -c 'raise SystemExit(7)'",
        f"chatty={sys.executable} -c 'print(1, flush=1); input()'",
    ]
    results = checked(clients, "queue.submit", "queue.result")
    assert [each.status for each in results] == [Status.FAILED] * 4
    assert "with exit code 7" in results[0].message
    assert "the answer has not the id of the job" in results[2].message


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--client", "true", "--only", "nothing.*"], "no case has such an id"),
        (["--client", "true", "--target", "live"], "expected mock"),
        (["--client", "a=true", "--client", "a=false"], "two are called 'a'"),
        (["--client", "a='"], "No closing quotation"),
        (["--client", " "], "expected a command"),
    ],
)
def test_a_wrong_flag_is_told(arguments: list[str], what: str) -> None:
    with pytest.raises(CheckError, match=what):
        check_clients(parser().parse_args(arguments), lambda result, total: None)


def test_the_cases_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--client", "true", "--list", "--only", "stream.*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(each.case.id.startswith("stream.") for each in CASES)
    assert lines[0].split() == ["stream.events", "a", "model", "streams"]
