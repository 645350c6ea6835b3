"""ws.fal.run: HTTP over WebSocket. Each message is the body of a request to fal.run; frames carry the response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from copy import copy
from typing import Any, Final

from starlette.responses import StreamingResponse

from mock_fal.clock import steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import ApplicationNotFound, InjectedFault
from mock_fal.requests.queue import ModelRequest
from mock_fal.scenario.directive import Directive
from mock_fal.web import wire
from mock_fal.web.faults.connection import Throttle
from mock_fal.web.faults.injection import Faults
from mock_fal.web.http_request import ClientDisconnected, HttpRequest, Receive
from mock_fal.web.renderer import Renderer
from mock_fal.web.run import Run
from mock_fal.web.sockets import wire as frames
from mock_fal.web.sockets.socket import ConnectionFault, Record, Socket

# The number of messages that are read ahead; more of them wait in the network.
_READ_AHEAD: Final = 64


class WsRun:
    """The host ws.fal.run."""

    def __init__(self, emulator: Emulator, renderer: Renderer) -> None:
        self._emulator = emulator
        self._run = Run(emulator, renderer)
        self._faults = Faults(emulator)

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The response to a request without a WebSocket handshake."""
        # assumption: the status and the text.
        detail = "mock-fal: ws.fal.run expects a WebSocket; plain requests go to fal.run"
        return wire.reply(426, {"detail": detail}, {"upgrade": "websocket"}), None

    async def serve(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        """Serve the requests of one connection in order."""
        endpoint = http_request.endpoint
        if endpoint is None:
            await socket.reject(wire.page_not_found(self._emulator.new_request_id("")))
            return
        account, emulator = self._run.account(http_request, endpoint), self._emulator
        if not (
            emulator.catalog.has_app(endpoint.app_id)
            or emulator.is_stubbed(endpoint, account)
            or emulator.stubbed_model(endpoint, "stream", account)
        ):
            raise ApplicationNotFound(endpoint.app)
        await socket.accept()
        messages: asyncio.Queue[bytes | str | None] = asyncio.Queue(_READ_AHEAD)
        disconnected = asyncio.Event()
        reading = asyncio.create_task(_read_messages(socket, messages, disconnected))
        try:
            while (message := await messages.get()) is not None and not disconnected.is_set():
                await self._respond_to(http_request, message, disconnected, socket, record)
        finally:
            reading.cancel()

    async def _respond_to(
        self,
        http_request: HttpRequest,
        message: bytes | str,
        disconnected: asyncio.Event,
        socket: Socket,
        record: Record,
    ) -> None:
        post = copy(http_request)
        post.method = "POST"
        received_at, started_at = steady_time(), self._emulator.clock.now()
        response, request, directive = await self._response(post, _receive_once(message, disconnected))
        exchange = record(post, response, request, received_at)
        if directive is not None:
            self._emulator.store.exchanges.note(exchange, directive=directive.shown)
            if directive.connection in ("reset", "hang"):
                raise ConnectionFault(directive.connection)
        request_id = self._request_id(response)
        abandoning = asyncio.create_task(_abandon(response, disconnected))
        first_byte_s = None
        try:
            await socket.send(frames.start(response, request_id))
            if directive is not None and directive.connection:
                raise ConnectionFault(directive.connection)
            throttle = None
            if directive is not None and directive.throttle is not None:
                throttle = Throttle(directive.throttle, self._emulator.clock)
            async for part in _parts(response):
                if first_byte_s is None:
                    first_byte_s = self._emulator.clock.now() - started_at
                await (socket.send(part) if throttle is None else socket.send_slowly(part, throttle))
            if disconnected.is_set():
                raise ClientDisconnected
            await socket.send(frames.end(response, request_id, first_byte_s or 0.0))
        finally:
            abandoning.cancel()
            exchange.sent_at = steady_time()

    async def _response(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None, Directive | None]:
        """The response of fal.run, or that of an injected fault, and the directive that applies."""
        try:
            response, request = await self._run.respond(http_request, receive)
        except InjectedFault as fault:
            return self._faults.replacement(fault.directive, http_request), None, fault.directive
        directive = None
        if self._emulator.store.has_faults:
            response, directive = self._faults.apply(None, http_request, response, request)
        return response, request, directive

    def _request_id(self, response: wire.AnyResponse) -> str:
        request_id = dict(response.raw_headers).get(wire.REQUEST_ID.encode())
        return request_id.decode() if request_id else self._emulator.new_request_id("")


async def _read_messages(
    socket: Socket, messages: asyncio.Queue[bytes | str | None], disconnected: asyncio.Event
) -> None:
    """Read messages, also while a request runs, so that a disconnect is noticed at once."""
    try:
        while True:
            await messages.put(await socket.message())
    except ClientDisconnected:
        disconnected.set()
        await messages.put(None)


def _receive_once(message: bytes | str, disconnected: asyncio.Event) -> Receive:
    """A receive function for a request whose body is one message; the client disconnects with `disconnected`."""
    body = [message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message]

    async def receive() -> dict[str, Any]:
        if body:
            return {"type": "http.request", "body": body.pop()}
        await disconnected.wait()
        return {"type": "http.disconnect"}

    return receive


async def _abandon(response: wire.AnyResponse, disconnected: asyncio.Event) -> None:
    """End a stream when its client disconnects."""
    await disconnected.wait()
    if isinstance(response, StreamingResponse) and response.background is not None:
        await response.background()


async def _parts(response: wire.AnyResponse) -> AsyncIterator[bytes]:
    """The parts of a response body."""
    # assumption: JSON is sent in a binary frame; both kinds are documented.
    if isinstance(response, StreamingResponse):
        async for part in response.body_iterator:
            yield bytes(part) if not isinstance(part, str) else part.encode()
    else:
        yield bytes(response.body)
