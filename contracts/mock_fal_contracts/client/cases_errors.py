"""Errors: what the server refuses, what it says, and what comes out of a network that breaks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mock_fal_contracts.client.case import Check, ClientCase, Seen, case
from mock_fal_contracts.client.checks import as_answered, asks, fails, refuses, result_is, succeeds
from mock_fal_contracts.client.jobs import (
    BOTH,
    ERROR_DOCS,
    HTTP,
    JSON_RFC,
    LIVE,
    QUEUE_DOCS,
    RUN_DOCS,
    about_new,
    run,
    submit,
    subscribe,
)

_DONE: Final = "queue=0 run=0"
_QUICK: Final = {"prompt": "a cat [mock: queue=0 run=0]"}
_BAD: Final = {"prompt": "a cat", "num_inference_steps": 28, "output_format": "webp"}
_READ: Final = "An answer that can't be read is an error, and never a result."
_ONCE: Final = "What an answer says for good is not asked again."
_PASSING: Final = (
    "A failure that passes is waited out, as fal's own clients do; a paid request is not lost to it."
)
# Both retry these statuses; fal says of 503 and 504 that they are temporary.
_RETRIED: Final = f"{BOTH}; fal's documentation of retries, 2026"


def _result(
    id: str, title: str, body: str, checks: Iterable[Check], status: int = 422, source: str = ERROR_DOCS
) -> ClientCase:
    """A request that is done, and whose result is such an error."""
    return case(
        f"errors.{id}",
        title,
        "detail is a list of objects, or a text; what it says reaches the caller.",
        source,
        [about_new("result", _DONE)],
        checks,
        rules=[{"operation": "result", "status": status, "body": body}],
    )


def _unreadable(step: str, id: str, title: str, rule: Mapping[str, Any], what: str) -> ClientCase:
    """A subscription that meets an answer which can't be read, at one step, every time."""
    return case(
        f"errors.{id}",
        title,
        _READ,
        JSON_RFC,
        [subscribe(_QUICK)],
        [refuses(what)],
        rules=[{"at": step, **rule}],
    )


def _passing(step: str, id: str, title: str, rule: Mapping[str, Any], source: str = _RETRIED) -> ClientCase:
    """A subscription that meets a failure once, at one step."""
    return case(
        f"errors.{id}",
        title,
        _PASSING,
        source,
        [subscribe(_QUICK)],
        [succeeds, result_is(as_answered("result"))],
        rules=[{"at": step, "times": 1, **rule}],
        slow_s=2,
    )


def _refused(id: str, title: str, requirement: str, rule: str, status: int, said: str) -> ClientCase:
    """A submission that is refused for good."""
    return case(
        f"errors.{id}",
        title,
        requirement,
        LIVE,
        [submit()],
        [fails(status=status, kind="http", saying=(said,)), asks("submit", 1, _ONCE)],
        rules=[rule],
    )


def _no_key_elsewhere(seen: Seen) -> Iterator[str]:
    for each in seen.exchanges:
        if each.host.endswith("fal.media") and each.request_header("authorization"):
            yield f"Authorization followed the redirect to {each.host}; drop it when the host changes"


def _few(kind: str, most: int, why: str) -> Check:
    def check(seen: Seen) -> Iterator[str]:
        if len(seen.to(kind)) > most:
            yield f"{len(seen.to(kind))} requests of the kind {kind!r} were sent, expected at most {most}; {why}"

    return check


def _message_says(text: str) -> Check:
    def check(seen: Seen) -> Iterator[str]:
        message = str(seen.error.get("message"))
        if text not in message:
            yield f"the error's own message is {message!r}, expected it to say {text!r}; make the message of `detail`"

    return check


def _item(kind: str, **more: Any) -> str:
    return json.dumps({"detail": [{"loc": ["body", "prompt"], "msg": "Not this one", "type": kind, **more}]})


_LOOP: Final = "/fal-ai/flux/requests/00000000-0000-4000-8000-000000000000/status"

CASES: Final = [
    # -- validation
    case(
        "errors.validation",
        "a missing field",
        "422: detail is a list, each item with loc, msg and type.",
        ERROR_DOCS,
        [subscribe({"seed": 7})],
        [fails(status=422, kind="validation", saying=("Field required", "prompt"))],
    ),
    case(
        "errors.validation-run",
        "a missing field, asked directly",
        "422 at once, on fal.run.",
        ERROR_DOCS,
        [run({"seed": 7})],
        [fails(status=422, kind="validation", saying=("Field required", "prompt")), asks("run", 1, _ONCE)],
    ),
    case(
        "errors.validation-all",
        "two wrong fields are both told",
        "detail has an item for each.",
        ERROR_DOCS,
        [run(_BAD)],
        [fails(status=422, kind="validation", saying=("num_inference_steps", "output_format"))],
    ),
    case(
        "errors.validation-context",
        "what the limits are",
        "ctx holds the limit.",
        ERROR_DOCS,
        [run({"prompt": "a cat [mock: error=image_too_small ctx.min_width=517]"})],
        [fails(status=422, kind="validation", saying=("image_too_small", "517"))],
    ),
    case(
        "errors.validation-policy",
        "content that is refused",
        "422, content_policy_violation.",
        ERROR_DOCS,
        [subscribe({"prompt": "a cat [mock: error=content_policy_violation queue=0 run=0]"})],
        [fails(status=422, kind="validation", saying=("content_policy_violation",))],
    ),
    _result(
        "validation-text",
        "422 with a text",
        '{"detail": "No such style"}',
        [fails(status=422, saying=("No such style",))],
    ),
    _result(
        "validation-new-type",
        "422 of a type that nobody knows yet",
        _item("brand_new_type", extra={"a": [1]}),
        [fails(status=422, kind="validation", saying=("brand_new_type", "Not this one"))],
    ),
    _result(
        "validation-place",
        "a place with an index",
        '{"detail": [{"loc": ["body", "image_urls", 3], "msg": "Bad address", "type": "url_parsing"}]}',
        [fails(status=422, saying=("image_urls", "Bad address", "3"))],
    ),
    _result(
        "validation-bare",
        "an item without loc and type",
        '{"detail": [{"msg": "Something is wrong"}]}',
        [fails(status=422, saying=("Something is wrong",))],
    ),
    _result(
        "validation-unicode",
        "a message in any script",
        json.dumps({"detail": "Ünmöglich: 猫"}),
        [fails(status=422, saying=("Ünmöglich: 猫",))],
        source=JSON_RFC,
    ),
    # -- other shapes of errors
    _result(
        "no-detail",
        "an error without detail",
        '{"message": "Out of memory"}',
        [fails(status=500, kind="http", saying=("Out of memory",))],
        500,
    ),
    _result(
        "detail-null",
        "an error whose detail is null",
        '{"detail": null}',
        [fails(status=500, kind="http")],
        500,
    ),
    _result(
        "detail-object",
        "an error whose detail is an object",
        '{"detail": {"reason": "gpu"}}',
        [fails(status=500, kind="http", saying=("gpu",))],
        500,
    ),
    _result(
        "body-list", "an error whose body is a list", '["CUDA error"]', [fails(status=500, kind="http")], 500
    ),
    _result("body-empty", "an error without a body", "", [fails(status=500, kind="http")], 500, HTTP),
    _result(
        "body-html",
        "an error as a web page",
        "<html><body>Bad things</body></html>",
        [fails(status=500, kind="http")],
        500,
        HTTP,
    ),
    _result(
        "status-new",
        "a status that nobody knows yet",
        '{"detail": "?"}',
        [fails(status=418, kind="http")],
        418,
        "HTTP (RFC 9110), 15",
    ),
    _result(
        "message",
        "the message alone says why",
        '{"detail": "CUDA error: out of memory"}',
        [fails(status=500), _message_says("CUDA error: out of memory")],
        500,
    ),
    # -- who is refused
    _refused(
        "locked",
        "an account that is locked",
        "403: the detail says what to do.",
        "operation=submit account=locked",
        403,
        "Exhausted balance",
    ),
    _refused(
        "bad-key",
        "a key that isn't known",
        "401, invalid key credentials.",
        "operation=submit account=unknown",
        401,
        "invalid key credentials",
    ),
    _refused(
        "forbidden",
        "a key that may not",
        "403: the detail says so.",
        "operation=submit account=forbidden",
        403,
        "not permitted",
    ),
    case(
        "errors.no-such-app",
        "an app that there isn't",
        "404, Application … not found.",
        LIVE,
        [submit(endpoint="fal-ai/no-such-app")],
        [fails(status=404, kind="http", saying=("no-such-app",)), asks("submit", 1, _ONCE)],
    ),
    # -- what fal's infrastructure says
    case(
        "errors.type",
        "the type of an infrastructure error",
        "error_type, and X-Fal-Error-Type, say what broke.",
        ERROR_DOCS,
        [subscribe({"prompt": "a cat [mock: error=runner_server_error queue=0 run=0]"})],
        [fails(status=500, kind="http", error_type="runner_server_error")],
    ),
    case(
        "errors.type-header",
        "the type stands in the header only",
        "X-Fal-Error-Type says what broke.",
        ERROR_DOCS,
        [about_new("result", _DONE)],
        [fails(status=500, kind="http", error_type="runner_server_error")],
        rules=[
            {"operation": "result", "status": 500, "headers": {"x-fal-error-type": "runner_server_error"}}
        ],
    ),
    case(
        "errors.cancelled",
        "the result of a request that was cancelled",
        "499, client_cancelled.",
        ERROR_DOCS,
        [about_new("result", "queue=0 run=0 error=client_cancelled")],
        [fails(status=499, kind="http", error_type="client_cancelled"), asks("result", 1, _ONCE)],
    ),
    case(
        "errors.start-timeout",
        "the caller's own deadline for the start has passed",
        "504 with X-Fal-Request-Timeout-Type: user, which is not tried again.",
        QUEUE_DOCS,
        [subscribe({"prompt": "a cat [mock: queue=9000]"}, start_timeout_s=2)],
        [
            fails(status=504, kind="http", error_type="request_timeout"),
            asks("submit", 1, _ONCE),
            asks("result", 1, _ONCE),
        ],
    ),
    case(
        "errors.start-timeout-run",
        "the same, asked directly",
        "504 with X-Fal-Request-Timeout-Type: user, which is not tried again.",
        RUN_DOCS,
        [run({"prompt": "a cat [mock: queue=9000]"}, start_timeout_s=2)],
        [fails(status=504, kind="http"), asks("run", 1, _ONCE)],
    ),
    case(
        "errors.stored-422",
        "a 422 is not asked for again",
        _ONCE,
        ERROR_DOCS,
        [subscribe({"seed": 7})],
        [fails(status=422), asks("submit", 1, _ONCE), asks("result", 1, _ONCE)],
    ),
    case(
        "errors.run-500",
        "a direct call that broke is not made again",
        "A direct call is not idempotent; X-Fal-Needs-Retry: 1 would say that it may be repeated.",
        RUN_DOCS,
        [run()],
        [fails(status=500), asks("run", 1, "a second one may be a second bill")],
        rules=["operation=run status=500"],
    ),
    # -- what passes
    _passing("submit", "429-submit", "429, once, to a submission", {"status": 429}),
    _passing("status", "429-status", "429, once, to a poll", {"status": 429}),
    _passing("result", "429-result", "429, once, to the result", {"status": 429}),
    _passing("submit", "ingress-submit", "502 of the ingress, once, to a submission", {"ingress": 502}),
    _passing("status", "ingress-status", "503 of the ingress, once, to a poll", {"ingress": 503}),
    _passing("result", "ingress-result", "504 of the ingress, once, to the result", {"ingress": 504}),
    _passing(
        "status",
        "500-status",
        "500, once, to a poll",
        {"status": 500},
        "@fal-ai/client 1.10.1; HTTP (RFC 9110), 9.2.2: a GET may be repeated",
    ),
    _passing(
        "status",
        "503-status",
        "503 with a request's id, once, to a poll",
        {"status": 503},
        "@fal-ai/client 1.10.1; HTTP (RFC 9110), 9.2.2: a GET may be repeated",
    ),
    _passing(
        "status", "reset-status", "a connection that is reset, once, at a poll", {"connection": "reset"}
    ),
    _passing(
        "result", "reset-result", "a connection that is reset, once, at the result", {"connection": "reset"}
    ),
    _passing(
        "status",
        "cut-status",
        "a connection that breaks behind the head, once, at a poll",
        {"connection": "reset_after_headers"},
    ),
    case(
        "errors.429-run",
        "429, once, to a direct call",
        "429 concurrent_requests_limit with X-Fal-Needs-Retry: 1 is tried again.",
        _RETRIED,
        [run()],
        [result_is(as_answered("run"))],
        slow_s=2,
        rules=[{"operation": "run", "times": 1, "status": 429, "headers": {"x-fal-needs-retry": "1"}}],
    ),
    # -- what can't be read
    _unreadable(
        "submit",
        "submit-truncated",
        "a submission's answer ends in the middle",
        {"json": "truncated"},
        "half a JSON document",
    ),
    _unreadable(
        "status",
        "status-truncated",
        "a status ends in the middle",
        {"json": "truncated"},
        "half a JSON document",
    ),
    _unreadable(
        "result",
        "result-truncated",
        "a result ends in the middle",
        {"json": "truncated"},
        "half a JSON document",
    ),
    _unreadable(
        "result",
        "result-malformed",
        "a result that is no JSON",
        {"json": "malformed"},
        "a body that is no JSON",
    ),
    _unreadable("result", "result-empty", "a result without a body", {"json": "empty"}, "an empty body"),
    _unreadable(
        "result",
        "result-html",
        "a web page in the place of a result",
        {"status": 200, "body": "<html>Please log in to this network</html>"},
        "a web page",
    ),
    _unreadable(
        "submit",
        "submit-html",
        "a web page in the place of a submission's answer",
        {"status": 200, "body": "<html>Please log in to this network</html>"},
        "a web page",
    ),
    _unreadable(
        "submit",
        "submit-no-id",
        "a submission's answer without request_id",
        {"merge": {"request_id": None}},
        "an answer without request_id",
    ),
    # -- redirects
    case(
        "errors.redirect",
        "a result that lies elsewhere",
        "3xx of an app is passed on; the key stays with fal.",
        "fal's documentation of errors, 2026; HTTP (RFC 9110), 15.4",
        [about_new("result", _DONE)],
        [refuses("a redirect"), _no_key_elsewhere],
        rules=[
            {
                "operation": "result",
                "status": 302,
                "headers": {"location": "https://v3b.fal.media/files/b/0a1b2c3d/elsewhere.json"},
            }
        ],
    ),
    case(
        "errors.redirect-loop",
        "redirects without an end",
        "A client should detect cyclical redirections.",
        "HTTP (RFC 9110), 15.4",
        [about_new("status", _DONE)],
        [refuses("a redirect"), _few("status", 60, "stop after some")],
        rules=[
            {"operation": "status", "status": 302, "headers": {"location": f"https://queue.fal.run{_LOOP}"}}
        ],
        deadline_s=10,
    ),
    # -- what takes too long
    case(
        "errors.timeout",
        "the caller's patience ends",
        "A caller may say how long a subscription may take.",
        BOTH,
        [subscribe({"prompt": "a cat [mock: queue=0 run=9000]"}, timeout_s=1.5)],
        [fails(kind="timeout")],
        deadline_s=10,
        slow_s=1,
    ),
    case(
        "errors.timeout-status",
        "the caller's patience ends while a poll hangs",
        "The deadline is that of the whole subscription.",
        BOTH,
        [subscribe(_QUICK, timeout_s=1.5)],
        [fails(kind="timeout")],
        rules=["operation=status connection=hang"],
        deadline_s=10,
        slow_s=1,
    ),
    case(
        "errors.timeout-submit",
        "the caller's patience ends while the submission hangs",
        "The deadline is that of the whole subscription.",
        BOTH,
        [subscribe(_QUICK, timeout_s=1.5)],
        [fails(kind="timeout")],
        rules=["operation=submit connection=hang"],
        deadline_s=10,
        slow_s=10,
    ),
    case(
        "errors.drip",
        "a result that comes slowly",
        "A slow answer is an answer.",
        HTTP,
        [about_new("result", _DONE)],
        [result_is(as_answered("result"))],
        rules=["operation=result throttle=40"],
        slow_s=1,
    ),
]
