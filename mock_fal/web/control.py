"""Our own API, `/_mock/…`: what a test sees and moves. On our own address only, for this machine's programs only."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import mock_fal
from mock_fal.clock import ManualClock
from mock_fal.emulator import Emulator
from mock_fal.journal import Exchange
from mock_fal.outcome import is_deeper
from mock_fal.web import wire
from mock_fal.web.inspector import page

if TYPE_CHECKING:
    from mock_fal.outbox import Delivery

# The last second that a date can name; the clock is not moved behind it.
DOOMSDAY: Final = 253_402_300_799

# What lies deeper is shown as the text that it came as: more levels can be read than written.
MAX_DEPTH: Final = 100


class Exports(Protocol):
    """Opens the gateway, if it is not open, and tells the variables that lead a program there."""

    def __call__(self) -> Awaitable[dict[str, Any]]: ...


def control(emulator: Emulator, exports: Exports) -> ASGIApp:
    """The application behind our own address."""

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": mock_fal.__version__, "now": emulator.clock.now()})

    async def requests(request: Request) -> Response:
        key = request.query_params.get("key")
        if request.method == "DELETE":
            emulator.reset(key)
            return Response(status_code=204)
        wanted = [_exchange(each) for each in emulator.store.exchanges if key in (None, each.tenant)]
        return _json({"requests": wanted})

    async def deliveries(request: Request) -> Response:
        key = request.query_params.get("key")
        wanted = [_delivery(each) for each in emulator.deliveries if key in (None, each.tenant)]
        return _json({"deliveries": wanted})

    async def advance(request: Request) -> Response:
        clock = emulator.clock
        if not isinstance(clock, ManualClock):
            return _refusal(409, "this clock moves by itself; start with --clock manual or stepping")
        try:
            seconds = float((await request.json())["seconds"])
            if clock.now() + seconds > DOOMSDAY:
                raise ValueError("that is after the year 9999")
            clock.advance(seconds)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            return _refusal(422, f'expected {{"seconds": 10}}, with 0 or more seconds: {error!r}')
        return JSONResponse({"now": clock.now()})

    async def gateway(request: Request) -> Response:
        return JSONResponse(await exports())

    async def inspector(request: Request) -> Response:
        return page(emulator)

    routes = [
        Route("/", inspector),
        Route("/_mock/health", health),
        Route("/_mock/requests", requests, methods=["GET", "DELETE"]),
        Route("/_mock/deliveries", deliveries),
        Route("/_mock/clock/advance", advance, methods=["POST"]),
        Route("/_mock/gateway", gateway, methods=["POST"]),
    ]
    return _guarded(Starlette(routes=routes, exception_handlers={404: _lost}))


def _guarded(app: ASGIApp) -> ASGIApp:
    """Refuses pages of other sites: by their Origin, and by a Host that is not this machine's (DNS rebinding)."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        if not _is_ours(host) or (origin is not None and _split(origin).netloc != host):
            refusal = _refusal(
                403, f"the control API answers local programs only; Host {host!r}, Origin {origin!r}"
            )
            await refusal(scope, receive, send)
            return
        await app(scope, receive, send)

    return guard


def _is_ours(host: str) -> bool:
    """Whether no public name can be behind a Host: an address, a name without dots, or *.localhost."""
    name = _split(f"//{host}").hostname or ""
    try:
        ip_address(name)
    except ValueError:
        return "." not in name or name.endswith((".localhost", ".internal"))
    return True


def _split(address: str) -> SplitResult:
    """The parts of an address; of what is none, parts that are nobody's."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("//no.address")


async def _lost(request: Request, error: Exception) -> Response:
    return PlainTextResponse(
        f"mock-fal: nothing at {request.scope['path']}. Hosts of fal are reached as /queue.fal.run/…, "
        "/fal.run/…; the control API is at /_mock/…\n",
        404,
    )


def _json(body: Any) -> Response:
    """An answer that holds what others have said: also what is said in JSON and can't be, as half a surrogate pair."""
    return Response(wire.encode(body), media_type="application/json")


def _refusal(status: int, detail: str) -> Response:
    return JSONResponse({"detail": f"mock-fal: {detail}"}, status)


def _exchange(each: Exchange) -> dict[str, Any]:
    return {
        "at": each.at,
        "key": each.tenant,
        "method": each.method,
        "url": each.url,
        "status": each.status,
        "request_id": each.request_id,
        "input": _read(each.request_body),
        "output": _read(each.response_body),
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


def _read(body: bytes) -> Any:
    try:
        document = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    return body.decode("utf-8", "replace") if is_deeper(document, MAX_DEPTH) else document
