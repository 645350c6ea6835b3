"""The control API `/_mock/…` and the web UI, on mock-fal's own address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mock_fal.emulator import Emulator
from mock_fal.web.control.access import guarded
from mock_fal.web.control.wire import ControlError, emulator, error_response
from mock_fal.web.renderer import Renderer

Handler = Callable[[Request], Awaitable[Response]]


class OpenGateway(Protocol):
    """Opens the gateway if it is closed, and returns its addresses and settings."""

    def __call__(self) -> Awaitable[dict[str, Any]]: ...


class _Handlers:
    """The handlers of a module of this folder. It is imported with the first request for one of them."""

    def __init__(self, module: str) -> None:
        self._module = f"{__package__}.{module}"

    def __getattr__(self, name: str) -> Handler:
        async def handle(request: Request) -> Response:
            handler: Handler = getattr(import_module(self._module), name)
            return await handler(request)

        return handle


clock = _Handlers("clock")
journal = _Handlers("journal")
scenario = _Handlers("scenario")
spec = _Handlers("spec")
webhooks = _Handlers("webhooks")


async def _web_ui(request: Request) -> Response:
    from mock_fal.web.control.web_ui import page

    return await page(request, emulator(request), request.query_params.get("key"))


async def _gateway(request: Request) -> Response:
    open_gateway: OpenGateway = request.app.state.open_gateway
    return JSONResponse(await open_gateway())


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


def control(emulator: Emulator, renderer: Renderer, open_gateway: OpenGateway, started_at: float) -> ASGIApp:
    """The application at mock-fal's own address. `started_at` is a `steady_time()`."""
    routes = [Route(path, _by_method(handlers), methods=list(handlers)) for path, handlers in ROUTES.items()]
    app = Starlette(routes=routes, exception_handlers={404: _not_found, ControlError: _control_error})
    app.state.emulator = emulator
    app.state.renderer = renderer
    app.state.open_gateway = open_gateway
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
