"""Wire format of fal's queue and runners: JSON, headers and texts. No other module contains these names.

JSON is compact and its keys are in fal's order (live captures, 2025-06 to 2026-07).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

from mock_fal.clock import date
from mock_fal.emulation.emulator import Cancellation
from mock_fal.emulation.options import DEFAULT_OPTIONS, SubmitOptions
from mock_fal.errors import (
    JSON,
    AlreadyCompleted,
    BadQuery,
    ConcurrencyReached,
    FalError,
    RequestNotFound,
    StillInProgress,
)
from mock_fal.journal.exchanges import RawHeaders, pack_headers, unpack_headers
from mock_fal.requests.lifecycle import Completed, LogLine, Queued, Running
from mock_fal.requests.outcome import Outcome, Rendered, RequestFailure, RunnerResponse, media_urls
from mock_fal.requests.queue import ModelRequest
from mock_fal.requests.view import View
from mock_fal.web.http_request import HttpRequest, Links

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from mock_fal.webhooks.payload import Webhook

REQUEST_ID: Final = "x-fal-request-id"

# fal: uploads to the CDN read the second, `storage/upload/initiate` the first (fal_client 1.0.3 sends both,
# @fal-ai/client 1.10.1 the second only, everywhere).
LIFECYCLE: Final = (b"x-fal-object-lifecycle-preference", b"x-fal-object-lifecycle")

# Longer numbers are rejected: Python fails to parse numbers with thousands of digits.
_MAX_DIGITS: Final = 18

_JSON: Final = b"application/json"
# fal: the gateway's own error pages are text (live, 2026-10).
_TEXT: Final = b"text/plain; charset=utf-8"

_JSON_HEAD: Final = b"content-length: %d\r\ncontent-type: application/json\r\nx-fal-request-id: %b"
_RESULT_HEAD: Final = _JSON_HEAD + b"\r\nx-fal-served-from: %b"

_COMPACT: Final[Any] = {"separators": (",", ":")}
_compact: Final = json.JSONEncoder(**_COMPACT, ensure_ascii=False).encode


class Reply:
    """A small response with a complete body, cheaper to create than Starlette's Response.

    Status polls are the most frequent requests, and creating headers is half of their cost. So the header fields are
    kept as they are sent, and as the journal keeps them: `head` has lines `name: value` with CRLF between them.
    `is_plain` means that these are the length, the type JSON and fields `x-fal-…` only.
    """

    __slots__ = ("body", "head", "is_plain", "status_code")

    def __init__(self, status: int, body: bytes, head: bytes, is_plain: bool = False) -> None:
        self.status_code = status
        self.body = body
        self.head = head
        self.is_plain = is_plain

    @property
    def raw_headers(self) -> RawHeaders:
        """The header fields. To change them, set a new list: this one is made for each call."""
        return unpack_headers(self.head)

    @raw_headers.setter
    def raw_headers(self, headers: RawHeaders) -> None:
        self.head, self.is_plain = pack_headers(headers), False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(head)
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


# The response of a host. Both are ASGI applications with a status_code and raw_headers.
AnyResponse: TypeAlias = "Reply | Response"


def head_of(response: AnyResponse) -> bytes:
    """The header fields of a response, as in `Reply.head`."""
    return response.head if isinstance(response, Reply) else pack_headers(response.raw_headers)


def reply(status: int, body: JSON, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON response."""
    return _reply(status, encode(body), headers or {})


def text(status: int, body: str) -> Reply:
    """A response with plain text."""
    return _reply(status, body.encode("utf-8", "replace"), {}, b"text/plain; charset=utf-8")


def listed(name: str, items: Sequence[bytes], document: JSON) -> Reply:
    """A response with a long list: `document` with the encoded `items` in its empty list `name`."""
    before, after = encode({**document, name: []}).split(b"[]")
    return _reply(200, b"%b[%b]%b" % (before, b",".join(items), after), {})


def _reply(status: int, body: bytes, headers: Mapping[str, str], content_type: bytes = _JSON) -> Reply:
    head = b"content-length: %d\r\ncontent-type: %b" % (len(body), content_type)
    if headers:
        head += "".join([f"\r\n{name}: {value}" for name, value in headers.items()]).encode("latin-1")
    is_plain = content_type == _JSON and all(name.startswith("x-fal-") for name in headers)
    return Reply(status, body, head, is_plain)


def encode(body: JSON, default: Callable[[Any], str] | None = None) -> bytes:
    """Compact JSON in UTF-8. Lone surrogates are escaped; infinity and NaN become null.

    `default` converts other objects to strings, as in `json.dumps`.
    """
    return _written(body, _encoder(default) if default else _ENCODER)


def _encoder(default: Callable[[Any], str] | None = None) -> json.JSONEncoder:
    return json.JSONEncoder(**_COMPACT, ensure_ascii=False, allow_nan=False, default=default)


_ENCODER: Final = _encoder()


def _written(body: JSON, encoder: json.JSONEncoder) -> bytes:
    try:
        return encoder.encode(body).encode()
    except ValueError:
        return json.dumps(_finite(body), **_COMPACT, default=encoder.default).encode()


# -- requests


def submit_options(http_request: HttpRequest) -> SubmitOptions:
    """The options in the headers and query of a submission. Raises BadQuery."""
    headers = http_request.headers
    if not http_request.query and headers.keys().isdisjoint(_OPTION_HEADERS):
        return DEFAULT_OPTIONS
    params = http_request.params
    return SubmitOptions(
        # fal: `low` waits behind all `normal`; other values are ignored (fal's Queue API documentation).
        low_priority=headers.get(b"x-fal-queue-priority") == b"low",
        start_timeout_s=_start_timeout(headers),
        max_queue_length=_max_queue_length(params.get("fal_max_queue_length")),
        webhook=_webhook(params.get("fal_webhook"), http_request),
        directive=http_request.header(b"x-mock-fal"),
        # fal: these three values (fal's documentation of reliability, 2026).
        no_retry=headers.get(b"x-fal-no-retry") in (b"1", b"true", b"yes"),
        retry_config=_retry_config(headers.get(b"x-fal-retry-config")),
    )


def direct_submit_options(http_request: HttpRequest) -> SubmitOptions:
    """The options in the headers of a direct request; queue options are ignored."""
    headers = http_request.headers
    if headers.keys().isdisjoint(_OPTION_HEADERS):
        return DEFAULT_OPTIONS
    return SubmitOptions(
        start_timeout_s=_start_timeout(headers), directive=http_request.header(b"x-mock-fal")
    )


_OPTION_HEADERS: Final = frozenset(
    {
        b"x-fal-queue-priority",
        b"x-fal-no-retry",
        b"x-fal-retry-config",
        b"x-fal-request-start-timeout",
        b"x-fal-request-timeout",
        b"x-mock-fal",
    }
)


def wants_logs(http_request: HttpRequest) -> bool:
    """Whether a status request asks for logs."""
    # fal: documented are 1 and 0; the Python client sends true and false. Any other value means no.
    return http_request.params.get("logs") in ("1", "true")


def _webhook(url: str | None, http_request: HttpRequest) -> Webhook | None:
    if not url:
        return None
    from mock_fal.webhooks.payload import Webhook  # rarely used, so not imported at start

    return Webhook(url, http_request.links.media, http_request.foreign_origin)


def _start_timeout(headers: Mapping[bytes, bytes]) -> float:
    # fal: the first is the name of 2026, the second the older one that all official clients still send.
    text = headers.get(b"x-fal-request-start-timeout", headers.get(b"x-fal-request-timeout"))
    try:
        seconds = float(text) if text is not None else math.inf
    except ValueError:
        seconds = math.nan
    # fal: documented is a number above 0.1. assumption: other values mean no deadline.
    return seconds if seconds > 0.1 else math.inf


def _retry_config(text: bytes | None) -> dict[str, int]:
    """The retries of each condition in `X-Fal-Retry-Config`."""
    if text is None:
        return {}
    from mock_fal.requests.retries import CONDITIONS  # rarely used

    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return {}  # fal: bad JSON is ignored (documentation of retries, 2026)
    # fal: so is a number in place of an object. assumption: other values that make no sense are ignored too.
    given = config.items() if isinstance(config, dict) else ()
    numbers = {name: value.get("retries") for name, value in given if isinstance(value, dict)}
    return {
        name: number
        for name, number in numbers.items()
        if name in CONDITIONS and isinstance(number, int) and not isinstance(number, bool) and number >= 0
    }


def _max_queue_length(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or len(text) > _MAX_DIGITS:
        raise BadQuery("fal_max_queue_length", text, "a whole number")
    return int(text)


# -- responses


def submitted(view: View, links: Links, *, with_webhook: bool = False) -> Reply:
    """The response to a submission: the status, with the URLs of the request."""
    body = _status(view, links, logs=None)
    if with_webhook:
        # fal: the id of the attempt that is made, in the webhook documentation only (2026).
        # assumption: answers to submissions without a webhook don't have it; it was never seen live.
        body = body[:-1] + b',"gateway_request_id":"%b"}' % view.request.id.encode()
    return _status_reply(200, body, view.request)


def status(view: View, links: Links, *, with_logs: bool) -> Reply:
    """The answer to a look: 202 until the request is completed, 200 then."""
    # fal: the code tells the state (fal's documentation, 2026; live, 2026-05).
    code = 200 if isinstance(view.status, Completed) else 202
    logs = view.logs if with_logs else None
    body = _status(view, links, logs)
    return _status_reply(code, body, view.request)


def _status_reply(code: int, body: bytes, request: ModelRequest) -> Reply:
    return Reply(code, body, _JSON_HEAD % (len(body), request.id.encode()), True)


def status_event(view: View, links: Links, logs: Sequence[LogLine] | None) -> bytes:
    """One event of a status stream."""
    return event(_status(view, links, logs))


def event(body: bytes, name: str = "") -> bytes:
    """One server-sent event. The body is compact JSON, so it has no line breaks."""
    event_line = b"event: %b\n" % name.encode() if name else b""
    return b"%bdata: %b\n\n" % (event_line, body)


def stream_headers(request: ModelRequest) -> dict[str, str]:
    """The headers of an event stream."""
    # assumption: the same headers as for a result, except the billable units, which are not known yet.
    return {
        "content-type": "text/event-stream",
        REQUEST_ID: request.id,
        "x-fal-served-from": _runner_id(request.app_id).decode(),
    }


def workflow_output(body: JSON) -> JSON:
    """The last event of the stream of a workflow. fal: its two members (workflow documentation, 2026)."""
    return {"type": "output", "output": body}


def partial(body: JSON, links: Links, inline: Rendered) -> bytes:
    """The output of a runner: a result, or a partial one."""
    if inline:
        return encode(body, media_urls(links.media, inline))
    return _written(body, _encoder_below(links.media))


def result(outcome: Outcome, request: ModelRequest, links: Links, inline: Rendered) -> Reply:
    """The result of a request: the runner's response, or the gateway's error."""
    if isinstance(outcome, RequestFailure):
        return request_failure(outcome, request.id)
    return _runner_reply(outcome, partial(outcome.body, links, inline), request)


def written_result(body: bytes, request: ModelRequest) -> Reply:
    """The result of a request whose body was written without building its output."""
    assert isinstance(request.head, RunnerResponse)
    return _runner_reply(request.head, body, request)


def write(body: JSON, media: str) -> str:
    """JSON as text, with the URLs of files below `media`. Raises ValueError for a number that JSON does not have."""
    return _encoder_below(media).encode(body)


def _runner_reply(outcome: RunnerResponse, body: bytes, request: ModelRequest) -> Reply:
    head = _RESULT_HEAD % (len(body), request.id.encode(), _runner_id(request.app_id))
    if outcome.billable_units is not None:
        head += b"\r\nx-fal-billable-units: " + _units(outcome.billable_units)
    if outcome.needs_retry is not None:
        head += b"\r\nx-fal-needs-retry: " + (b"true" if outcome.needs_retry else b"false")
    return Reply(outcome.status, body, head, True)


def request_failure(failure: RequestFailure, request_id: str) -> Reply:
    """The gateway's response when the runner did not respond."""
    headers = {
        REQUEST_ID: request_id,
        "x-fal-error-type": failure.error_type,
        "x-fal-needs-retry": "1" if failure.needs_retry else "0",
    }
    if failure.by_user:
        headers["x-fal-request-timeout-type"] = "user"
    if failure.retry_after_s is not None:
        headers["retry-after"] = str(failure.retry_after_s)
    body = {"detail": failure.detail, "error_type": failure.error_type}
    return reply(failure.kind.status, body, headers)


def cancelled(cancellation: Cancellation, request: ModelRequest) -> Reply:
    """The response to an accepted cancellation."""
    headers = {REQUEST_ID: request.id}
    if cancellation is Cancellation.REQUESTED:
        return reply(202, {"status": "CANCELLATION_REQUESTED"}, headers)
    # assumption: the status OK comes with the code 200; both are documented, but not together.
    return reply(200, {"status": "OK"}, headers)


def error(error: FalError, request_id: str, *, as_status: bool = False) -> Reply:
    """An error response. For status and cancel requests (`as_status`) the body is a status."""
    headers = {REQUEST_ID: request_id} if request_id else None
    if isinstance(error, ConcurrencyReached):
        return request_failure(RequestFailure("concurrent_requests_limit"), request_id)
    if isinstance(error, AlreadyCompleted):
        return reply(error.status, {"status": "ALREADY_COMPLETED"}, headers)
    if isinstance(error, RequestNotFound) and as_status:
        return reply(error.status, {"status": "NOT_FOUND"}, headers)
    return reply(error.status, {"detail": error.detail}, headers)


def still_in_progress(error: StillInProgress, request: ModelRequest, links: Links) -> Reply:
    """The response to a result request before the end."""
    # fal: these five keys (live, 2026-05). assumption: the order of the keys.
    return reply(error.status, {"detail": error.detail, **_urls(request, links)}, {REQUEST_ID: request.id})


def page_not_found(request_id: str) -> Reply:
    """The gateway's own 404, for a path that names no app. fal: seen live, 2026-10."""
    return _reply(404, b"404: Not Found", {REQUEST_ID: request_id}, _TEXT)


def method_not_allowed(allowed: str, request_id: str = "") -> Reply:
    """The gateway's own 405. `allowed` lists the methods, as in "GET,HEAD". File URLs have no request id."""
    # fal: the code and the Allow header were seen live. assumption: the text of the body.
    id_header = {REQUEST_ID: request_id} if request_id else {}
    return _reply(405, b"405: Method Not Allowed", {"allow": allowed, **id_header}, _TEXT)


def runner_method_not_allowed(request_id: str) -> Reply:
    """A runner's 405: every endpoint takes POST only. fal: the text is FastAPI's (fal SDK)."""
    headers = {"allow": "POST", REQUEST_ID: request_id}
    return reply(405, {"detail": "Method Not Allowed"}, headers)


def _status(view: View, links: Links, logs: Sequence[LogLine] | None) -> bytes:
    """A status as JSON, formatted by hand: statuses are requested most, and an encoder takes five times as long."""
    state, tail = _state(view)
    lines = "null" if logs is None or state == "IN_QUEUE" else _compact([_log_line(line) for line in logs])
    quoted = _quoted if len(links.queue) <= _MAX_CACHED_URL else _quoted.__wrapped__
    request_id, url = view.request.id, quoted(links.queue, view.request.app_id) + view.request.id
    # fal: logs are null unless requested. assumption: while queued they are null even if requested.
    return (
        f'{{"status":"{state}","request_id":"{request_id}","response_url":"{url}","status_url":"{url}/status",'
        f'"cancel_url":"{url}/cancel","logs":{lines},{tail}}}'
    ).encode()


def _state(view: View) -> tuple[str, str]:
    """The name of a state, and the JSON members that follow from it."""
    match view.status:
        case Completed(inference_s):
            if view.failure is None:
                return "COMPLETED", f'"metrics":{{"inference_time":{inference_s}}}'
            # fal: infrastructure failures appear in the status, a model's own error does not (live, 2026-07).
            error, error_type = _compact(view.failure.detail), view.failure.error_type
            return "COMPLETED", f'"metrics":{{}},"error":{error},"error_type":"{error_type}"'
        case Running():
            return "IN_PROGRESS", '"metrics":{}'
        case Queued(position):
            return "IN_QUEUE", f'"metrics":{{}},"queue_position":{position}'
        case _:
            assert_never(view.status)


# The base has the Host header of the client. Longer ones are not cached, so that the cache is bounded.
_MAX_CACHED_URL: Final = 256


def _encoder_below(media: str) -> json.JSONEncoder:
    """Writes a file as its URL below `media`."""
    return (_url_encoder if len(media) <= _MAX_CACHED_URL else _url_encoder.__wrapped__)(media)


@lru_cache(maxsize=1024)
def _url_encoder(media: str) -> json.JSONEncoder:
    """To make an encoder takes as long as to write a small output."""
    return _encoder(media_urls(media, {}))


@lru_cache(maxsize=1024)
def _quoted(base: str, app_id: str) -> str:
    """The URL of an app's requests, escaped for a JSON string, because a Host header may contain any character."""
    return _compact(f"{base}/{app_id}/requests/")[1:-1]


def _urls(request: ModelRequest, links: Links) -> dict[str, str]:
    # fal: the URLs contain the app id only; a request to the whole endpoint id gets 405 (live, often).
    url = f"{links.queue}/{request.app_id}/requests/{request.id}"
    return {
        "request_id": request.id,
        "response_url": url,
        "status_url": f"{url}/status",
        "cancel_url": f"{url}/cancel",
    }


def _log_line(line: LogLine) -> JSON:
    # assumption: timestamps have milliseconds and a Z; older captures have microseconds and no zone.
    moment = date(line.at).isoformat(timespec="milliseconds")
    stamp = moment.replace("+00:00", "Z")
    return {"message": line.message, "level": line.level, "source": line.source, "timestamp": stamp}


def _units(units: int | float) -> bytes:
    # fal: integers without decimals, floats with eight (fal SDK).
    return b"%d" % units if isinstance(units, int) else b"%.8f" % units


@lru_cache(maxsize=256)
def _runner_id(app_id: str) -> bytes:
    # assumption: the format of the runner id; documented as opaque.
    return sha256(app_id.encode("utf-8", "surrogatepass")).hexdigest()[:32].encode()


def _finite(value: JSON) -> JSON:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return value
