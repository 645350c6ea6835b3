"""The control API `/_mock/…` and the web UI, on mock-fal's own address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mock_fal.emulator import Emulator
from mock_fal.web.control import clock, journal, scenario, spec, webhooks
from mock_fal.web.control.access import guarded
from mock_fal.web.control.web_ui import page
from mock_fal.web.control.wire import ControlError, emulator, error_response

Handler = Callable[[Request], Awaitable[Response]]


class OpenGateway(Protocol):
    """Opens the gateway if it is closed, and returns its addresses and settings."""

    def __call__(self) -> Awaitable[dict[str, Any]]: ...


class Summary(Protocol):
    """The text that `mock-fal run` prints at its end."""

    def __call__(self) -> Awaitable[str]: ...


async def _web_ui(request: Request) -> Response:
    return await page(emulator(request), request.query_params.get("key"))


async def _gateway(request: Request) -> Response:
    open_gateway: OpenGateway = request.app.state.open_gateway
    return JSONResponse(await open_gateway())


async def _summary(request: Request) -> Response:
    summary: Summary = request.app.state.summary
    return PlainTextResponse(await summary())


# Path -> method -> handler. A handler raises `ControlError` for a request that it cannot process.
ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "/": {"GET": _web_ui},
    "/_mock/health": {"GET": clock.health},
    "/_mock/requests": {"GET": journal.requests, "DELETE": journal.reset},
    "/_mock/requests.har": {"GET": journal.archive},
    "/_mock/deliveries": {"GET": journal.deliveries},
    "/_mock/webhooks": {"POST": webhooks.send},
    "/_mock/webhooks/resend": {"POST": webhooks.resend},
    "/_mock/files": {"GET": journal.files},
    "/_mock/usage": {"GET": journal.usage},
    "/_mock/summary": {"GET": _summary},
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


def control(emulator: Emulator, open_gateway: OpenGateway, summary: Summary, started_at: float) -> ASGIApp:
    """The application at mock-fal's own address. `started_at` is a `steady_time()`."""
    routes = [Route(path, _by_method(handlers), methods=list(handlers)) for path, handlers in ROUTES.items()]
    app = Starlette(routes=routes, exception_handlers={404: _not_found, ControlError: _control_error})
    app.state.emulator = emulator
    app.state.open_gateway = open_gateway
    app.state.summary = summary
    app.state.started_at = started_at
    return guarded(app, emulator.settings.control_token)


def _by_method(handlers: Mapping[str, Handler]) -> Handler:
    """A handler that selects one of `handlers` by method. HEAD uses the one of GET."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return handle


async def _control_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ControlError)
    return error_response(error.status, error.detail)


async def _not_found(request: Request, error: Exception) -> Response:
    return PlainTextResponse(
        f"mock-fal: no route {request.scope['path']}. fal's hosts are at /queue.fal.run/…, /fal.run/…; "
        "the control API is at /_mock/…\n",
        404,
    )
