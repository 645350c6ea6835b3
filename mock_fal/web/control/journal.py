"""`/_mock/requests`, deliveries, files and metrics: what the server recorded, to read and to reset."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.accounts.secrets import header_text
from mock_fal.clock import steady_time
from mock_fal.emulator import Emulator
from mock_fal.errors import InputTooLong, is_deeper
from mock_fal.files.long_input import shortened
from mock_fal.journal.exchanges import OPERATIONS, Exchange, RawHeaders
from mock_fal.journal.har import EMPTY, LONG_BODY, body_text, entry, response_size
from mock_fal.requests.state import State, state
from mock_fal.scenario.patterns import MAX_GLOB, matches_glob
from mock_fal.web.control.wire import ControlError, emulator, listed, query, response, shown, slices
from mock_fal.web.unbuilt import build_all

if TYPE_CHECKING:
    from mock_fal.files.listing import StoredFile
    from mock_fal.webhooks.outbox import Delivery

# JSON bodies that are nested deeper are returned as text: `json` can parse deeper nesting than it can write.
MAX_DEPTH: Final = 100

# The exchanges or files that are compared with the query before other requests get a turn: a millisecond.
_CHECKED: Final = 200

Filter = Callable[[Emulator, Exchange, str], bool]

# Query parameter -> whether an exchange matches its value. `since` is the id of an exchange and matches later ones.
_FILTERS: Final[Mapping[str, Filter]] = {
    "key": lambda emulator, exchange, value: exchange.tenant == value,
    "endpoint": lambda emulator, exchange, value: matches_glob(value, exchange.endpoint or ""),
    "operation": lambda emulator, exchange, value: exchange.operation == value,
    "state": lambda emulator, exchange, value: _state(emulator, exchange) == value,
    "method": lambda emulator, exchange, value: exchange.method == value.upper(),
    "host": lambda emulator, exchange, value: exchange.host == value.lower(),
    "status": lambda emulator, exchange, value: _matches_status(exchange.status, value),
    "request_id": lambda emulator, exchange, value: exchange.request_id == value,
    "tag": lambda emulator, exchange, value: _has_tag(exchange.tags, value),
    "since": lambda emulator, exchange, value: exchange.number > int(value),
}
_OPTIONS: Final = ("limit", "format")


async def requests(request: Request) -> Response:
    exchanges = await _selected(request)
    if request.query_params.get("format", "json") == "har":
        return _archive(request, exchanges)
    mock = emulator(request)
    return listed(request, {"requests": []}, exchanges, partial(_exchange, mock), shown)


async def archive(request: Request) -> Response:
    return _archive(request, await _selected(request))


async def reset(request: Request) -> Response:
    emulator(request).reset(query(request, "key").get("key"))
    return Response(status_code=204)


async def deliveries(request: Request) -> Response:
    key = query(request, "key").get("key")
    selected = [item for item in emulator(request).deliveries if key in (None, item.tenant)]
    return listed(request, {"deliveries": []}, selected, _delivery)


async def files(request: Request) -> Response:
    from mock_fal.files.listing import files

    mock, key = emulator(request), query(request, "key").get("key")
    await build_all(mock.store)
    stored = files(mock.store, mock.storage, mock.clock.now())
    selected = [file async for file in slices(stored, _CHECKED) if key in (None, file.owner)]
    return listed(request, {"files": []}, selected, _file)


async def usage(request: Request) -> Response:
    from mock_fal.billing.usage import usage

    used = usage(emulator(request).charges(query(request, "key").get("key")))
    document = {"cost": used.cost, "currency": used.currency, "unpriced": used.unpriced}
    return response({**document, "items": [item._asdict() for item in used.items]})


async def metrics(request: Request) -> Response:
    from mock_fal.web.control.metrics import CONTENT_TYPE, metrics

    text = await metrics(emulator(request), steady_time() - request.app.state.started_at)
    return Response(text, media_type=CONTENT_TYPE)


async def _selected(request: Request) -> list[Exchange]:
    """The exchanges that match the query, oldest first; with `limit` the latest of them."""
    params = query(request, *_FILTERS, *_OPTIONS)
    _check(params)
    mock = emulator(request)
    filters = [(_FILTERS[name], value) for name, value in params.items() if name in _FILTERS]
    selected = [
        exchange
        async for exchange in slices(mock.store.exchanges, _CHECKED)
        if all(matches(mock, exchange, value) for matches, value in filters)
    ]
    limit = int(params.get("limit", len(selected)))
    return selected[-limit:] if limit else []


def _check(params: Mapping[str, str]) -> None:
    for name, value in params.items():
        expected = _EXPECTED.get(name)
        if expected is not None and not expected[0](value):
            raise ControlError(422, f"{name} is {value!r}, expected {expected[1]}")


def _is_count(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) < 19


def _is_status(value: str) -> bool:
    return len(value) == 3 and value[0] in "12345" and (value[1:] == "xx" or value.isdecimal())


_STATES: Final = [state.value for state in State]
_EXPECTED: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "endpoint": (lambda value: len(value) <= MAX_GLOB, f"at most {MAX_GLOB} characters"),
    "operation": (OPERATIONS.__contains__, f"one of {', '.join(OPERATIONS)}"),
    "state": (_STATES.__contains__, f"one of {', '.join(_STATES)}"),
    "status": (_is_status, "a status such as 422, or 4xx"),
    "since": (_is_count, "the id of an exchange"),
    "limit": (_is_count, "a number"),
    "format": (("json", "har").__contains__, "json or har"),
}


def _matches_status(status: int, pattern: str) -> bool:
    return str(status)[0] == pattern[0] if pattern.endswith("xx") else str(status) == pattern


def _has_tag(tags: Mapping[str, str], wanted: str) -> bool:
    """Whether a tag `key`, or `key=value`, is among those of an exchange."""
    key, equals, value = wanted.partition("=")
    return key in tags and (not equals or tags[key] == value)


def _state(emulator: Emulator, exchange: Exchange) -> str | None:
    """The current state of the request that an exchange is about; None if it is unknown or was forgotten."""
    request = emulator.store.requests.get(exchange.request_id or "")
    return None if request is None else state(request, emulator.clock.now()).value


def _archive(request: Request, exchanges: list[Exchange]) -> Response:
    archive = listed(request, EMPTY, exchanges, entry, shown)
    archive.headers["content-disposition"] = 'attachment; filename="mock-fal.har"'
    return archive


def _exchange(emulator: Emulator, exchange: Exchange) -> dict[str, Any]:
    return {
        "id": exchange.number,
        "at": exchange.at,
        "received_at": exchange.received_at,
        "duration_s": exchange.duration_s,
        "key": exchange.tenant,
        "way": exchange.way,
        "scheme": exchange.scheme,
        "client": ":".join(map(str, exchange.client)) if exchange.client else None,
        "method": exchange.method,
        "url": exchange.url,
        "host": exchange.host,
        "path": exchange.path,
        "query": exchange.query,
        "status": exchange.status,
        "operation": exchange.operation,
        "endpoint": exchange.endpoint,
        "request_id": exchange.request_id,
        "state": _state(emulator, exchange),
        "directive": exchange.directive or None,
        "attempts": _attempts(emulator, exchange),
        "warning": exchange.warning or None,
        "unknown_endpoint": exchange.unknown_endpoint or None,
        "tags": exchange.tags,
        "playback": exchange.playback or None,
        "request": _message(
            exchange.request_headers,
            exchange.request_body,
            len(exchange.request_body) or exchange.uploaded_bytes,
        ),
        "response": _message(exchange.response_headers, exchange.response_body, response_size(exchange)),
        "input": _read(exchange.request_body),
        "output": _read(exchange.response_body),
    }


def _attempts(emulator: Emulator, exchange: Exchange) -> list[dict[str, Any]] | None:
    """The attempts at the request that was submitted by an exchange; None for other exchanges."""
    return [item._asdict() for item in emulator.attempts(exchange)] if exchange.is_submission else None


def _message(headers: RawHeaders, body: bytes, size: int) -> dict[str, Any]:
    """The request or response of an exchange. The body is null if only its size was kept."""
    content, encoding = body_text(body)
    return {
        "headers": [[name.decode("latin-1"), header_text(value)] for name, value in headers],
        "body": content if body or not size else None,
        "encoding": encoding,
        "size": size,
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    next_at = delivery.next_at if delivery.state.value == "waiting" else None
    return {
        "request_id": delivery.request_id,
        "key": delivery.tenant,
        "url": delivery.url,
        "state": delivery.state.value,
        "next_at": next_at,
        "attempts": [
            {
                "at": attempt.at,
                "status": attempt.status,
                "duration_s": attempt.duration_s,
                "error": attempt.error or None,
            }
            for attempt in delivery.attempts
        ],
        "body": _read(delivery.body),
    }


def _file(file: StoredFile) -> dict[str, Any]:
    return {
        "url": file.url,
        "content_type": file.content_type,
        "key": file.owner,
        "size": file.size_bytes,
        "expires_at": file.expires_at if file.expires_at < math.inf else None,
        "request_id": file.request_id,
    }


def _read(body: bytes) -> Any:
    if len(body) > LONG_BODY:
        try:
            body, _ = shortened(body)
        except InputTooLong:
            return None
    try:
        document = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    return body.decode("utf-8", "replace") if is_deeper(document, MAX_DEPTH) else document
