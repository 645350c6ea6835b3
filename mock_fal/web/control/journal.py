"""`/_mock/requests` and its kin: what happened, for a test to read and to forget."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.clock import steady_time
from mock_fal.emulator import Emulator
from mock_fal.journal.exchanges import OPERATIONS, Exchange, RawHeaders
from mock_fal.journal.har import har, response_bytes, text
from mock_fal.requests.outcome import is_deeper
from mock_fal.requests.state import State, state
from mock_fal.web.control.wire import Refusal, emulator, query, response

if TYPE_CHECKING:
    from mock_fal.files.listing import StoredFile
    from mock_fal.webhooks.outbox import Delivery

# What lies deeper is shown as the text that it came as: more levels can be read than written.
MAX_DEPTH: Final = 100

Filter = Callable[[Emulator, Exchange, str], bool]

# What `?name=value` lets through. `since` is the id of an exchange: those behind it.
_FILTERS: Final[Mapping[str, Filter]] = {
    "key": lambda its, each, value: each.tenant == value,
    "endpoint": lambda its, each, value: fnmatchcase(each.endpoint or "", value),
    "operation": lambda its, each, value: each.operation == value,
    "state": lambda its, each, value: _state(its, each) == value,
    "method": lambda its, each, value: each.method == value.upper(),
    "host": lambda its, each, value: each.host == value.lower(),
    "status": lambda its, each, value: _fits(each.status, value),
    "request_id": lambda its, each, value: each.request_id == value,
    "since": lambda its, each, value: each.number > int(value),
}
_OPTIONS: Final = ("limit", "format", "secrets")


async def requests(request: Request) -> Response:
    wanted = _wanted(request)
    if request.query_params.get("format", "json") == "har":
        return _archive(request, wanted)
    its = emulator(request)
    return response({"requests": [_exchange(its, each) for each in wanted]})


async def archive(request: Request) -> Response:
    return _archive(request, _wanted(request))


async def reset(request: Request) -> Response:
    emulator(request).reset(query(request, "key").get("key"))
    return Response(status_code=204)


async def deliveries(request: Request) -> Response:
    key = query(request, "key").get("key")
    wanted = [_delivery(each) for each in emulator(request).deliveries if key in (None, each.tenant)]
    return response({"deliveries": wanted})


async def files(request: Request) -> Response:
    from mock_fal.files.listing import files

    its, key = emulator(request), query(request, "key").get("key")
    known = files(its.store, its.storage, its.clock.now())
    return response({"files": [_file(each) for each in known if key in (None, each.owner)]})


async def metrics(request: Request) -> Response:
    from mock_fal.web.control.metrics import CONTENT_TYPE, metrics

    page = metrics(emulator(request), steady_time() - request.app.state.started_at)
    return Response(page, media_type=CONTENT_TYPE)


def _wanted(request: Request) -> list[Exchange]:
    """The exchanges that a query asks for, oldest first; with a `limit` the last so many."""
    asked = query(request, *_FILTERS, *_OPTIONS)
    _check(asked)
    its = emulator(request)
    filters = [(_FILTERS[name], value) for name, value in asked.items() if name in _FILTERS]
    found = [each for each in its.store.exchanges if all(fits(its, each, value) for fits, value in filters)]
    limit = int(asked.get("limit", len(found)))
    return found[-limit:] if limit else []


def _check(asked: Mapping[str, str]) -> None:
    for name, value in asked.items():
        expected = _EXPECTED.get(name)
        if expected is not None and not expected[0](value):
            raise Refusal(422, f"{name} is {value!r}, expected {expected[1]}")


def _is_count(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) < 19


def _is_status(value: str) -> bool:
    return len(value) == 3 and value[0] in "12345" and (value[1:] == "xx" or value.isdecimal())


_STATES: Final = [each.value for each in State]
_EXPECTED: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "operation": (OPERATIONS.__contains__, f"one of {', '.join(OPERATIONS)}"),
    "state": (_STATES.__contains__, f"one of {', '.join(_STATES)}"),
    "status": (_is_status, "a status such as 422, or 4xx"),
    "since": (_is_count, "the id of an exchange"),
    "limit": (_is_count, "a number"),
    "format": (("json", "har").__contains__, "json or har"),
    "secrets": (("0", "1").__contains__, "1 to show keys whole"),
}


def _fits(status: int, wanted: str) -> bool:
    return str(status)[0] == wanted[0] if wanted.endswith("xx") else str(status) == wanted


def _state(its: Emulator, each: Exchange) -> str | None:
    """The present state of the request that an exchange is about, as long as it is remembered."""
    request = its.store.requests.get(each.request_id or "")
    return None if request is None else state(request, its.clock.now()).value


def _archive(request: Request, wanted: list[Exchange]) -> Response:
    archive = response(har(wanted, secrets=request.query_params.get("secrets") == "1"))
    archive.headers["content-disposition"] = 'attachment; filename="mock-fal.har"'
    return archive


def _exchange(its: Emulator, each: Exchange) -> dict[str, Any]:
    return {
        "id": each.number,
        "at": each.at,
        "asked_at": each.received_at,
        "duration_s": each.duration_s,
        "key": each.tenant,
        "way": each.way,
        "scheme": each.scheme,
        "client": ":".join(map(str, each.client)) if each.client else None,
        "method": each.method,
        "url": each.url,
        "host": each.host,
        "path": each.path,
        "query": each.query,
        "status": each.status,
        "operation": each.operation,
        "endpoint": each.endpoint,
        "request_id": each.request_id,
        "state": _state(its, each),
        "directive": each.directive or None,
        "playback": each.playback or None,
        "request": _message(
            each.request_headers, each.request_body, len(each.request_body) or each.uploaded_bytes
        ),
        "response": _message(each.response_headers, each.response_body, response_bytes(each)),
        "input": _read(each.request_body),
        "output": _read(each.response_body),
    }


def _message(headers: RawHeaders, body: bytes, size: int) -> dict[str, Any]:
    """One half of an exchange. A body that isn't kept is null and has a size."""
    told, encoding = text(body)
    return {
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers],
        "body": told if body or not size else None,
        "encoding": encoding,
        "size": size,
    }


def _delivery(each: Delivery) -> dict[str, Any]:
    next_at = each.next_at if each.state.value == "waiting" else None
    return {
        "request_id": each.request_id,
        "key": each.tenant,
        "url": each.url,
        "state": each.state.value,
        "next_at": next_at,
        "attempts": [
            {
                "at": attempt.at,
                "status": attempt.status,
                "duration_s": attempt.duration_s,
                "error": attempt.error or None,
            }
            for attempt in each.attempts
        ],
        "body": each.json,
    }


def _file(each: StoredFile) -> dict[str, Any]:
    return {
        "url": each.url,
        "content_type": each.content_type,
        "key": each.owner,
        "size": each.size_bytes,
        "expires_at": each.expires_at if each.expires_at < math.inf else None,
        "request_id": each.request_id,
    }


def _read(body: bytes) -> Any:
    try:
        document = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    return body.decode("utf-8", "replace") if is_deeper(document, MAX_DEPTH) else document
