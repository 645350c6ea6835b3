"""The control API `/_mock/…` and the inspector, on mock-fal's own address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mock_fal.emulation.emulator import Emulator
from mock_fal.web import wire
from mock_fal.web.control.access import guarded, presents_token
from mock_fal.web.control.wire import ControlError, emulator, error_response
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.renderer import Renderer

Handler = Callable[[Request], Awaitable[Response]]


class OpenGateway(Protocol):
    """Opens the gateway if it is closed, and returns its addresses, settings, password and certificate (`ca`)."""

    def __call__(self) -> Awaitable[dict[str, Any]]: ...


class Summary(Protocol):
    """The text that `mock-fal run` prints at its end."""

    def __call__(self) -> Awaitable[str]: ...


class _Handlers:
    """The handlers of a module of this folder. It is imported with the first request for one of them."""

    def __init__(self, module: str) -> None:
        self._module = f"{__package__}.{module}"

    def __getattr__(self, name: str) -> Handler:
        async def handle(request: Request) -> Response:
            handler: Handler = getattr(import_module(self._module), name)
            return await handler(request)

        return handle


call_cassettes = _Handlers("call_cassettes")
calls = _Handlers("calls")
clock = _Handlers("clock")
events = _Handlers("events")
journal = _Handlers("journal")
media = _Handlers("media")
page = _Handlers("page")
replay = _Handlers("replay")
scenario = _Handlers("scenario")
server = _Handlers("server")
snippets = _Handlers("snippets")
spec = _Handlers("spec")
usage = _Handlers("usage")
webhooks = _Handlers("webhooks")


async def _gateway(request: Request) -> Response:
    open_gateway: OpenGateway = request.app.state.open_gateway
    gateway = await open_gateway()
    hidden = {"ca"} if presents_token(request, emulator(request).settings.control_token) else _NOT_FOR_ALL
    return JSONResponse({name: value for name, value in gateway.items() if name not in hidden})


# Other users of this machine may call the control API too, and read the password in a file of this user only.
_NOT_FOR_ALL: Final = frozenset(("ca", "proxy_password"))


async def _authority(request: Request) -> Response:
    """The certificate of the authority, for programs of other machines."""
    open_gateway: OpenGateway = request.app.state.open_gateway
    return Response((await open_gateway())["ca"], media_type="application/x-pem-file")


async def _summary(request: Request) -> Response:
    summary: Summary = request.app.state.summary
    return PlainTextResponse(await summary())


# Path -> method -> handler. A handler raises `ControlError` for a request that it cannot process.
ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "/": {"GET": page.index},
    "/_mock/ui/{path:path}": {"GET": page.file},
    "/_mock/health": {"GET": clock.health},
    "/_mock/calls": {"GET": calls.calls},
    "/_mock/calls/{id}": {"GET": calls.call},
    "/_mock/calls/{id}/replay": {"POST": replay.replay},
    "/_mock/calls/{id}/snippet": {"GET": snippets.snippet},
    "/_mock/calls/{id}/cassettes": {"GET": call_cassettes.cassettes},
    "/_mock/events": {"GET": events.events},
    "/_mock/keys": {"GET": server.keys},
    "/_mock/connections": {"GET": server.connections},
    "/_mock/media/{path:path}": {"GET": media.media},
    "/_mock/requests": {"GET": journal.requests, "DELETE": journal.reset},
    "/_mock/requests/{number}": {"GET": journal.exchange},
    "/_mock/requests.har": {"GET": journal.archive},
    "/_mock/deliveries": {"GET": journal.deliveries},
    "/_mock/webhooks": {"POST": webhooks.send},
    "/_mock/webhooks/resend": {"POST": webhooks.resend},
    "/_mock/files": {"GET": journal.files},
    "/_mock/usage": {"GET": usage.usage},
    "/_mock/summary": {"GET": _summary},
    "/_mock/metrics": {"GET": journal.metrics},
    "/_mock/clock": {"GET": clock.clock, "PUT": clock.set_speed},
    "/_mock/clock/advance": {"POST": clock.advance},
    "/_mock/scenario": {
        "GET": scenario.show,
        "PUT": scenario.replace,
        "POST": scenario.add,
        "DELETE": scenario.clear,
    },
    "/_mock/scenario/explain": {"POST": scenario.explain},
    "/_mock/scenario/options": {"GET": scenario.options},
    "/_mock/scenario/{id:int}": {"DELETE": scenario.remove},
    "/_mock/openapi/": {"GET": spec.index},
    "/_mock/openapi/{name}.yaml": {"GET": spec.document},
    "/_mock/gateway": {"POST": _gateway},
    "/_mock/ca.pem": {"GET": _authority},
}


def control(
    emulator: Emulator,
    open_gateway: OpenGateway,
    summary: Summary,
    started_at: float,
    *,
    app: ASGIApp,
    renderer: Renderer,
    read_file: Callable[[HttpRequest, Receive], Awaitable[wire.AnyResponse]],
    connections: Callable[[], Sequence[Any]],
) -> ASGIApp:
    """The application at mock-fal's own address.

    `started_at` is a `steady_time()`. `app` is the whole application, which answers replays. `read_file` is the content
    of a file of the media host, and `connections` are the gateway's decisions, oldest first.
    """
    routes = [Route(path, _by_method(handlers), methods=list(handlers)) for path, handlers in ROUTES.items()]
    api = Starlette(routes=routes, exception_handlers={404: _not_found, ControlError: _control_error})
    api.state.emulator = emulator
    api.state.open_gateway = open_gateway
    api.state.summary = summary
    api.state.started_at = started_at
    api.state.app = app
    api.state.renderer = renderer
    api.state.read_file = read_file
    api.state.connections = connections
    return guarded(api, emulator.settings.control_token)


def _by_method(handlers: Mapping[str, Handler]) -> Handler:
    """A handler that selects one of `handlers` by method. HEAD uses the one of GET."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return handle


async def _control_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ControlError)
    return error_response(error.status, error.detail, error.column)


_WHERE: Final = "fal's hosts are at /queue.fal.run/…, /fal.run/…; the control API is at /_mock/…"


async def _not_found(request: Request, error: Exception) -> Response:
    path = request.scope["path"]
    if path.startswith("/_mock/"):
        return error_response(404, f"no route {path!r:.200}. {_WHERE}")
    text = f"mock-fal: no route {path}. {_WHERE}\n"
    return PlainTextResponse(text, 404)
