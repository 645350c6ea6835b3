"""The queue: how a request is submitted, what its states look like, its result, and how it is cancelled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from mock_fal_contracts.client.case import Check, ClientCase, Seen, case
from mock_fal_contracts.client.checks import (
    as_answered,
    asks,
    asks_at_path,
    either,
    fails,
    has_header,
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

_UNKNOWN: Final = "00000000-0000-4000-8000-000000000000"
_UNICODE: Final = 'Zoë: 猫 🐈‍⬛ "quoted" \\back\u2028slash\n\tтаб'
_NESTED: Final = {
    "prompt": "a cat",
    "loras": [{"path": "https://a.example/x", "scale": 0.1}, {}],
    "deep": {"a": [[1, [None, True]], {"b": ""}], "1e-7": 1e-07},
}
# Beyond what a double holds: 2**53 + 1, and the largest seed that fal's models return.
_SEED: Final = 9007199254740993
_LARGEST: Final = 18446744073709551557
_WEBHOOK: Final = "https://a.example/hook?job=7&name=Zo%C3%AB+&x=%26%23"


def _has_request_id(seen: Seen) -> Iterator[str]:
    sent = seen.to("submit")
    expected = sent[-1].output["request_id"] if sent else None
    found = seen.answer.get("request_id")
    if found != expected:
        yield f"request_id is {shown(found)}, expected {shown(expected)}, which the submission was answered with"


def _webhook_arrives(url: str) -> Check:
    def check(seen: Seen) -> Iterator[str]:
        sent = seen.to("submit")
        found = dict(sent[0].params).get("fal_webhook") if sent else None
        if found != url:
            yield f"the query's fal_webhook is {found!r}, expected {url!r}; percent-encode the whole address"

    return check


def _states(*wanted: str) -> Check:
    def check(seen: Seen) -> Iterator[str]:
        told = [each.get("status") for each in seen.answer.get("updates") or [] if isinstance(each, dict)]
        in_order = list(dict.fromkeys(told))
        if in_order != list(wanted):
            yield f"the updates tell the states {in_order}, expected {list(wanted)}; hand on what each poll says"

    return check


def _logs_query(kind: str, wanted: bool) -> Check:
    def check(seen: Seen) -> Iterator[str]:
        for each in seen.to(kind)[:1]:
            logs = dict(each.params).get("logs", "")
            if (logs.lower() in ("1", "true")) != wanted:
                yield f"the query has logs={logs!r}, expected {'1' if wanted else '0, or none'}"

    return check


def _logs(*messages: str) -> Check:
    def check(seen: Seen) -> Iterator[str]:
        result = seen.answer.get("result")
        logs = (result or {}).get("logs") if isinstance(result, dict) else None
        found = [each.get("message") for each in logs or [] if isinstance(each, dict)]
        if found != list(messages):
            yield f"the logs say {shown(found)}, expected {shown(list(messages))}; hand all of them on"

    return check


def _log_count(count: int) -> Check:
    def check(seen: Seen) -> Iterator[str]:
        result = seen.answer.get("result")
        logs = (result or {}).get("logs") if isinstance(result, dict) else None
        if len(logs or []) != count:
            yield f"{len(logs or [])} log entries were handed on, expected {count}"

    return check


def _update_logs(seen: Seen) -> Iterator[str]:
    updates = [each for each in seen.answer.get("updates") or [] if isinstance(each, dict)]
    most = max((len(each.get("logs") or []) for each in updates), default=0)
    if most != 3:
        yield f"the updates hand on {most} log entries, expected 3; ask with logs=1 and hand them on"


def _states_of(op_words: str, title: str, state: str, id: str, *more: Check) -> ClientCase:
    return case(
        f"queue.{id}",
        title,
        "A status is IN_QUEUE, IN_PROGRESS or COMPLETED; the HTTP status is 202 for the first two.",
        QUEUE_DOCS,
        [about_new("status", op_words)],
        [succeeds, result_is(state, "status"), *more],
    )


# Never done, so that no webhook is due.
_WAITING: Final = {"prompt": "a cat [mock: queue=90000]"}
_HELD: Final = "queue=0 run=6000"
_DONE: Final = "queue=0 run=0"


def _merged(
    id: str, title: str, words: str, patch: Mapping[str, Any], checks: Iterable[Check], source: str = LIVE
) -> ClientCase:
    return case(
        f"queue.{id}",
        title,
        "What fal adds is ignored, what it leaves out has a default: only status and request_id are required.",
        source,
        [about_new("status", words)],
        [succeeds, *checks],
        rules=[{"operation": "status", "merge": patch}],
    )


def _path_of(suffix: str) -> Callable[[Seen], str]:
    return lambda seen: f"/fal-ai/flux/requests/{seen.jobs[0]['request_id']}{suffix}"


_ADDRESSES = "The addresses of a request have [namespace/]owner/app and no more of the endpoint's path."

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
            asks_at_path("submit", f"/{ENDPOINT}"),
            asks("submit", 1, "submit once"),
            sends("submit", INPUT),
        ],
    ),
    case(
        "queue.submit-request-id",
        "the request's id is handed on",
        "The answer's request_id names the request.",
        QUEUE_DOCS,
        [submit()],
        [succeeds, _has_request_id],
    ),
    case(
        "queue.submit-key",
        "the key goes with a submission",
        "Authorization: Key, with FAL_KEY behind it.",
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
        "a prompt in any script arrives",
        "The body is JSON in UTF-8.",
        JSON_RFC,
        [submit({"prompt": _UNICODE})],
        [succeeds, sends("submit", {"prompt": _UNICODE})],
    ),
    case(
        "queue.submit-nested",
        "an input of any shape arrives unchanged",
        "The input is the model's, not the client's.",
        QUEUE_DOCS,
        [submit(_NESTED)],
        [succeeds, sends("submit", _NESTED)],
    ),
    case(
        "queue.submit-nulls",
        "null and empty values arrive",
        'null is a value that models know, as in "seed": null.',
        "the models' OpenAPI documents, 2026",
        [submit({"prompt": "", "seed": None, "x": [], "y": {}, "z": False})],
        [succeeds, sends("submit", {"prompt": "", "seed": None, "x": [], "y": {}, "z": False})],
    ),
    case(
        "queue.submit-seed",
        "a seed beyond 2^53 arrives to the digit",
        "Numbers are sent as they were given.",
        LIVE,
        [submit({"prompt": "a cat", "seed": _SEED})],
        [succeeds, sends("submit", {"prompt": "a cat", "seed": _SEED})],
    ),
    case(
        "queue.submit-priority",
        "a low priority is asked for",
        "X-Fal-Queue-Priority: low waits behind all others.",
        QUEUE_DOCS,
        [submit(priority="low")],
        [succeeds, has_header("submit", ("X-Fal-Queue-Priority",), lambda value: value == "low", "low")],
    ),
    case(
        "queue.submit-start-timeout",
        "a deadline for the start is asked for",
        "X-Fal-Request-Start-Timeout, or its old name X-Fal-Request-Timeout, in seconds.",
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
        "a hint for the runner is sent",
        "X-Fal-Runner-Hint routes to the same runner.",
        QUEUE_DOCS,
        [submit(hint="session-7")],
        [
            succeeds,
            has_header("submit", ("X-Fal-Runner-Hint",), lambda value: value == "session-7", "session-7"),
        ],
    ),
    case(
        "queue.submit-webhook",
        "a webhook is asked for",
        "The query's fal_webhook is the receiver's address.",
        WEBHOOK_DOCS,
        [submit(_WAITING, webhook_url="https://a.example/hook")],
        [succeeds, _webhook_arrives("https://a.example/hook")],
    ),
    case(
        "queue.submit-webhook-encoded",
        "a webhook's address keeps its own query",
        "The query's fal_webhook is the receiver's address, percent-encoded.",
        WEBHOOK_DOCS,
        [submit(_WAITING, webhook_url=_WEBHOOK)],
        [succeeds, _webhook_arrives(_WEBHOOK)],
    ),
    case(
        "queue.submit-unknown-fields",
        "new fields in the answer do no harm",
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
        "a request may run at once",
        "A fast model answers IN_PROGRESS, without a position.",
        LIVE,
        [submit()],
        [succeeds, _has_request_id],
        rules=[{"operation": "submit", "merge": {"status": "IN_PROGRESS", "queue_position": None}}],
    ),
    case(
        "queue.submit-2025",
        "the answer of 2025 is understood",
        "logs and metrics were absent in 2025.",
        LIVE,
        [submit()],
        [succeeds, _has_request_id],
        rules=[{"operation": "submit", "merge": {"logs": None, "metrics": None}}],
    ),
    # -- states
    _states_of("queue=6000", "a request in the queue", "IN_QUEUE", "status-queued"),
    _states_of(_HELD, "a request that runs", "IN_PROGRESS", "status-running"),
    _states_of(_DONE, "a request that is done", "COMPLETED", "status-completed"),
    case(
        "queue.status-path",
        "the status is asked where it is",
        _ADDRESSES,
        QUEUE_DOCS,
        [about_new("status", _DONE)],
        [succeeds, asks_at_path("status", _path_of("/status"))],
    ),
    case(
        "queue.status-namespace",
        "an endpoint in a namespace keeps it",
        "workflows/{user}/{name}/requests/{id}: a namespace is a segment more.",
        BOTH,
        [about("status", _UNKNOWN, endpoint="workflows/alice/poster")],
        [asks_at_path("status", f"/workflows/alice/poster/requests/{_UNKNOWN}/status")],
    ),
    case(
        "queue.status-failed",
        "an infrastructure failure shows in the status",
        "Such a request is COMPLETED, with error and error_type.",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 error=runner_server_error")],
        [succeeds, result_is("COMPLETED", "status"), result_is("runner_server_error", "error_type")],
    ),
    case(
        "queue.status-unknown-id",
        "the status of a request that there isn't",
        '404, {"status": "NOT_FOUND"}.',
        LIVE,
        [about("status", _UNKNOWN)],
        [fails(status=404, kind="http")],
    ),
    _merged(
        "status-unknown-fields",
        "new fields in a status do no harm",
        _HELD,
        {"region": "eu", "progress": {"step": 3}, "eta": None},
        [result_is("IN_PROGRESS", "status")],
    ),
    _merged(
        "status-position",
        "how many are in front of it",
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
        _HELD,
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
        "logs is null unless they are asked for.",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 logs=2", with_logs=True)],
        [succeeds, result_is("COMPLETED", "status")],
        rules=[{"operation": "status", "null": "logs"}],
    ),
    case(
        "queue.status-logs",
        "logs are asked for and handed on",
        "logs=1 (or true); each entry has a message.",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 logs=3", with_logs=True)],
        [succeeds, _logs_query("status", True), _log_count(3)],
    ),
    case(
        "queue.status-no-logs-asked",
        "logs are not asked for by those who don't want them",
        "logs=0 (or false, or nothing).",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 logs=3", with_logs=False)],
        [succeeds, _logs_query("status", False)],
    ),
    case(
        "queue.status-logs-huge",
        "twenty thousand lines of logs",
        "Logs are cumulative: each poll returns all.",
        QUEUE_DOCS,
        [about_new("status", "queue=0 run=0 logs=20000", with_logs=True)],
        [succeeds, _log_count(20000)],
    ),
    _merged(
        "status-logs-sparse",
        "log entries with a message and nothing else",
        _DONE,
        {"logs": [{"message": "猫: ✓", "timestamp": "2026-02-17T10:30:01.123Z"}, {"message": ""}]},
        [_logs("猫: ✓", "")],
        QUEUE_DOCS,
    ),
    _merged(
        "status-logs-new-level",
        "log entries of a new level",
        _DONE,
        {"logs": [{"message": "a", "level": "TRACE", "source": "SYSTEM", "timestamp": "soon", "labels": {}}]},
        [_logs("a")],
    ),
    case(
        "queue.status-new-state",
        "a state that nobody knows yet",
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
        [result_is(as_answered("result"))],
    ),
    case(
        "queue.result-path",
        "the result is asked where it is",
        _ADDRESSES,
        QUEUE_DOCS,
        [about_new("result", _DONE)],
        [succeeds, asks_at_path("result", _path_of(""))],
    ),
    case(
        "queue.result-early",
        "a result that is not there yet",
        "Before the end it is 400, Request is still in progress.",
        LIVE,
        [about_new("result", "queue=0 run=8")],
        [
            either(result_is(as_answered("result")), fails(status=400)),
            lambda seen: (
                ["the text of the 400 was taken for the result; look at the HTTP status"]
                if seen.ok and "still in progress" in shown(seen.answer.get("result"))
                else []
            ),
        ],
    ),
    case(
        "queue.result-unknown-id",
        "the result of a request that there isn't",
        "404, Request not found.",
        LIVE,
        [about("result", _UNKNOWN)],
        [fails(status=404, kind="http")],
    ),
    case(
        "queue.result-seed",
        "a seed of 64 bits is handed on to the digit",
        "Models return seeds up to 1.8e19.",
        LIVE,
        [about_new("result", _DONE)],
        [result_is(_LARGEST, "seed")],
        rules=[{"operation": "result", "merge": {"seed": _LARGEST}}],
    ),
    case(
        "queue.result-unicode",
        "a result in any script",
        "The body is JSON in UTF-8.",
        JSON_RFC,
        [about_new("result", _DONE)],
        [result_is(_UNICODE, "prompt")],
        rules=[{"operation": "result", "merge": {"prompt": _UNICODE}}],
    ),
    case(
        "queue.result-unknown-fields",
        "an output of any shape is handed on unchanged",
        "The output is the model's, not the client's.",
        QUEUE_DOCS,
        [about_new("result", _DONE)],
        [result_is(as_answered("result"))],
        rules=[{"operation": "result", "merge": {"status": "x", "error": None, **_NESTED}}],
    ),
    case(
        "queue.result-charset",
        "application/json; charset=utf-8 is JSON",
        "A media type may have parameters.",
        "HTTP (RFC 9110), 8.3.1",
        [about_new("result", _DONE)],
        [result_is(as_answered("result"))],
        rules=[{"operation": "result", "headers": {"content-type": "application/json; charset=utf-8"}}],
    ),
    case(
        "queue.result-large",
        "a result of two megabytes",
        "With sync_mode the pictures stand in the result.",
        QUEUE_DOCS,
        [about_new("result", _DONE)],
        [result_is(as_answered("result"))],
        rules=[{"operation": "result", "merge": {"blob": "0123456789abcdef" * 131072}}],
    ),
    # -- cancelling
    case(
        "queue.cancel-queued",
        "a request is cancelled in the queue",
        "PUT …/cancel: 200, and it never runs.",
        QUEUE_DOCS,
        [about_new("cancel", "queue=6000")],
        [succeeds, asks_at_path("cancel", _path_of("/cancel")), asks("cancel", 1, "PUT …/cancel once")],
    ),
    case(
        "queue.cancel-running",
        "a request is cancelled while it runs",
        "PUT …/cancel: 202, a request to stop.",
        QUEUE_DOCS,
        [about_new("cancel", _HELD)],
        [succeeds, asks("cancel", 1, "PUT …/cancel once")],
    ),
    case(
        "queue.cancel-completed",
        "a request that is done can't be cancelled",
        "400, ALREADY_COMPLETED.",
        QUEUE_DOCS,
        [about_new("cancel", _DONE)],
        [either(fails(status=400), result_is("ALREADY_COMPLETED", "status"))],
    ),
    case(
        "queue.cancel-unknown-id",
        "a request that there isn't can't be cancelled",
        "404, NOT_FOUND.",
        QUEUE_DOCS,
        [about("cancel", _UNKNOWN)],
        [fails(status=404, kind="http")],
    ),
    # -- all of it
    case(
        "queue.subscribe",
        "submit, wait, fetch",
        "Submit, ask for the status until COMPLETED, fetch the result.",
        QUEUE_DOCS,
        [subscribe()],
        [
            result_is(as_answered("result")),
            asks("submit", 1, "a second one is a second bill"),
            _has_request_id,
        ],
    ),
    case(
        "queue.subscribe-states",
        "updates tell each state",
        "IN_QUEUE, IN_PROGRESS, COMPLETED: never back.",
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
        "updates hand on the logs",
        "The status with logs=1 has all lines so far.",
        QUEUE_DOCS,
        [subscribe({"prompt": "a cat [mock: queue=0 run=3 logs=3]"}, with_logs=True)],
        [succeeds, _logs_query("status", True), _update_logs],
    ),
    case(
        "queue.subscribe-sub-path",
        "an endpoint with a path",
        _ADDRESSES,
        QUEUE_DOCS,
        [subscribe(endpoint="fal-ai/flux-pro/v1.1")],
        [
            succeeds,
            asks_at_path("submit", "/fal-ai/flux-pro/v1.1"),
            lambda seen: (
                f"{each.path} was asked, expected /fal-ai/flux-pro/requests/…; leave v1.1 out"
                for each in seen.to("status", "result")
                if not each.path.startswith("/fal-ai/flux-pro/requests/")
            ),
        ],
    ),
    case(
        "queue.subscribe-empty-output",
        "a result without the usual fields",
        "Nothing in an output is promised.",
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
