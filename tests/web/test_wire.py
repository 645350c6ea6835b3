"""fal's exact JSON and headers, and the options in submissions."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.clock import EPOCH
from mock_fal.emulation.options import SubmitOptions
from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON, ApplicationNotFound, BadQuery
from mock_fal.requests.lifecycle import Completed, Ending, LogLine, Queued, Running, Status, Submission
from mock_fal.requests.outcome import RequestFailure, RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.requests.view import View
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Links
from mock_fal.web.isolation import sandboxed_head
from mock_fal.webhooks.payload import Webhook
from tests.strategies import documents
from tests.web.conftest import NONE, QUEUE, SCHNELL, scope

LINKS = Links("https://queue.fal.run", "https://v3b.fal.media")
REQUEST = ModelRequest(
    "019b76da-a800-7000-a274-ff43af1a57dc",
    EndpointId.parse(SCHNELL),
    "alice",
    Submission(1, EPOCH, 0.0, 1.0),
    RunnerResponse(200, {}),
    4,
)

links = st.builds(Links, st.text(st.characters(codec="latin-1")), st.just(""))
lines = st.builds(
    LogLine, st.text(), st.floats(EPOCH, EPOCH + 1e9), st.sampled_from(["INFO", "STDERR"]), st.just("USER")
)
statuses: st.SearchStrategy[Status] = st.one_of(
    st.builds(Queued, st.integers(0, 10_000)),
    st.just(Running()),
    st.builds(Completed, st.floats(0, 1e9), st.just(Ending.RESPONDED)),
)
failures = st.none() | st.sampled_from(["request_timeout", "client_cancelled"]).map(RequestFailure)


def http_request(query: str = "", headers: Mapping[str, str] = NONE) -> HttpRequest:
    return HttpRequest.of(scope("POST", f"{QUEUE}/{SCHNELL}{query}", headers))


def plain(document: JSON) -> JSON:
    """A document as JSON can represent it: without NaN and infinity."""
    return json.loads(json.dumps(document), parse_constant=lambda constant: None)


# -- JSON


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"b": [1, 2.5, None, True], "a": "x"}, b'{"b":[1,2.5,null,true],"a":"x"}'),
        ("Grüße, 漢字, 🐈", '"Grüße, 漢字, 🐈"'.encode()),
        ("\ud83d", rb'"\ud83d"'),
        ([math.nan, {"x": math.inf}, 1.5], b'[null,{"x":null},1.5]'),
    ],
)
def test_json_is_compact_and_keeps_the_order_of_keys(body: JSON, text: bytes) -> None:
    assert wire.encode(body) == text


@given(body=documents())
def test_every_document_can_be_encoded(body: JSON) -> None:
    assert json.loads(wire.encode(body), parse_constant=pytest.fail) == plain(body)


# -- statuses


@given(status=statuses, failure=failures, log_lines=st.lists(lines, max_size=3), links=links)
def test_a_formatted_status_equals_an_encoded_one(
    status: Status, failure: RequestFailure | None, log_lines: list[LogLine], links: Links
) -> None:
    view = View(REQUEST, status, log_lines, failure if isinstance(status, Completed) else None)
    body = wire.status(view, links, with_logs=True).body
    parsed: dict[str, Any] = json.loads(body)
    assert wire.encode(parsed) == body
    assert parsed["status_url"] == f"{parsed['response_url']}/status"
    assert parsed["response_url"] == f"{links.queue}/fal-ai/flux/requests/{REQUEST.id}"
    assert ("error" in parsed) == (view.failure is not None)


@given(moment=st.integers(0, 10**12))
def test_log_timestamps_have_milliseconds(moment: int) -> None:
    view = View(REQUEST, Running(), [LogLine("x", moment / 1000)])
    (line,) = json.loads(wire.status(view, LINKS, with_logs=True).body)["logs"]
    assert len(line["timestamp"]) == len("2026-02-17T10:30:01.123Z")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("status", "code"), [(Queued(3), 202), (Running(), 202), (Completed(1.0, Ending.RESPONDED), 200)]
)
def test_the_status_code_states_whether_a_request_is_completed(status: Status, code: int) -> None:
    assert wire.status(View(REQUEST, status, []), LINKS, with_logs=False).status_code == code


def test_an_event_is_one_line_and_an_empty_one() -> None:
    event = wire.status_event(View(REQUEST, Running(), []), LINKS, None)
    assert event.startswith(b'data: {"status":"IN_PROGRESS","request_id":')
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2


# -- results


@pytest.mark.parametrize(
    ("units", "text"), [(0, "0"), (1, "1"), (12, "12"), (1.0, "1.00000000"), (0.125, "0.12500000")]
)
def test_whole_units_have_no_decimals_and_others_eight(units: int | float, text: str) -> None:
    headers = dict(wire.result(RunnerResponse(200, {}, billable_units=units), REQUEST, LINKS, {}).raw_headers)
    assert headers[b"x-fal-billable-units"] == text.encode()


def test_a_result_without_billable_units_has_no_such_header() -> None:
    headers = dict(wire.result(RunnerResponse(200, {}), REQUEST, LINKS, {}).raw_headers)
    assert set(headers) == {b"content-type", b"content-length", b"x-fal-request-id", b"x-fal-served-from"}


def test_an_error_without_a_request_has_no_request_id() -> None:
    headers = dict(wire.error(ApplicationNotFound("x"), "").raw_headers)
    assert set(headers) == {b"content-type", b"content-length"}


# -- replies


@pytest.mark.parametrize(
    ("reply", "is_plain"),
    [
        (wire.status(View(REQUEST, Running(), []), LINKS, with_logs=False), True),
        (wire.result(RunnerResponse(200, {}, 1.0, needs_retry=True), REQUEST, LINKS, {}), True),
        (wire.error(ApplicationNotFound("x"), "an-id"), True),
        (wire.reply(200, {}, {"etag": '"1"'}), False),
        (wire.request_failure(RequestFailure("request_timeout", retry_after_s=3), "an-id"), False),
        (wire.page_not_found("an-id"), False),
    ],
)
def test_a_plain_head_is_sandboxed_without_reading_it(reply: wire.Reply, is_plain: bool) -> None:
    assert reply.is_plain == is_plain
    sandboxed = sandboxed_head(reply.status_code, reply.head, reply.is_plain)
    assert sandboxed == sandboxed_head(reply.status_code, reply.head, False)
    reply.raw_headers = [*reply.raw_headers, (b"x", b"y")]
    assert not reply.is_plain


def sent(reply: wire.Reply, method: str) -> list[Any]:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        pytest.fail("a reply does not receive messages")

    asyncio.run(reply(scope(method, QUEUE), receive, send))
    return messages


@pytest.mark.parametrize(("method", "body"), [("GET", b'{"x":1}'), ("HEAD", b"")])
def test_a_reply_to_head_has_the_length_and_no_body(method: str, body: bytes) -> None:
    headers = [(b"content-length", b"7"), (b"content-type", b"application/json"), (b"allow", b"POST")]
    assert sent(wire.reply(405, {"x": 1}, {"allow": "POST"}), method) == [
        {"type": "http.response.start", "status": 405, "headers": headers},
        {"type": "http.response.body", "body": body},
    ]


# -- submit options


def test_a_submission_without_options_has_the_defaults() -> None:
    assert wire.submit_options(http_request()) == SubmitOptions()


def test_submit_options_are_in_the_headers_and_the_query() -> None:
    submission = http_request(
        "?fal_webhook=https%3A%2F%2Fexample.com%2Fhook%3Fa%3Db&fal_max_queue_length=3",
        {"x-fal-queue-priority": "low", "x-fal-request-timeout": "30.0", "x-mock-fal": "nsfw"},
    )
    assert wire.submit_options(submission) == SubmitOptions(
        low_priority=True,
        start_timeout_s=30.0,
        max_queue_length=3,
        webhook=Webhook("https://example.com/hook?a=b", "https://v3b.fal.media"),
        directive="nsfw",
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-fal-request-start-timeout": "2"}, 2.0),
        ({"x-fal-request-timeout": "2.5"}, 2.5),
        ({"x-fal-request-start-timeout": "2", "x-fal-request-timeout": "3"}, 2.0),
        ({"x-fal-request-timeout": "0.1"}, math.inf),
        ({"x-fal-request-timeout": "0.11"}, 0.11),
        ({"x-fal-request-timeout": "-inf"}, math.inf),
        ({"x-fal-request-timeout": "nan"}, math.inf),
        ({"x-fal-request-timeout": "ten"}, math.inf),
        ({"x-fal-request-timeout": "\xe9"}, math.inf),
    ],
)
def test_the_newer_name_of_the_start_timeout_takes_precedence(
    headers: dict[str, str], seconds: float
) -> None:
    assert wire.submit_options(http_request(headers=headers)).start_timeout_s == seconds


@given(text=st.text())
def test_every_start_timeout_is_a_duration_or_ignored(text: str) -> None:
    header = text.encode("latin-1", "replace").decode("latin-1")
    assert wire.submit_options(http_request(headers={"x-fal-request-timeout": header})).start_timeout_s > 0.1


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "²", "9" * 19, "9" * 5000])
def test_a_queue_length_is_a_whole_number(text: str) -> None:
    with pytest.raises(BadQuery, match="expected a whole number"):
        wire.submit_options(http_request(f"?fal_max_queue_length={quote(text)}"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?logs=1", True),
        ("?logs=true", True),
        ("?logs=0", False),
        ("?logs=false", False),
        ("?logs=True", False),
        ("?logs=", False),
        ("", False),
    ],
)
def test_logs_are_requested_with_1_or_true(query: str, expected: bool) -> None:
    assert wire.wants_logs(http_request(query)) is expected
