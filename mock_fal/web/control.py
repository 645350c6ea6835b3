"""Our own API, `/_mock/…`: what a test sees and moves. On our own address only, for this machine's programs only."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import mock_fal
from mock_fal.clock import ManualClock
from mock_fal.emulator import Emulator
from mock_fal.store import Exchange
from mock_fal.web.inspector import page


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
        return JSONResponse({"requests": wanted})

    async def advance(request: Request) -> Response:
        clock = emulator.clock
        if not isinstance(clock, ManualClock):
            return _refusal(409, "this clock moves by itself; start with --clock manual or stepping")
        try:
            clock.advance(float((await request.json())["seconds"]))
        except (ValueError, KeyError, TypeError) as error:
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
        if not _is_ours(host) or (origin is not None and urlsplit(origin).netloc != host):
            refusal = _refusal(
                403, f"the control API answers local programs only; Host {host!r}, Origin {origin!r}"
            )
            await refusal(scope, receive, send)
            return
        await app(scope, receive, send)

    return guard


def _is_ours(host: str) -> bool:
    """Whether no public name can be behind a Host: an address, a name without dots, or *.localhost."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ip_address(name)
    except ValueError:
        return "." not in name or name.endswith((".localhost", ".internal"))
    return True


async def _lost(request: Request, error: Exception) -> Response:
    return PlainTextResponse(
        f"mock-fal: nothing at {request.url.path}. Hosts of fal are reached as /queue.fal.run/…, "
        "/fal.run/…; the control API is at /_mock/…\n",
        404,
    )


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


def _read(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
