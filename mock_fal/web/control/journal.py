"""`/_mock/requests`, deliveries, files and metrics: what the server recorded, to read and to reset."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.accounts.secrets import header_text
from mock_fal.clock import steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import InputTooLong, is_deeper
from mock_fal.files.long_input import shortened
from mock_fal.hosts import RESULT_HOST
from mock_fal.journal.exchanges import OPERATIONS, Exchange, RawHeaders
from mock_fal.journal.har import EMPTY, LONG_BODY, body_text, entry, response_size
from mock_fal.requests.state import State, state
from mock_fal.scenario.patterns import MAX_GLOB, matches_glob
from mock_fal.web.control.call_row import MEDIA, finite, has_preview, kind_of_type, recipe_at
from mock_fal.web.control.wire import ControlError, emulator, listed, one, query, shown, slices
from mock_fal.web.unbuilt import build_all

if TYPE_CHECKING:
    from mock_fal.files.listing import StoredFile
    from mock_fal.webhooks.outbox import Attempt, Delivery

T = TypeVar("T")

# JSON bodies that are nested deeper are returned as text: `json` can parse deeper nesting than it can write.
MAX_DEPTH: Final = 100

# The exchanges or files that are compared with the query between two looks at the time.
_CHECKED: Final = 20

Filter = Callable[[Emulator, Exchange, str], bool]

# Query parameter -> whether an exchange matches its value. `since` is the id of an exchange and matches later ones.
_FILTERS: Final[Mapping[str, Filter]] = {
    "key": lambda emulator, exchange, value: exchange.tenant == value,
    "endpoint": lambda emulator, exchange, value: matches_glob(value, exchange.endpoint or ""),
    "operation": lambda emulator, exchange, value: exchange.operation == value,
    "state": lambda emulator, exchange, value: _state(emulator, exchange) == value,
    "method": lambda emulator, exchange, value: exchange.method == value.upper(),
    "host": lambda emulator, exchange, value: exchange.host == value.lower(),
    "status": lambda emulator, exchange, value: matches_status(exchange.status, value),
    "request_id": lambda emulator, exchange, value: exchange.request_id == value,
    "tag": lambda emulator, exchange, value: _has_tag(exchange.tags, value),
    "since": lambda emulator, exchange, value: exchange.number > int(value),
    "before": lambda emulator, exchange, value: exchange.number < int(value),
}
_OPTIONS: Final = ("limit", "format", "bodies")


async def requests(request: Request) -> Response:
    exchanges = await _selected(request)
    if request.query_params.get("format", "json") == "har":
        return _archive(request, exchanges)
    mock, with_bodies = emulator(request), request.query_params.get("bodies") != "0"
    shape = exchange_shape if with_bodies else _head_shape
    return listed(request, {"requests": []}, exchanges, partial(shape, mock), shown)


async def exchange(request: Request) -> Response:
    mock, number = emulator(request), request.path_params["number"]
    found = mock.store.exchanges.find(int(number)) if number_text(number) else None
    if found is None:
        raise ControlError(404, f"no exchange {number!r:.100} is stored")
    return one(request, exchange_shape(mock, await shown(request, found)))


async def archive(request: Request) -> Response:
    return _archive(request, await _selected(request))


async def reset(request: Request) -> Response:
    emulator(request).reset(query(request, "key").get("key"))
    return Response(status_code=204)


async def deliveries(request: Request) -> Response:
    mock, params = emulator(request), query(request, "key", *_PAGING)
    key = params.get("key")
    selected = [item async for item in slices(mock.deliveries, _CHECKED) if key in (None, item.tenant)]
    page, cursor = _page(selected, params, lambda item: item.request_id)
    return listed(
        request, {"next": cursor, "deliveries": []}, page, lambda delivery: delivery_shape(mock, delivery)
    )


async def files(request: Request) -> Response:
    from mock_fal.files.listing import existing, in_order

    mock, params = emulator(request), query(request, "key", *_PAGING)
    key = params.get("key")
    await build_all(mock.store)
    stored = existing(mock.store, mock.storage, mock.clock.now())
    selected = [file async for file in slices(stored, _CHECKED) if key in (None, file.owner)]
    page, cursor = _page(in_order(selected), params, lambda file: file.url)
    return listed(request, {"next": cursor, "files": []}, page, lambda file: _file(mock, file))


_PAGING: Final = ("limit", "before")

# Deliveries and files of a page.
MAX_PAGE: Final = 1000


def _page(
    items: Sequence[T], params: Mapping[str, str], name: Callable[[T], str]
) -> tuple[Sequence[T], str | None]:
    """The latest `limit` items before the one that `before` names, and the `before` of the page of older ones."""
    limit, before = params.get("limit"), params.get("before")
    if limit is not None and not (number_text(limit) and 1 <= int(limit) <= MAX_PAGE):
        raise ControlError(422, f"limit is {limit!r:.100}, expected a number from 1 to {MAX_PAGE}")
    if before is not None:
        # One that was removed was among the oldest.
        end = next((index for index, item in enumerate(items) if name(item) == before), 0)
        items = items[:end]
    page = items if limit is None else items[-int(limit) :]
    return page, name(page[0]) if len(page) < len(items) else None


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


def number_text(value: str) -> bool:
    """Whether a text is a whole number that is not too long."""
    return value.isascii() and value.isdecimal() and len(value) < 19


def status_text(value: str) -> bool:
    """Whether a text is a status such as 422, or a class such as 4xx."""
    return len(value) == 3 and value[0] in "12345" and (value[1:] == "xx" or value.isdecimal())


_STATES: Final = [state.value for state in State]
_EXPECTED: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "endpoint": (lambda value: len(value) <= MAX_GLOB, f"at most {MAX_GLOB} characters"),
    "operation": (OPERATIONS.__contains__, f"one of {', '.join(OPERATIONS)}"),
    "state": (_STATES.__contains__, f"one of {', '.join(_STATES)}"),
    "status": (status_text, "a status such as 422, or 4xx"),
    "since": (number_text, "the id of an exchange"),
    "before": (number_text, "the id of an exchange"),
    "bodies": (("0", "1").__contains__, "0 or 1"),
    "limit": (number_text, "a number"),
    "format": (("json", "har").__contains__, "json or har"),
}


def matches_status(status: int, pattern: str) -> bool:
    """Whether a status is that of a pattern, which is a status or a class such as 4xx."""
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


def exchange_shape(emulator: Emulator, exchange: Exchange) -> dict[str, Any]:
    """A whole exchange as JSON."""
    return {
        **_head_shape(emulator, exchange),
        "request": _message(
            exchange.request_headers,
            exchange.request_body,
            len(exchange.request_body) or exchange.uploaded_bytes,
        ),
        "response": _message(exchange.response_headers, exchange.response_body, response_size(exchange)),
        "input": read_body(exchange.request_body),
        "output": read_body(exchange.response_body),
    }


def summary(exchange: Exchange) -> dict[str, Any]:
    """An exchange in the list of a call."""
    return {
        "id": exchange.number,
        "at": exchange.at,
        "duration_s": exchange.duration_s,
        "method": exchange.method,
        "url": exchange.url,
        "status": exchange.status,
        "operation": exchange.operation,
        "directive": exchange.directive or None,
        "request_size": len(exchange.request_body) or exchange.uploaded_bytes,
        "response_size": response_size(exchange),
    }


def _head_shape(emulator: Emulator, exchange: Exchange) -> dict[str, Any]:
    """An exchange without headers and bodies."""
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


def delivery_shape(emulator: Emulator, delivery: Delivery) -> dict[str, Any]:
    """A webhook with its attempts, each with what a receiver finds that verifies its signature."""
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
                **_signature(emulator, delivery, attempt),
            }
            for attempt in delivery.attempts
        ],
        "fault": delivery.fault or None,
        "body": read_body(delivery.body),
    }


def _signature(emulator: Emulator, delivery: Delivery, attempt: Attempt) -> dict[str, Any]:
    if attempt.signed is None:
        return {"signed_at": None, "signature": None, "reason": None}
    from mock_fal.webhooks.signature import fault_of

    reason = fault_of(attempt.signed, delivery.request_id, delivery.tenant, emulator.signer.jwks)
    return {
        "signed_at": attempt.signed.timestamp,
        "signature": "invalid" if reason else "valid",
        "reason": reason or None,
    }


def _file(mock: Emulator, file: StoredFile) -> dict[str, Any]:
    path = file.url.removeprefix(f"https://{RESULT_HOST}")
    return {
        "url": file.url,
        "local": MEDIA + path,
        "content_type": file.content_type,
        "kind": kind_of_type(file.content_type),
        "preview": has_preview(file.content_type, recipe_at(mock, path)),
        "key": file.owner,
        "size": file.size_bytes,
        "created_at": file.created_at,
        "expires_at": finite(file.expires_at),
        "request_id": file.request_id,
    }


def read_body(body: bytes) -> Any:
    """A body, parsed if it is JSON, else as text; None for one that is too long."""
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
