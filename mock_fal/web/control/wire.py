"""Helpers of the control API: the emulator of a request, query and body parsing, JSON and error responses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from mock_fal.clock import steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.journal.exchanges import Exchange
from mock_fal.journal.har import LongBody
from mock_fal.web import wire

if TYPE_CHECKING:
    from mock_fal.web.renderer import Renderer

T = TypeVar("T")

# After this many seconds or bytes of work on a long list, other requests get a turn.
SLICE_S: Final = 0.002
SLICE_BYTES: Final = 256 << 10

# Longer bodies are searched for keys in a thread: a megabyte takes up to 50 ms.
_LONG_SEARCH_BYTES: Final = 32 << 10


class ControlError(Exception):
    """A request that a handler cannot process: a status from 400 up, and a message for the client."""

    def __init__(self, status: int, detail: str, *, column: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        # Where the error is in the text of a rule.
        self.column = column


def emulator(request: Request) -> Emulator:
    """The emulator that a request controls."""
    emulator: Emulator = request.app.state.emulator
    return emulator


def renderer(request: Request) -> Renderer:
    """The threads of the server that a request controls."""
    renderer: Renderer = request.app.state.renderer
    return renderer


async def shown(request: Request, exchange: Exchange) -> Exchange:
    """`Emulator.shown`, in a thread if it takes long."""
    mock = emulator(request)
    size = exchange.request_bytes + exchange.response_bytes
    if size <= _LONG_SEARCH_BYTES or exchange.searched_version == mock.keys.secrets.version:
        return mock.shown(exchange)
    return await renderer(request).in_thread(mock.shown, exchange)


def response(body: Any) -> Response:
    """A JSON response. Unlike Starlette's, it accepts values from recorded bodies such as NaN and lone surrogates."""
    return Response(wire.encode(body), media_type="application/json")


def one(request: Request, document: Any) -> Response:
    """A JSON response whose long bodies are written in slices. Secrets of known keys are hidden."""
    hide = emulator(request).keys.secrets.plain
    return StreamingResponse(_sliced(map(hide, _encoded(document))), media_type="application/json")


async def _sliced(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(0)


async def hidden(request: Request, document: Any) -> Response:
    """A JSON response that is written in a thread, because it may be long. Secrets of known keys are hidden."""
    renderer: Renderer = request.app.state.renderer
    secrets = emulator(request).keys.secrets
    data = await renderer.in_thread(lambda: secrets.plain(wire.encode(document)))
    return Response(data, media_type="application/json")


def listed(
    request: Request,
    document: Any,
    items: Iterable[T],
    shape: Callable[[T], Any],
    prepare: Callable[[Request, T], Awaitable[T]] | None = None,
) -> Response:
    """A JSON response with a long list: `document` has one empty list, whose items are `shape(item)` for each of
    `items`, which `prepare` has prepared. It is built and sent in slices, so that other requests don't wait for it.
    `items` must not change. Secrets of known keys are hidden.
    """
    hide = emulator(request).keys.secrets.plain
    before, after = wire.encode(document).split(b"[]")
    prepared = None if prepare is None else partial(prepare, request)
    return StreamingResponse(
        _list(before + b"[", items, shape, b"]" + after, hide, prepared), media_type="application/json"
    )


async def _list(
    before: bytes,
    items: Iterable[T],
    shape: Callable[[T], Any],
    after: bytes,
    hide: Callable[[bytes], bytes],
    prepare: Callable[[T], Awaitable[T]] | None,
) -> AsyncIterator[bytes]:
    buffer, size, comma = [before], 0, b""
    ends_at = steady_time() + SLICE_S
    for item in items:
        buffer.append(comma)
        if prepare is not None:
            item = await prepare(item)
        comma = b","
        for part in map(hide, _encoded(shape(item))):
            buffer.append(part)
            size += len(part)
            if size >= SLICE_BYTES:
                yield b"".join(buffer)
                await asyncio.sleep(0)
                buffer, size = [], 0
                ends_at = steady_time() + SLICE_S
        if steady_time() >= ends_at:
            await asyncio.sleep(0)
            ends_at = steady_time() + SLICE_S
    yield b"".join([*buffer, after])


def _encoded(value: Any) -> Iterator[bytes]:
    """JSON in parts. Only a value that contains a LongBody is encoded member by member."""
    if isinstance(value, LongBody):
        yield b'"'
        yield from value.pieces()
        yield b'"'
    elif isinstance(value, dict) and _has_long_body(value):
        mark = b"{"
        for name, member in value.items():
            yield mark + wire.encode(name) + b":"
            yield from _encoded(member)
            mark = b","
        yield b"}"
    else:
        yield wire.encode(value)


def _has_long_body(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_long_body(member) for member in value.values())
    return isinstance(value, LongBody)


async def slices(items: Iterable[T], number: int = 1) -> AsyncIterator[T]:
    """The items; after SLICE_S other requests get a turn. `items` must not change.

    The time is read after every `number` items, which take less than that.
    """
    ends_at = steady_time() + SLICE_S
    for count, item in enumerate(items, 1):
        yield item
        if count % number == 0 and steady_time() >= ends_at:
            await asyncio.sleep(0)
            ends_at = steady_time() + SLICE_S


def error_response(status: int, detail: str, column: int | None = None) -> Response:
    """An error as JSON."""
    place = {} if column is None else {"column": column}
    return JSONResponse({"detail": f"mock-fal: {detail}", **place}, status)


def query(request: Request, *names: str) -> dict[str, str]:
    """The query parameters. Raises ControlError for a name that is not in `names`, because a misspelled `key` must not
    select all keys."""
    params = dict(request.query_params)
    for name in params:
        if name not in names:
            raise ControlError(422, f"unknown parameter {name!r}; expected one of {', '.join(names)}")
    return params


async def limited_document(request: Request, expected: str, max_bytes: int) -> Any:
    """The JSON body, if it has at most `max_bytes` by its Content-Length. Raises ControlError."""
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdecimal() and len(length) < 19 and int(length) <= max_bytes):
        raise ControlError(413, f"expected {expected} of at most {max_bytes} bytes, with Content-Length")
    return await document(request, expected)


async def document(request: Request, expected: str) -> Any:
    """The JSON body. Raises ControlError with what was `expected` if it is not JSON."""
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        raise ControlError(422, f"expected {expected}: {error!r}") from None
