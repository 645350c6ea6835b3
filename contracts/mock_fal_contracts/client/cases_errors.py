"""Cases of errors: rejected requests, error bodies, retries, unreadable responses, redirects and timeouts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mock_fal_contracts.client.case import Check, ClientCase, case
from mock_fal_contracts.client.checks import (
    as_sent,
    fails,
    rejects,
    requests_at_most,
    requests_exactly,
    result_is,
    succeeds,
)
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
from mock_fal_contracts.client.observation import Observation

_DONE: Final = "queue=0 run=0"
_QUICK: Final = {"prompt": "a cat [mock: queue=0 run=0]"}
_BAD: Final = {"prompt": "a cat", "num_inference_steps": 28, "output_format": "webp"}
_READABLE: Final = "A response that can't be parsed is an error, never a result."
_ONCE: Final = "A permanent error is not retried."
_TRANSIENT: Final = (
    "A transient failure is retried, as fal's own clients do, so that a paid request is not lost."
)
# Both clients retry these statuses; fal documents 503 and 504 as temporary.
_RETRIED: Final = f"{BOTH}; fal's documentation of retries, 2026"


def _result(
    id: str, title: str, body: str, checks: Iterable[Check], status: int = 422, source: str = ERROR_DOCS
) -> ClientCase:
    """A completed request whose result is an error with this body."""
    return case(
        f"errors.{id}",
        title,
        "detail is a list of objects, or a text; its content reaches the caller.",
        source,
        [about_new("result", _DONE)],
        checks,
        rules=[{"operation": "result", "status": status, "body": body}],
    )


def _unreadable(operation: str, id: str, title: str, rule: Mapping[str, Any], what: str) -> ClientCase:
    """A subscription in which every response of one operation is unreadable."""
    return case(
        f"errors.{id}",
        title,
        _READABLE,
        JSON_RFC,
        [subscribe(_QUICK)],
        [rejects(what)],
        rules=[{"operation": operation, **rule}],
    )


def _transient(
    operation: str, id: str, title: str, rule: Mapping[str, Any], source: str = _RETRIED
) -> ClientCase:
    """A subscription in which one request of an operation fails."""
    return case(
        f"errors.{id}",
        title,
        _TRANSIENT,
        source,
        [subscribe(_QUICK)],
        [succeeds, result_is(as_sent("result"))],
        rules=[{"operation": operation, "times": 1, **rule}],
        slow_s=2,
    )


def _rejected(id: str, title: str, requirement: str, rule: str, status: int, message: str) -> ClientCase:
    """A submission with a permanent error."""
    return case(
        f"errors.{id}",
        title,
        requirement,
        LIVE,
        [submit()],
        [fails(status=status, kind="http", saying=(message,)), requests_exactly("submit", 1, _ONCE)],
        rules=[rule],
    )


def _no_key_elsewhere(observation: Observation) -> Iterator[str]:
    for exchange in observation.exchanges:
        if exchange.host.endswith("fal.media") and exchange.request_header("authorization"):
            yield f"Authorization followed the redirect to {exchange.host}; omit it when the host changes"


def _message_contains(text: str) -> Check:
    def check(observation: Observation) -> Iterator[str]:
        message = str(observation.error.get("message"))
        if text not in message:
            yield f"the error's message is {message!r}, expected it to contain {text!r}; build it from `detail`"

    return check


def _item(kind: str, **more: Any) -> str:
    return json.dumps({"detail": [{"loc": ["body", "prompt"], "msg": "Not this one", "type": kind, **more}]})


_LOOP: Final = "/fal-ai/flux/requests/00000000-0000-4000-8000-000000000000/status"

CASES: Final = [
    # -- validation
    case(
        "errors.validation",
        "a missing field",
        "422: detail is a list of objects with loc, msg and type.",
        ERROR_DOCS,
        [subscribe({"seed": 7})],
        [fails(status=422, kind="validation", saying=("Field required", "prompt"))],
    ),
    case(
        "errors.validation-run",
        "a missing field in a direct call",
        "422 at once, on fal.run.",
        ERROR_DOCS,
        [run({"seed": 7})],
        [
            fails(status=422, kind="validation", saying=("Field required", "prompt")),
            requests_exactly("run", 1, _ONCE),
        ],
    ),
    case(
        "errors.validation-all",
        "two invalid fields are both reported",
        "detail has one item per field.",
        ERROR_DOCS,
        [run(_BAD)],
        [fails(status=422, kind="validation", saying=("num_inference_steps", "output_format"))],
    ),
    case(
        "errors.validation-context",
        "the limit in a validation error",
        "ctx contains the limit.",
        ERROR_DOCS,
        [run({"prompt": "a cat [mock: error=image_too_small ctx.min_width=517]"})],
        [fails(status=422, kind="validation", saying=("image_too_small", "517"))],
    ),
    case(
        "errors.validation-policy",
        "content that violates the policy",
        "422, content_policy_violation.",
        ERROR_DOCS,
        [subscribe({"prompt": "a cat [mock: error=content_policy_violation queue=0 run=0]"})],
        [fails(status=422, kind="validation", saying=("content_policy_violation",))],
    ),
    _result(
        "validation-text",
        "422 with a text as detail",
        '{"detail": "No such style"}',
        [fails(status=422, saying=("No such style",))],
    ),
    _result(
        "validation-new-type",
        "422 with an unknown type",
        _item("brand_new_type", extra={"a": [1]}),
        [fails(status=422, kind="validation", saying=("brand_new_type", "Not this one"))],
    ),
    _result(
        "validation-place",
        "a location with an index",
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
        "a Unicode message",
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
        "an HTML page as error body",
        "<html><body>Bad things</body></html>",
        [fails(status=500, kind="http")],
        500,
        HTTP,
    ),
    _result(
        "status-new",
        "an unknown status",
        '{"detail": "?"}',
        [fails(status=418, kind="http")],
        418,
        "HTTP (RFC 9110), 15",
    ),
    _result(
        "message",
        "the message alone gives the reason",
        '{"detail": "CUDA error: out of memory"}',
        [fails(status=500), _message_contains("CUDA error: out of memory")],
        500,
    ),
    # -- accounts and keys
    _rejected(
        "locked",
        "a locked account",
        "403: detail says what to do.",
        "operation=submit account=locked",
        403,
        "Exhausted balance",
    ),
    _rejected(
        "bad-key",
        "an unknown key",
        "401, invalid key credentials.",
        "operation=submit account=unknown",
        401,
        "invalid key credentials",
    ),
    _rejected(
        "forbidden",
        "a key without permission",
        "403: detail says so.",
        "operation=submit account=forbidden",
        403,
        "not permitted",
    ),
    case(
        "errors.no-such-app",
        "an unknown app",
        "404, Application … not found.",
        LIVE,
        [submit(endpoint="fal-ai/no-such-app")],
        [fails(status=404, kind="http", saying=("no-such-app",)), requests_exactly("submit", 1, _ONCE)],
    ),
    # -- errors of fal's infrastructure
    case(
        "errors.type",
        "the type of an infrastructure error",
        "error_type, and X-Fal-Error-Type, name the failure.",
        ERROR_DOCS,
        [subscribe({"prompt": "a cat [mock: error=runner_server_error queue=0 run=0]"})],
        [fails(status=500, kind="http", error_type="runner_server_error")],
    ),
    case(
        "errors.type-header",
        "the type is in the header only",
        "X-Fal-Error-Type names the failure.",
        ERROR_DOCS,
        [about_new("result", _DONE)],
        [fails(status=500, kind="http", error_type="runner_server_error")],
        rules=[
            {"operation": "result", "status": 500, "headers": {"x-fal-error-type": "runner_server_error"}}
        ],
    ),
    case(
        "errors.cancelled",
        "the result of a cancelled request",
        "499, client_cancelled.",
        ERROR_DOCS,
        [about_new("result", "queue=0 run=0 error=client_cancelled")],
        [fails(status=499, kind="http", error_type="client_cancelled"), requests_exactly("result", 1, _ONCE)],
    ),
    case(
        "errors.start-timeout",
        "the caller's own start deadline has passed",
        "504 with X-Fal-Request-Timeout-Type: user, which is not retried.",
        QUEUE_DOCS,
        [subscribe({"prompt": "a cat [mock: queue=9000]"}, start_timeout_s=2)],
        [
            fails(status=504, kind="http", error_type="request_timeout"),
            requests_exactly("submit", 1, _ONCE),
            requests_exactly("result", 1, _ONCE),
        ],
    ),
    case(
        "errors.start-timeout-run",
        "the caller's own start deadline has passed in a direct call",
        "504 with X-Fal-Request-Timeout-Type: user, which is not retried.",
        RUN_DOCS,
        [run({"prompt": "a cat [mock: queue=9000]"}, start_timeout_s=2)],
        [fails(status=504, kind="http"), requests_exactly("run", 1, _ONCE)],
    ),
    case(
        "errors.stored-422",
        "a stored 422 is not requested again",
        _ONCE,
        ERROR_DOCS,
        [subscribe({"seed": 7})],
        [fails(status=422), requests_exactly("submit", 1, _ONCE), requests_exactly("result", 1, _ONCE)],
    ),
    case(
        "errors.run-500",
        "a failed direct call is not repeated",
        "A direct call is not idempotent; only X-Fal-Needs-Retry: 1 allows a retry.",
        RUN_DOCS,
        [run()],
        [fails(status=500), requests_exactly("run", 1, "a second one may be billed too")],
        rules=["operation=run status=500"],
    ),
    # -- transient failures
    _transient("submit", "429-submit", "one 429 to a submission", {"status": 429}),
    _transient("status", "429-status", "one 429 to a poll", {"status": 429}),
    _transient("result", "429-result", "one 429 to the result", {"status": 429}),
    _transient("submit", "ingress-submit", "one 502 of the ingress to a submission", {"ingress": 502}),
    _transient("status", "ingress-status", "one 503 of the ingress to a poll", {"ingress": 503}),
    _transient("result", "ingress-result", "one 504 of the ingress to the result", {"ingress": 504}),
    _transient(
        "status",
        "500-status",
        "one 500 to a poll",
        {"status": 500},
        "@fal-ai/client 1.10.1; HTTP (RFC 9110), 9.2.2: a GET may be retried",
    ),
    _transient(
        "status",
        "503-status",
        "one 503 with a request id to a poll",
        {"status": 503},
        "@fal-ai/client 1.10.1; HTTP (RFC 9110), 9.2.2: a GET may be retried",
    ),
    _transient("status", "reset-status", "one connection reset at a poll", {"connection": "reset"}),
    _transient("result", "reset-result", "one connection reset at the result", {"connection": "reset"}),
    _transient(
        "status",
        "cut-status",
        "one connection reset after the headers of a poll",
        {"connection": "reset_after_headers"},
    ),
    case(
        "errors.429-run",
        "one 429 to a direct call",
        "429 concurrent_requests_limit with X-Fal-Needs-Retry: 1 is retried.",
        _RETRIED,
        [run()],
        [result_is(as_sent("run"))],
        slow_s=2,
        rules=[{"operation": "run", "times": 1, "status": 429, "headers": {"x-fal-needs-retry": "1"}}],
    ),
    # -- unreadable responses
    _unreadable(
        "submit",
        "submit-truncated",
        "a truncated response to a submission",
        {"json": "truncated"},
        "half a JSON document",
    ),
    _unreadable(
        "status",
        "status-truncated",
        "a truncated status",
        {"json": "truncated"},
        "half a JSON document",
    ),
    _unreadable(
        "result",
        "result-truncated",
        "a truncated result",
        {"json": "truncated"},
        "half a JSON document",
    ),
    _unreadable(
        "result",
        "result-malformed",
        "a result that is not JSON",
        {"json": "malformed"},
        "a body that is not JSON",
    ),
    _unreadable("result", "result-empty", "a result without a body", {"json": "empty"}, "an empty body"),
    _unreadable(
        "result",
        "result-html",
        "an HTML page instead of a result",
        {"status": 200, "body": "<html>Please log in to this network</html>"},
        "an HTML page",
    ),
    _unreadable(
        "submit",
        "submit-html",
        "an HTML page instead of a response to a submission",
        {"status": 200, "body": "<html>Please log in to this network</html>"},
        "an HTML page",
    ),
    _unreadable(
        "submit",
        "submit-no-id",
        "a response to a submission without request_id",
        {"merge": {"request_id": None}},
        "a response without request_id",
    ),
    # -- redirects
    case(
        "errors.redirect",
        "a result with a redirect",
        "A 3xx of an app is passed on; the key is sent to fal only.",
        "fal's documentation of errors, 2026; HTTP (RFC 9110), 15.4",
        [about_new("result", _DONE)],
        [rejects("a redirect"), _no_key_elsewhere],
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
        "an endless redirect",
        "A client should detect cyclical redirections.",
        "HTTP (RFC 9110), 15.4",
        [about_new("status", _DONE)],
        [rejects("a redirect"), requests_at_most("status", 60, "limit the number of redirects")],
        rules=[
            {"operation": "status", "status": 302, "headers": {"location": f"https://queue.fal.run{_LOOP}"}}
        ],
        deadline_s=10,
    ),
    # -- timeouts
    case(
        "errors.timeout",
        "the caller's time limit",
        "A caller may limit the duration of a subscription.",
        BOTH,
        [subscribe({"prompt": "a cat [mock: queue=0 run=9000]"}, timeout_s=1.5)],
        [fails(kind="timeout")],
        deadline_s=10,
        slow_s=1,
    ),
    case(
        "errors.timeout-status",
        "the caller's time limit while a poll hangs",
        "The time limit applies to the whole subscription.",
        BOTH,
        [subscribe(_QUICK, timeout_s=1.5)],
        [fails(kind="timeout")],
        rules=["operation=status connection=hang"],
        deadline_s=10,
        slow_s=1,
    ),
    case(
        "errors.timeout-submit",
        "the caller's time limit while the submission hangs",
        "The time limit applies to the whole subscription.",
        BOTH,
        [subscribe(_QUICK, timeout_s=1.5)],
        [fails(kind="timeout")],
        rules=["operation=submit connection=hang"],
        deadline_s=10,
        slow_s=10,
    ),
    case(
        "errors.drip",
        "a result that arrives slowly",
        "A slow response is a valid response.",
        HTTP,
        [about_new("result", _DONE)],
        [result_is(as_sent("result"))],
        rules=["operation=result throttle=40"],
        slow_s=1,
    ),
]
