"""Cases of the queue: submission, status, result, cancellation and subscribe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from mock_fal_contracts.client.case import Check, ClientCase, case
from mock_fal_contracts.client.checks import (
    as_sent,
    either,
    fails,
    has_header,
    requests_exactly,
    requests_path,
    result_is,
    sends,
    shown,
    succeeds,
)
from mock_fal_contracts.client.jobs import (
    BOTH,
    ENDPOINT,
    INPUT,
    JSON_RFC,
    LIVE,
    QUEUE_DOCS,
    WEBHOOK_DOCS,
    about,
    about_new,
    submit,
    subscribe,
)
from mock_fal_contracts.client.observation import Observation

_UNKNOWN_ID: Final = "00000000-0000-4000-8000-000000000000"
_UNICODE: Final = 'Zoë: 猫 🐈‍⬛ "quoted" \\back\u2028slash\n\tтаб'
_NESTED: Final = {
    "prompt": "a cat",
    "loras": [{"path": "https://a.example/x", "scale": 0.1}, {}],
    "deep": {"a": [[1, [None, True]], {"b": ""}], "1e-7": 1e-07},
}
# Beyond what a double holds: 2**53 + 1, and the largest seed that fal's models return.
_LARGE_SEED: Final = 9007199254740993
_LARGEST_SEED: Final = 18446744073709551557
_WEBHOOK: Final = "https://a.example/hook?job=7&name=Zo%C3%AB+&x=%26%23"


def _has_request_id(observation: Observation) -> Iterator[str]:
    submissions = observation.requests("submit")
    expected = submissions[-1].output["request_id"] if submissions else None
    actual = observation.answer.get("request_id")
    if actual != expected:
        yield f"request_id is {shown(actual)}, expected {shown(expected)} from the response to the submission"


def _webhook_is(url: str) -> Check:
    def check(observation: Observation) -> Iterator[str]:
        submissions = observation.requests("submit")
        actual = dict(submissions[0].params).get("fal_webhook") if submissions else None
        if actual != url:
            yield f"fal_webhook in the query is {actual!r}, expected {url!r}; percent-encode the whole URL"

    return check


def _states(*expected: str) -> Check:
    def check(observation: Observation) -> Iterator[str]:
        states = list(dict.fromkeys(update.get("status") for update in observation.updates))
        if states != list(expected):
            yield f"the updates have the states {states}, expected {list(expected)}; report the status of each poll"

    return check


def _logs_query(operation: str, with_logs: bool) -> Check:
    def check(observation: Observation) -> Iterator[str]:
        for exchange in observation.requests(operation)[:1]:
            logs = dict(exchange.params).get("logs", "")
            if (logs.lower() in ("1", "true")) != with_logs:
                yield f"the query has logs={logs!r}, expected {'1' if with_logs else '0, or none'}"

    return check


def _logs_of(observation: Observation) -> list[Any]:
    result = observation.answer.get("result")
    return (result.get("logs") if isinstance(result, dict) else None) or []


def _log_messages(*expected: str) -> Check:
    def check(observation: Observation) -> Iterator[str]:
        messages = [entry.get("message") for entry in _logs_of(observation) if isinstance(entry, dict)]
        if messages != list(expected):
            yield f"the log messages are {shown(messages)}, expected {shown(list(expected))}; return all of them"

    return check


def _log_count(count: int) -> Check:
    def check(observation: Observation) -> Iterator[str]:
        logs = _logs_of(observation)
        if len(logs) != count:
            yield f"{len(logs)} log entries were returned, expected {count}"

    return check


def _update_logs(observation: Observation) -> Iterator[str]:
    most = max((len(update.get("logs") or []) for update in observation.updates), default=0)
    if most != 3:
        yield f"the updates have {most} log entries, expected 3; poll with logs=1 and pass the entries on"


def _state(directive: str, title: str, state: str, id: str, *more: Check) -> ClientCase:
    return case(
        f"queue.{id}",
        title,
        "A status is IN_QUEUE, IN_PROGRESS or COMPLETED; the HTTP status is 202 for the first two.",
        QUEUE_DOCS,
        [about_new("status", directive)],
        [succeeds, result_is(state, "status"), *more],
    )


# These never complete within a test, so that no webhook is sent.
_WAITING: Final = {"prompt": "a cat [mock: queue=90000]"}
_RUNNING: Final = "queue=0 run=6000"
_DONE: Final = "queue=0 run=0"


def _merged(
    id: str, title: str, directive: str, patch: Mapping[str, Any], checks: Iterable[Check], source: str = LIVE
) -> ClientCase:
    """The status of a request whose response is changed by a JSON merge patch."""
    return case(
        f"queue.{id}",
        title,
        "Unknown fields are ignored and absent ones have a default; only status and request_id are required.",
        source,
        [about_new("status", directive)],
        [succeeds, *checks],
        rules=[{"operation": "status", "merge": patch}],
    )


def _path_of(suffix: str) -> Callable[[Observation], str]:
    return lambda observation: f"/fal-ai/flux/requests/{observation.jobs[0]['request_id']}{suffix}"


_ADDRESSES = "The URLs of a request contain [namespace/]owner/app and no further part of the endpoint id."

CASES: Final = [
    # -- submitting
    case(
        "queue.submit",
        "a request is submitted",
        "POST queue.fal.run/{endpoint id}, with the input itself as JSON.",
        QUEUE_DOCS,
        [submit()],
        [
            succeeds,
            requests_path("submit", f"/{ENDPOINT}"),
            requests_exactly("submit", 1, "submit once"),
            sends("submit", INPUT),
        ],
    ),
    case(
        "queue.submit-request-id",
        "the request id is returned",
        "request_id in the response identifies the request.",
        QUEUE_DOCS,
        [submit()],
        [succeeds, _has_request_id],
    ),
    case(
        "queue.submit-key",
        "a submission carries the key",
        "Authorization: Key, followed by FAL_KEY.",
        "fal's Authentication documentation, 2026",
        [submit()],
        [has_header("submit", ("Authorization",), lambda value: value.startswith("Key "), "Key <FAL_KEY>")],
    ),
    case(
        "queue.submit-content-type",
        "the input is declared as JSON",
        "Content-Type: application/json.",
        QUEUE_DOCS,
        [submit()],
        [
            has_header(
                "submit",
                ("Content-Type",),
                lambda value: value.startswith("application/json"),
                "application/json",
            )
        ],
    ),
    case(
        "queue.submit-unicode",
        "a Unicode prompt arrives unchanged",
        "The body is JSON in UTF-8.",
        JSON_RFC,
        [submit({"prompt": _UNICODE})],
        [succeeds, sends("submit", {"prompt": _UNICODE})],
    ),
    case(
        "queue.submit-nested",
        "an input of any structure arrives unchanged",
        "Only the model interprets the input.",
        QUEUE_DOCS,
        [submit(_NESTED)],
        [succeeds, sends("submit", _NESTED)],
    ),
    case(
        "queue.submit-nulls",
        "null and empty values arrive",
        'Models accept null, as in "seed": null.',
        "the models' OpenAPI documents, 2026",
        [submit({"prompt": "", "seed": None, "x": [], "y": {}, "z": False})],
        [succeeds, sends("submit", {"prompt": "", "seed": None, "x": [], "y": {}, "z": False})],
    ),
    case(
        "queue.submit-seed",
        "a seed above 2^53 arrives with all digits",
        "Numbers are sent exactly.",
        LIVE,
        [submit({"prompt": "a cat", "seed": _LARGE_SEED})],
        [succeeds, sends("submit", {"prompt": "a cat", "seed": _LARGE_SEED})],
    ),
    case(
        "queue.submit-priority",
        "a low priority is requested",
        "X-Fal-Queue-Priority: low queues a request behind all others.",
        QUEUE_DOCS,
        [submit(priority="low")],
        [succeeds, has_header("submit", ("X-Fal-Queue-Priority",), lambda value: value == "low", "low")],
    ),
    case(
        "queue.submit-start-timeout",
        "a start deadline is requested",
        "X-Fal-Request-Start-Timeout, or the older X-Fal-Request-Timeout, in seconds.",
        QUEUE_DOCS,
        [submit(start_timeout_s=30)],
        [
            succeeds,
            has_header(
                "submit",
                ("X-Fal-Request-Start-Timeout", "X-Fal-Request-Timeout"),
                lambda value: re.fullmatch(r"30(\.0*)?", value) is not None,
                "30",
            ),
        ],
    ),
    case(
        "queue.submit-hint",
        "a runner hint is sent",
        "X-Fal-Runner-Hint routes requests to the same runner.",
        QUEUE_DOCS,
        [submit(hint="session-7")],
        [
            succeeds,
            has_header("submit", ("X-Fal-Runner-Hint",), lambda value: value == "session-7", "session-7"),
        ],
    ),
    case(
        "queue.submit-webhook",
        "a webhook is requested",
        "fal_webhook in the query is the URL of the receiver.",
        WEBHOOK_DOCS,
        [submit(_WAITING, webhook_url="https://a.example/hook")],
        [succeeds, _webhook_is("https://a.example/hook")],
    ),
    case(
        "queue.submit-webhook-encoded",
        "a webhook URL keeps its own query",
        "fal_webhook in the query is the URL of the receiver, percent-encoded.",
        WEBHOOK_DOCS,
        [submit(_WAITING, webhook_url=_WEBHOOK)],
        [succeeds, _webhook_is(_WEBHOOK)],
    ),
    case(
        "queue.submit-unknown-fields",
        "unknown fields in the response are accepted",
        "Unknown fields are ignored.",
        LIVE,
        [submit()],
        [succeeds, _has_request_id],
        rules=[
            {
                "operation": "submit",
                "merge": {"region": "eu", "eta": {"seconds": 1.5}, "gateway_request_id": "x"},
            }
        ],
    ),
    case(
        "queue.submit-running",
        "a request that runs at once",
        "For a fast model the response may be IN_PROGRESS, without a position.",
        LIVE,
        [submit()],
        [succeeds, _has_request_id],
        rules=[{"operation": "submit", "merge": {"status": "IN_PROGRESS", "queue_position": None}}],
    ),
    case(
        "queue.submit-2025",
        "the response format of 2025 is accepted",
        "logs and metrics were absent in 2025.",
        LIVE,
        [submit()],
        [succeeds, _has_request_id],
        rules=[{"operation": "submit", "merge": {"logs": None, "metrics": None}}],
    ),
    # -- states
    _state("queue=6000", "a queued request", "IN_QUEUE", "status-queued"),
    _state(_RUNNING, "a running request", "IN_PROGRESS", "status-running"),
    _state(_DONE, "a completed request", "COMPLETED", "status-completed"),
    case(
        "queue.status-path",
        "the status is requested at the right path",
        _ADDRESSES,
        QUEUE_DOCS,
        [about_new("status", _DONE)],
        [succeeds, requests_path("status", _path_of("/status"))],
    ),
    case(
        "queue.status-namespace",
        "the namespace of an endpoint is kept",
        "workflows/{user}/{name}/requests/{id}: a namespace adds one segment.",
        BOTH,
        [about("status", _UNKNOWN_ID, endpoint="workflows/alice/poster")],
        [requests_path("status", f"/workflows/alice/poster/requests/{_UNKNOWN_ID}/status")],
    ),
    case(
        "queue.status-failed",
        "an infrastructure failure appears in the status",
        "Such a request is COMPLETED, with error and error_type.",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 error=runner_server_error")],
        [succeeds, result_is("COMPLETED", "status"), result_is("runner_server_error", "error_type")],
    ),
    case(
        "queue.status-unknown-id",
        "the status of an unknown request",
        '404, {"status": "NOT_FOUND"}.',
        LIVE,
        [about("status", _UNKNOWN_ID)],
        [fails(status=404, kind="http")],
    ),
    _merged(
        "status-unknown-fields",
        "unknown fields in a status are accepted",
        _RUNNING,
        {"region": "eu", "progress": {"step": 3}, "eta": None},
        [result_is("IN_PROGRESS", "status")],
    ),
    _merged(
        "status-position",
        "a position in the queue",
        "queue=6000",
        {"queue_position": 3},
        [result_is("IN_QUEUE", "status"), result_is(3, "queue_position")],
        QUEUE_DOCS,
    ),
    _merged(
        "status-position-zero",
        "position 0 is a position",
        "queue=6000",
        {"queue_position": 0},
        [result_is("IN_QUEUE", "status"), result_is(0, "queue_position")],
        QUEUE_DOCS,
    ),
    _merged(
        "status-no-position",
        "IN_QUEUE without a position",
        "queue=6000",
        {"queue_position": None},
        [result_is("IN_QUEUE", "status")],
        "the models' OpenAPI documents, 2026",
    ),
    _merged(
        "status-no-logs",
        "IN_PROGRESS without logs",
        _RUNNING,
        {"logs": None, "metrics": None},
        [result_is("IN_PROGRESS", "status")],
    ),
    _merged(
        "status-completed-no-logs",
        "COMPLETED without logs",
        _DONE,
        {"logs": None},
        [result_is("COMPLETED", "status")],
    ),
    _merged(
        "status-no-metrics",
        "COMPLETED without metrics",
        _DONE,
        {"metrics": None},
        [result_is("COMPLETED", "status")],
        BOTH,
    ),
    case(
        "queue.status-logs-null",
        "logs may be null",
        "logs is null unless requested.",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 logs=2", with_logs=True)],
        [succeeds, result_is("COMPLETED", "status")],
        rules=[{"operation": "status", "set_null": "logs"}],
    ),
    case(
        "queue.status-logs",
        "logs are requested and returned",
        "logs=1 (or true); each entry has a message.",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 logs=3", with_logs=True)],
        [succeeds, _logs_query("status", True), _log_count(3)],
    ),
    case(
        "queue.status-no-logs-asked",
        "logs are not requested unless wanted",
        "logs=0 (or false, or no parameter).",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 logs=3", with_logs=False)],
        [succeeds, _logs_query("status", False)],
    ),
    case(
        "queue.status-logs-huge",
        "1,000 log entries",
        "Logs are cumulative: each poll returns all.",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 logs=1000", with_logs=True)],
        [succeeds, _log_count(1000)],
    ),
    _merged(
        "status-logs-sparse",
        "log entries with only a message",
        _DONE,
        {"logs": [{"message": "猫: ✓", "timestamp": "2026-02-17T10:30:01.123Z"}, {"message": ""}]},
        [_log_messages("猫: ✓", "")],
        QUEUE_DOCS,
    ),
    _merged(
        "status-logs-new-level",
        "log entries with an unknown level",
        _DONE,
        {"logs": [{"message": "a", "level": "TRACE", "source": "SYSTEM", "timestamp": "soon", "labels": {}}]},
        [_log_messages("a")],
    ),
    case(
        "queue.status-new-state",
        "an unknown state",
        "Only COMPLETED ends a request.",
        QUEUE_DOCS,
        [subscribe({"prompt": "a cat [mock: queue=0 run=3]"})],
        [either(succeeds, fails(saying=("PAUSED",)))],
        rules=[{"operation": "status", "nth": 1, "merge": {"status": "PAUSED"}}],
    ),
    # -- results
    case(
        "queue.result",
        "the result of a request",
        "GET …/requests/{id} is the model's output, unwrapped.",
        QUEUE_DOCS,
        [about_new("result", _DONE)],
        [result_is(as_sent("result"))],
    ),
    case(
        "queue.result-path",
        "the result is requested at the right path",
        _ADDRESSES,
        QUEUE_DOCS,
        [about_new("result", _DONE)],
        [succeeds, requests_path("result", _path_of(""))],
    ),
    case(
        "queue.result-early",
        "a result that is not ready yet",
        "Before completion the response is 400, Request is still in progress.",
        LIVE,
        [about_new("result", "queue=0 run=8")],
        [
            either(result_is(as_sent("result")), fails(status=400)),
            lambda observation: (
                ["the body of the 400 was returned as the result; check the HTTP status"]
                if observation.ok and "still in progress" in shown(observation.answer.get("result"))
                else []
            ),
        ],
    ),
    case(
        "queue.result-unknown-id",
        "the result of an unknown request",
        "404, Request not found.",
        LIVE,
        [about("result", _UNKNOWN_ID)],
        [fails(status=404, kind="http")],
    ),
    case(
        "queue.result-seed",
        "a 64-bit seed is returned with all digits",
        "Models return seeds up to 1.8e19.",
        LIVE,
        [about_new("result", _DONE)],
        [result_is(_LARGEST_SEED, "seed")],
        rules=[{"operation": "result", "merge": {"seed": _LARGEST_SEED}}],
    ),
    case(
        "queue.result-unicode",
        "a Unicode result",
        "The body is JSON in UTF-8.",
        JSON_RFC,
        [about_new("result", _DONE)],
        [result_is(_UNICODE, "prompt")],
        rules=[{"operation": "result", "merge": {"prompt": _UNICODE}}],
    ),
    case(
        "queue.result-unknown-fields",
        "an output of any structure is returned unchanged",
        "Only the model defines the output.",
        QUEUE_DOCS,
        [about_new("result", _DONE)],
        [result_is(as_sent("result"))],
        rules=[{"operation": "result", "merge": {"status": "x", "error": None, **_NESTED}}],
    ),
    case(
        "queue.result-charset",
        "application/json; charset=utf-8 is JSON",
        "A media type may have parameters.",
        "HTTP (RFC 9110), 8.3.1",
        [about_new("result", _DONE)],
        [result_is(as_sent("result"))],
        rules=[{"operation": "result", "headers": {"content-type": "application/json; charset=utf-8"}}],
    ),
    case(
        "queue.result-large",
        "a result of two megabytes",
        "With sync_mode the images are inside the result.",
        QUEUE_DOCS,
        [about_new("result", _DONE)],
        [result_is(as_sent("result"))],
        rules=[{"operation": "result", "merge": {"blob": "0123456789abcdef" * 131072}}],
    ),
    # -- cancelling
    case(
        "queue.cancel-queued",
        "a queued request is cancelled",
        "PUT …/cancel: 200, and the request never runs.",
        QUEUE_DOCS,
        [about_new("cancel", "queue=6000")],
        [
            succeeds,
            requests_path("cancel", _path_of("/cancel")),
            requests_exactly("cancel", 1, "PUT …/cancel once"),
        ],
    ),
    case(
        "queue.cancel-running",
        "a running request is cancelled",
        "PUT …/cancel: 202; the runner is asked to stop.",
        QUEUE_DOCS,
        [about_new("cancel", _RUNNING)],
        [succeeds, requests_exactly("cancel", 1, "PUT …/cancel once")],
    ),
    case(
        "queue.cancel-completed",
        "a completed request can't be cancelled",
        "400, ALREADY_COMPLETED.",
        QUEUE_DOCS,
        [about_new("cancel", _DONE)],
        [either(fails(status=400), result_is("ALREADY_COMPLETED", "status"))],
    ),
    case(
        "queue.cancel-unknown-id",
        "an unknown request can't be cancelled",
        "404, NOT_FOUND.",
        QUEUE_DOCS,
        [about("cancel", _UNKNOWN_ID)],
        [fails(status=404, kind="http")],
    ),
    # -- subscribing
    case(
        "queue.subscribe",
        "submit, wait, fetch",
        "Submit, poll the status until COMPLETED, fetch the result.",
        QUEUE_DOCS,
        [subscribe()],
        [
            result_is(as_sent("result")),
            requests_exactly("submit", 1, "a second one is billed too"),
            _has_request_id,
        ],
    ),
    case(
        "queue.subscribe-states",
        "updates report each state",
        "IN_QUEUE, IN_PROGRESS, COMPLETED, in this order.",
        QUEUE_DOCS,
        [subscribe({"prompt": "a cat [mock: queue=0 run=8]"})],
        [succeeds, _states("IN_QUEUE", "IN_PROGRESS", "COMPLETED")],
        rules=[
            {"operation": "status", "nth": 1, "merge": {"status": "IN_QUEUE", "queue_position": 1}},
            {"operation": "status", "nth": 2, "merge": {"status": "IN_PROGRESS", "queue_position": None}},
        ],
    ),
    case(
        "queue.subscribe-logs",
        "updates contain the logs",
        "With logs=1, the status has all log entries so far.",
        QUEUE_DOCS,
        [subscribe({"prompt": "a cat [mock: queue=0 run=3 logs=3]"}, with_logs=True)],
        [succeeds, _logs_query("status", True), _update_logs],
    ),
    case(
        "queue.subscribe-sub-path",
        "an endpoint id with a path",
        _ADDRESSES,
        QUEUE_DOCS,
        [subscribe(endpoint="fal-ai/flux-pro/v1.1")],
        [
            succeeds,
            requests_path("submit", "/fal-ai/flux-pro/v1.1"),
            lambda observation: (
                f"{exchange.path} was requested, expected /fal-ai/flux-pro/requests/…; leave v1.1 out"
                for exchange in observation.requests("status", "result")
                if not exchange.path.startswith("/fal-ai/flux-pro/requests/")
            ),
        ],
    ),
    case(
        "queue.subscribe-empty-output",
        "a result without the usual fields",
        "No field of an output is guaranteed.",
        QUEUE_DOCS,
        [subscribe()],
        [result_is({"prompt": "a cat"})],
        rules=[
            {
                "operation": "result",
                "merge": {"images": None, "timings": None, "seed": None, "has_nsfw_concepts": None},
            }
        ],
    ),
]
