"""The ASGI application: routes each request to one of fal's hosts, the control API or the inspector."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from mock_fal.accounts.secrets import own_secret
from mock_fal.clock import steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import FalError, InjectedFault
from mock_fal.hosts import (
    EMULATED_HOSTS,
    KV_HOSTS,
    MEDIA_HOSTS,
    PLATFORM_HOSTS,
    QUEUE_HOSTS,
    REST_HOSTS,
    RUN_HOSTS,
    SITE_HOSTS,
    WS_HOSTS,
    belongs_to_fal,
)
from mock_fal.journal.exchanges import Exchange
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.terminal import logger
from mock_fal.web import wire
from mock_fal.web.http_request import ClientDisconnected, Head, HttpRequest
from mock_fal.web.isolation import restricted, sandboxed, sandboxed_head
from mock_fal.web.record import Answered, exchange_of, read_secrets, recorded
from mock_fal.web.renderer import Renderer
from mock_fal.web.unbuilt import build_all

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mock_fal.cassettes.cassette import Forward
    from mock_fal.scenario.directive import Directive
    from mock_fal.web.control.api import OpenGateway, Summary
    from mock_fal.web.faults.injection import Faults
    from mock_fal.web.media import Media
    from mock_fal.web.playback.recording import Recording
    from mock_fal.web.playback.replay import Replay
    from mock_fal.web.sockets.dispatch import Sockets

_HTTP_REQUEST: Final = "mock_fal.http_request"
# What `at_once` has read of the header fields.
_HEAD: Final = "mock_fal.head"
_MODEL_HOSTS: Final = QUEUE_HOSTS | RUN_HOSTS | WS_HOSTS


class Host(Protocol):
    """One of fal's hosts."""

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The HTTP response, and the request to a model that it is about, if any."""


class HostAtOnce(Protocol):
    """A host that answers most requests without waiting."""

    def at_once(self, http_request: HttpRequest) -> tuple[wire.AnyResponse, ModelRequest | None] | None:
        """The response and the request if nothing has to be waited for; None else, and then nothing has changed.

        The body must have been read.
        """


class App:
    """The ASGI application."""

    def __init__(
        self, emulator: Emulator, renderer: Renderer, open_gateway: OpenGateway, summary: Summary
    ) -> None:
        self._emulator = emulator
        self._renderer = renderer
        self._open_gateway = open_gateway
        self._summary = summary
        self._started_at = steady_time()
        # While recording the proxy adds no key: whoever reaches it could spend money.
        self._proxy_key = "" if emulator.settings.record else emulator.settings.own_key
        self._hosts: dict[str, Host] = {}
        self._hosts_at_once: dict[str, HostAtOnce] = {}
        self._player = _player(emulator, renderer)

    # The gateway's decisions about connections, oldest first; set by the server.
    connections: Sequence[Any] = ()

    # Base URL of result files with --local-media-urls: an address that browsers on this machine can reach.
    local_media = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        memory = self._emulator.store.memory
        http_request = HttpRequest.of(scope, self.local_media, self._proxy_key, memory)
        scope[_HTTP_REQUEST] = http_request
        try:
            if not http_request.host and not http_request.by_proxy:
                await self._control(scope, receive, restricted(send))
                return
            if not http_request.by_name:
                send = sandboxed(send)
            if b"origin" in http_request.headers and http_request.host not in MEDIA_HOSTS:
                await (self._same_origin if http_request.by_proxy else self._cross_origin)(
                    scope, receive, send
                )
            else:
                await self._response(scope, receive, send)
        except asyncio.CancelledError:
            pass  # the server is stopping and has closed the connection; if raised, uvicorn would log it as a bug
        finally:
            if http_request.held_bytes:
                memory.received(http_request.held_bytes)

    def at_once(
        self, scope: Scope, method: str, path: str, query: str, body: bytes
    ) -> tuple[int, bytes, bytes] | None:
        """The response to an HTTP request if nothing has to be waited for; None for others.

        It is the status, the header fields as in `wire.Reply`, and the body. Most requests are submissions, statuses,
        results and downloads. A server that calls this first saves a task for each. Requests that repeat the header
        fields of an earlier one may have its scope.
        """
        head = scope.get(_HEAD)
        if head is None:
            head = scope[_HEAD] = Head(scope)
        emulator = self._emulator
        store = emulator.store
        http_request = HttpRequest(head, method, path, query, self.local_media, self._proxy_key, store.memory)
        host = self._hosts_at_once.get(http_request.host)
        if (
            host is None
            or store.has_faults
            or self._player is not None
            or http_request.by_proxy
            or b"origin" in head.fields
        ):
            return None
        http_request.body = body
        received_at = steady_time()
        request: ModelRequest | None = None
        response: wire.AnyResponse
        try:
            done = host.at_once(http_request)
            if done is None:
                return None
            response, request = done
        except Exception as error:
            response = self._failed(http_request, error)
        read_secrets(http_request, emulator.keys.secrets)
        status = response.status_code
        if isinstance(response, wire.Reply):
            sent = response.body
        else:  # a file, whose contents are not kept in the journal
            sent = bytes(response.body)
            response = wire.Reply(status, b"", wire.head_of(response))
        unknown = self._unknown_endpoint(http_request, status, request)
        answered = Answered(
            emulator.clock.now(), http_request, response, request, received_at, steady_time(), unknown
        )
        store.exchanges.append_later(answered, len(body) + len(response.body))
        response_head = response.head
        if not http_request.by_name:
            response_head = sandboxed_head(status, response_head, response.is_plain)
        return status, response_head, sent

    def _failed(self, http_request: HttpRequest, error: Exception) -> wire.Reply:
        """The response to an error: one of fal's, or 500 for a bug of ours."""
        if isinstance(error, FalError):
            return wire.error(error, self._emulator.new_request_id(""))
        path = self._emulator.keys.secrets.text(http_request.path)
        logger.exception("mock-fal: internal error at %s %s", http_request.method, path)
        return wire.reply(500, {"detail": "Internal Server Error"})

    def set_forward(self, forward: Forward) -> None:
        """Set how --record sends requests to the live service."""
        if self._player is not None:
            self._player.forward = forward

    def rewind(self, account: str | None) -> None:
        """Replay the cassettes from the start again, for one account or for all."""
        if self._player is not None:
            self._player.rewind(account)

    @property
    def unused_cassettes(self) -> list[str]:
        """The cassette files that have not been replayed so far."""
        return [] if self._player is None else self._player.unused

    def close(self) -> None:
        """Stop all worker threads. The next request starts new ones."""
        self._renderer.close()
        if "_media" in self.__dict__:
            self._media.close()

    # Everything below is imported and created on first use, which makes the start a fifth faster.

    def _host(self, name: str) -> Host | None:
        if name in QUEUE_HOSTS:
            from mock_fal.web.queue import Queue

            queue = Queue(self._emulator, self._renderer)
            self._hosts |= dict.fromkeys(QUEUE_HOSTS, queue)
            self._hosts_at_once |= dict.fromkeys(QUEUE_HOSTS, queue)
        elif name in MEDIA_HOSTS:
            self._hosts |= dict.fromkeys(MEDIA_HOSTS, self._media)
            self._hosts_at_once |= dict.fromkeys(MEDIA_HOSTS, self._media)
        elif name in RUN_HOSTS:
            from mock_fal.web.run import Run

            self._hosts |= dict.fromkeys(RUN_HOSTS, Run(self._emulator, self._renderer))
        elif name in REST_HOSTS:
            from mock_fal.web.rest import Rest

            self._hosts |= dict.fromkeys(REST_HOSTS, Rest(self._emulator))
        elif name in PLATFORM_HOSTS:
            from mock_fal.web.platform.api import Platform

            self._hosts |= dict.fromkeys(PLATFORM_HOSTS, Platform(self._emulator))
        elif name in KV_HOSTS:
            from mock_fal.web.kv import KeyValues

            self._hosts |= dict.fromkeys(KV_HOSTS, KeyValues(self._emulator))
        elif name in SITE_HOSTS:
            from mock_fal.web.platform.site import Site

            self._hosts |= dict.fromkeys(SITE_HOSTS, Site(self._emulator))
        elif name in WS_HOSTS:
            from mock_fal.web.sockets.ws_run import WsRun

            self._hosts |= dict.fromkeys(WS_HOSTS, WsRun(self._emulator, self._renderer))
        return self._hosts.get(name)

    @cached_property
    def _media(self) -> Media:
        from mock_fal.web.media import Media

        return Media(self._emulator, self._renderer)

    @cached_property
    def _faults(self) -> Faults:
        from mock_fal.web.faults.injection import Faults

        return Faults(self._emulator)

    @cached_property
    def _control(self) -> ASGIApp:
        from mock_fal.web.control.api import control

        return control(
            self._emulator,
            self._open_gateway,
            self._summary,
            self._started_at,
            app=self,
            renderer=self._renderer,
            read_file=lambda http_request, receive: self._media.content(http_request, receive),
            connections=lambda: self.connections,
        )

    @cached_property
    def _sockets(self) -> Sockets:
        from mock_fal.web.sockets.dispatch import Sockets

        return Sockets(self._emulator, self._renderer)

    @cached_property
    def _cross_origin(self) -> ASGIApp:
        # fal: runners allow any origin, method and header, with credentials (fal SDK).
        # assumption: the gateways of fal.run and queue.fal.run answer preflight requests in the same way.
        return _with_cors(self._response)

    @cached_property
    def _same_origin(self) -> ASGIApp:
        # A page and its proxy share an origin, so the page can read all headers, including the request id.
        return _with_cors(self._response, expose_headers=["*"])

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        from mock_fal.web.sockets.socket import Socket, close_with_reason

        # The handshake is a GET. The journal shows the method as WS to distinguish it from plain requests.
        handshake = {**scope, "method": "WS", "scheme": "https" if scope["scheme"] == "wss" else "http"}
        http_request = HttpRequest.of(handshake, local_media=self.local_media)
        if not http_request.by_name:
            send = sandboxed(send)

        def record(
            http_request: HttpRequest,
            response: wire.AnyResponse,
            request: ModelRequest | None,
            received_at: float,
        ) -> Exchange:
            exchange = self._record(http_request, response, request, received_at)
            self._name_unknown(exchange, http_request, request)
            return exchange

        with suppress(asyncio.CancelledError):
            if self._player is not None and self._player.websocket_refusal:
                await close_with_reason(Socket(scope, receive, send), self._player.websocket_refusal)
                return
            await self._sockets.serve(http_request, Socket(scope, receive, send), record)

    async def _response(self, scope: Scope, receive: Receive, send: Send) -> None:
        http_request: HttpRequest = scope[_HTTP_REQUEST]
        received_at = steady_time()
        store = self._emulator.store
        host = self._hosts.get(http_request.host) or self._host(http_request.host)
        request: ModelRequest | None = None
        response: wire.AnyResponse
        fault: Directive | None = None
        try:
            if store.has_faults:
                fault = self._faults.directive_for(http_request)
            if http_request.host in PLATFORM_HOSTS:  # they search the requests of an account
                await build_all(store)
            if host is None:
                response = _not_emulated(http_request)
            elif self._player is not None:
                response, request = await self._player.respond(http_request, receive, host)
            else:
                response, request = await host.respond(http_request, receive)
        except InjectedFault as injected:
            fault = injected.directive
            response = self._faults.replacement(fault, http_request)
        except ClientDisconnected:
            return
        except Exception as error:
            response = self._failed(http_request, error)
        faults = self._faults if store.has_faults else None
        if faults:
            response, fault = faults.apply(fault, http_request, response, request)
        exchange = self._record(http_request, response, request, received_at)
        if fault:
            store.exchanges.note(exchange, directive=fault.shown)
        if self._player is not None:
            store.exchanges.note(exchange, playback=getattr(http_request, "playback", ""))
        self._name_unknown(exchange, http_request, request)
        try:
            if faults:
                await faults.send(fault, response, scope, receive, send)
            else:
                await response(scope, receive, send)
        finally:
            exchange.sent_at = steady_time()

    def _record(
        self,
        http_request: HttpRequest,
        response: wire.AnyResponse,
        request: ModelRequest | None,
        received_at: float,
    ) -> Exchange:
        emulator = self._emulator
        read_secrets(http_request, emulator.keys.secrets)
        exchange = exchange_of(emulator.clock.now(), http_request, response, request, received_at)
        # The contents of files are not kept in the journal.
        if not isinstance(response, wire.Reply) and http_request.host not in MEDIA_HOSTS:
            self._record_body(response, exchange, http_request)
        emulator.record(exchange, http_request.authorization)
        return exchange

    def _record_body(self, response: Response, exchange: Exchange, http_request: HttpRequest) -> None:
        """Keep the body of one of Starlette's responses, or of a stream as it is sent."""
        from starlette.responses import StreamingResponse  # not imported at start

        if isinstance(response, StreamingResponse):
            secret = own_secret(http_request.authorization)
            response.body_iterator = recorded(
                response.body_iterator, exchange, self._emulator.store.exchanges, secret
            )
        else:
            exchange.response_body = bytes(response.body)

    def _name_unknown(
        self, exchange: Exchange, http_request: HttpRequest, request: ModelRequest | None
    ) -> None:
        """Note an endpoint that is not emulated."""
        if exchange.playback in ("", "no cassette"):
            unknown = self._unknown_endpoint(http_request, exchange.status, request)
            if unknown:
                self._emulator.store.exchanges.note(exchange, unknown_endpoint=unknown)

    def _unknown_endpoint(self, http_request: HttpRequest, status: int, request: ModelRequest | None) -> str:
        """The endpoint of a call that is not emulated: its 404 is the emulator's, not one of the live service."""
        if http_request.method not in ("POST", "WS") or http_request.host not in _MODEL_HOSTS:
            return ""
        if request is not None:
            if not request.is_drawn or request.is_stubbed:
                return ""  # only requests to known endpoints wait for a look
            if isinstance(request.head, RunnerResponse):
                status = request.head.status
        return self._emulator.unknown_endpoint(http_request.endpoint) if status == 404 else ""


def _player(emulator: Emulator, renderer: Renderer) -> Recording | Replay | None:
    """The recorder or player for --record or --replay; None without them. Raises SettingsError."""
    if emulator.settings.record:
        from mock_fal.web.playback.recording import Recording

        return Recording(emulator)
    if emulator.settings.replay:
        from mock_fal.web.playback.replay import Replay

        return Replay(emulator, renderer)
    return None


def _with_cors(app: ASGIApp, expose_headers: Sequence[str] = ()) -> ASGIApp:
    """The application with CORS headers for every origin."""
    from starlette.middleware.cors import CORSMiddleware

    return CORSMiddleware(
        app,
        allow_origins=["*"],
        allow_methods=["*"],
        allow_headers=["*"],
        allow_credentials=True,
        expose_headers=expose_headers,
    )


def _not_emulated(http_request: HttpRequest) -> wire.AnyResponse:
    if http_request.by_proxy and not belongs_to_fal(http_request.host):
        # fal: the response of @fal-ai/server-proxy 1.2.1 to a target header that is missing or names another host.
        return wire.reply(400, "Invalid request")
    # deviation: hosts of fal that are not emulated respond with 501.
    known = ", ".join(sorted(EMULATED_HOSTS))
    return wire.reply(
        501, {"detail": f"mock-fal does not emulate {http_request.host!r}; it emulates {known}"}
    )
