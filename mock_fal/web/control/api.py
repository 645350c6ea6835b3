"""Our own API, `/_mock/…`: what a test sees and moves. On our own address only, for this machine's programs only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mock_fal.emulator import Emulator
from mock_fal.web.control import clock, journal, scenario, spec
from mock_fal.web.control.web_ui import page
from mock_fal.web.control.wire import Refusal, emulator, refused

Handler = Callable[[Request], Awaitable[Response]]


class Exports(Protocol):
    """Opens the gateway, if it is not open, and tells the variables that lead a program there."""

    def __call__(self) -> Awaitable[dict[str, Any]]: ...


async def _inspector(request: Request) -> Response:
    return page(emulator(request), request.query_params.get("key"))


async def _gateway(request: Request) -> Response:
    exports: Exports = request.app.state.exports
    return JSONResponse(await exports())


# Each handler gets a Request, finds the `emulator` by it, and raises `Refusal` for what it can't do.
ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "/": {"GET": _inspector},
    "/_mock/health": {"GET": clock.health},
    "/_mock/requests": {"GET": journal.requests, "DELETE": journal.reset},
    "/_mock/requests.har": {"GET": journal.archive},
    "/_mock/deliveries": {"GET": journal.deliveries},
    "/_mock/files": {"GET": journal.files},
    "/_mock/metrics": {"GET": journal.metrics},
    "/_mock/clock": {"GET": clock.clock},
    "/_mock/clock/advance": {"POST": clock.advance},
    "/_mock/scenario": {
        "GET": scenario.show,
        "PUT": scenario.replace,
        "POST": scenario.add,
        "DELETE": scenario.clear,
    },
    "/_mock/openapi/": {"GET": spec.index},
    "/_mock/openapi/{name}.yaml": {"GET": spec.document},
    "/_mock/gateway": {"POST": _gateway},
}


def control(emulator: Emulator, exports: Exports, started_at: float) -> ASGIApp:
    """The application behind our own address; `started_at` is a moment of the steady time."""
    routes = [Route(path, _by_method(handlers), methods=list(handlers)) for path, handlers in ROUTES.items()]
    app = Starlette(routes=routes, exception_handlers={404: _lost, Refusal: _refusal})
    app.state.emulator = emulator
    app.state.exports = exports
    app.state.started_at = started_at
    return _guarded(app)


def _by_method(handlers: Mapping[str, Handler]) -> Handler:
    """The one of an address's handlers that a request's method asks for; HEAD is a GET without its body."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return handle


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refused(error.status, error.detail)


def _guarded(app: ASGIApp) -> ASGIApp:
    """Refuses pages of other sites: by their Origin, and by a Host that is not this machine's (DNS rebinding)."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        if not _is_ours(host) or (origin is not None and _split(origin).netloc != host):
            refusal = refused(
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
