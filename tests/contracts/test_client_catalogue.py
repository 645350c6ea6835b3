"""The catalogue against a driver with seeded bugs: every case can pass, and every case can fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from mock_fal_contracts.cli import main, parser
from mock_fal_contracts.client import check_clients
from mock_fal_contracts.client.case import ClientCase
from mock_fal_contracts.client.catalogue import CASES
from mock_fal_contracts.client.mock_server import MockServer
from mock_fal_contracts.client.playing import case_player, case_server
from mock_fal_contracts.client.signing import private_key_file
from mock_fal_contracts.results import Result, Status
from mock_fal_contracts.target import CheckError

BUGGY_DRIVER = Path(__file__).parents[2] / "contracts/seeded_bugs/buggy_driver.py"

# The bugs of a client written after one example: no check of the HTTP status, no pause, no retry, no cancellation.
NAIVE = "status_ignored busy no_retry no_cancel key_to_cdn simple_sse options_ignored no_logs id_lost"


def driver(name: str, bugs: str = "") -> str:
    return f"{name}={sys.executable} {BUGGY_DRIVER} {bugs}"


def check(clients: Sequence[str], *only: str) -> list[Result]:
    arguments = [argument for client in clients for argument in ("--client", client)]
    arguments += [argument for glob in only for argument in ("--only", glob)]
    return check_clients(parser().parse_args(arguments), lambda result, total: None)


def failures(results: Sequence[Result], subject: str) -> dict[str, Result]:
    failed = [result for result in results if result.status is Status.FAILED]
    return {result.case.id: result for result in failed if result.subject == subject}


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return check(
        [
            driver("correct"),
            driver("always-ok", "always_ok"),
            driver("always-fails", "always_fails"),
            driver("naive", NAIVE),
        ]
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MockServer, Mapping[str, str]]]:
    """A mock and the environment of its drivers, for one after the other."""
    with case_server(private_key_file(tmp_path_factory.mktemp("key"))) as server:
        yield server


def test_there_are_many_cases_with_unique_ids() -> None:
    ids = [case.case.id for case in CASES]
    assert len(ids) >= 80
    assert len(set(ids)) == len(ids)
    assert {id.partition(".")[0] for id in ids} == {
        "queue", "errors", "stream", "realtime", "files", "webhooks", "etiquette", "abort",
    }  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case.id)
def test_a_case_states_its_requirement_and_source(case: ClientCase) -> None:
    assert case.case.title and case.case.requirement.endswith(".") and case.case.source
    assert case.jobs and case.checks


def test_a_client_without_bugs_passes_every_case(results: list[Result]) -> None:
    own = [result for result in results if result.subject == "correct"]
    assert {result.case.id: result.message for result in own if result.message} == {}
    assert len(own) == len(CASES)


def test_every_case_fails_for_a_client_that_always_succeeds_or_always_fails(results: list[Result]) -> None:
    """Neither of them sends a request, so no case fails here because of the specification alone."""
    failing = failures(results, "always-ok") | failures(results, "always-fails")
    assert [case.case.id for case in CASES if case.case.id not in failing] == []


def test_a_naive_client_fails_many_cases_with_messages_that_say_what_to_fix(results: list[Result]) -> None:
    failing = failures(results, "naive")
    assert len(failing) >= 15
    assert "the key was sent to the CDN" in failing["files.key"].message
    assert "wait at least 100 ms between polls" in failing["etiquette.polling"].message
    assert "send PUT" in failing["etiquette.cancels"].message
    assert "send it" in failing["queue.submit-hint"].message
    assert all(result.evidence for result in failing.values())


@pytest.mark.parametrize(
    ("bug", "case", "message"),
    [
        ("no_key", "queue.submit-key", "Authorization is missing"),
        ("bearer", "queue.submit", "expected `Authorization: Key <FAL_KEY>`"),
        ("key_in_url", "queue.submit", "the key is in the URL"),
        ("key_to_cdn", "files.key", "carries the key, expected none"),
        ("wrapped", "queue.submit", "expected the input itself"),
        ("escapes_lost", "queue.submit-unicode", "UTF-8 JSON"),
        ("nulls_dropped", "queue.submit-nulls", "expected the input itself"),
        ("no_content_type", "queue.submit-content-type", "expected application/json"),
        ("options_ignored", "queue.submit-priority", "X-Fal-Queue-Priority is missing"),
        ("options_ignored", "queue.submit-webhook", "fal_webhook in the query is None"),
        ("webhook_raw", "queue.submit-webhook-encoded", "percent-encode"),
        ("sub_path", "queue.status-path", "was requested, expected /fal-ai/flux/requests/"),
        ("sub_path", "queue.subscribe-sub-path", "leave v1.1 out"),
        ("cancel_by_post", "queue.cancel-queued", "expected PUT"),
        ("strict_status", "queue.status-no-logs", "must handle"),
        ("strict_status", "queue.status-position-zero", "queue_position is null, expected 0"),
        ("no_logs", "queue.status-logs", "the query has logs='0'"),
        ("floats", "queue.result-seed", "expected 18446744073709551557"),
        ("id_lost", "queue.subscribe", "request_id is null"),
        ("no_updates", "queue.subscribe-states", "the updates have the states"),
        ("submits_twice", "queue.subscribe", "a second one is billed too"),
        ("status_ignored", "errors.validation", "check the HTTP status"),
        ("no_details", "errors.validation", "pass `detail` on"),
        ("no_retry", "errors.429-status", "must handle"),
        ("retries_all", "errors.bad-key", "expected 1"),
        ("no_backoff", "etiquette.backoff", "wait before you retry"),
        ("follows_redirects", "errors.redirect", "Authorization followed the redirect"),
        ("no_timeout", "errors.timeout", "no answer within"),
        ("no_cancel", "etiquette.cancels", "send PUT"),
        ("abort_ignored", "abort.run", "no answer within 10 s"),
        ("no_cancel", "abort.subscribe-cancels", "send PUT"),
        ("polls_on", "abort.subscribe-silent", "requests followed the abortion"),
        ("socket_lost", "realtime.reset", "expected [1, 2, 3]"),
        ("socket_lost", "realtime.token", "expected [1]"),
        ("polls_on", "etiquette.silent", "stop polling when you give up"),
        ("polls_on", "etiquette.polling-stops", "after it was COMPLETED"),
        ("polls_on", "etiquette.one-result", "expected 1"),
        ("busy", "etiquette.polling", "wait at least 100 ms"),
        ("simple_sse", "stream.comments", "must handle"),
        ("no_accept", "stream.accept", "text/event-stream"),
        ("name_lost", "files.name", "send file_name"),
        ("name_lost", "files.type", "declare it"),
        ("text_upload", "files.bytes", "send them raw"),
        ("keys_not_cached", "webhooks.keys-kept", "cache it for up to 24 hours"),
    ],
)  # fmt: skip
def test_a_seeded_bug_is_found_and_explained(
    bug: str, case: str, message: str, server: tuple[MockServer, Mapping[str, str]]
) -> None:
    [played] = [other for other in CASES if other.case.id == case]
    with case_player(bug, [sys.executable, str(BUGGY_DRIVER), bug], *server) as player:
        result = player.play(played)
    assert result.status is Status.FAILED
    assert message in result.message


def test_a_driver_that_dies_or_pollutes_stdout_fails_its_cases_and_the_check_continues() -> None:
    clients = [
        f"dead={sys.executable} -c 'raise SystemExit(7)'",
        f"noisy={sys.executable} -c 'print(1, flush=1); input()'",
    ]
    results = check(clients, "queue.submit", "queue.result")
    assert [result.status for result in results] == [Status.FAILED] * 4
    assert "with exit code 7" in results[0].message
    assert "the answer does not have the id of the job" in results[2].message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--client", "true", "--only", "nothing.*"], "no case has such an id"),
        (["--client", "true", "--target", "live"], "expected mock"),
        (["--client", "a=true", "--client", "a=false"], "two drivers are called 'a'"),
        (["--client", "a='"], "No closing quotation"),
        (["--client", " "], "expected a command"),
    ],
)
def test_a_wrong_flag_is_reported(arguments: list[str], message: str) -> None:
    with pytest.raises(CheckError, match=message):
        check_clients(parser().parse_args(arguments), lambda result, total: None)


def test_the_cases_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--client", "true", "--list", "--only", "stream.*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(case.case.id.startswith("stream.") for case in CASES)
    assert lines[0].split() == ["stream.events", "a", "model", "streams"]
