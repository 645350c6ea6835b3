"""ws.fal.run: HTTP over WebSocket. Each message is the body of a request to fal.run, the answer comes in frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from copy import copy
from typing import Any, Final

from starlette.responses import StreamingResponse

from mock_fal.clock import steady_time
from mock_fal.emulator import Emulator
from mock_fal.errors import ApplicationNotFound, InjectedFault
from mock_fal.models import catalog
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.faults.injection import Faults
from mock_fal.web.faults.responses import NO_ANSWER
from mock_fal.web.http_request import Gone, HttpRequest, Receive
from mock_fal.web.pictures import Pictures
from mock_fal.web.run import Run
from mock_fal.web.sockets import wire as frames
from mock_fal.web.sockets.socket import INTERNAL_ERROR, Record, Socket

# How many messages wait here; those behind them wait in the network.
_WAITING: Final = 64


class WsRun:
    """The host of HTTP over WebSocket."""

    def __init__(self, emulator: Emulator, pictures: Pictures) -> None:
        self._emulator = emulator
        self._run = Run(emulator, pictures)
        self._faults = Faults(emulator)

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """What a plain request is told."""
        # assumption: how it is refused.
        detail = "mock-fal: ws.fal.run is asked by WebSocket; plain requests go to fal.run"
        return wire.reply(426, {"detail": detail}, {"upgrade": "websocket"}), None

    async def converse(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        """Answer the requests of one connection, one after the other."""
        endpoint = http_request.endpoint
        if endpoint is None:
            await socket.reject(wire.page_not_found(self._emulator.new_request_id("")))
            return
        self._run.account(http_request, endpoint)
        if not catalog.knows(endpoint):
            raise ApplicationNotFound(endpoint.app)
        await socket.accept()
        messages: asyncio.Queue[bytes | str | None] = asyncio.Queue(_WAITING)
        gone = asyncio.Event()
        listening = asyncio.create_task(_listen(socket, messages, gone))
        try:
            while (message := await messages.get()) is not None and not gone.is_set():
                await self._exchange(http_request, message, gone, socket, record)
        finally:
            listening.cancel()

    async def _exchange(
        self,
        http_request: HttpRequest,
        message: bytes | str,
        gone: asyncio.Event,
        socket: Socket,
        record: Record,
    ) -> None:
        asked = copy(http_request)
        asked.method = "POST"
        received_at, began = steady_time(), self._emulator.clock.now()
        response, request = await self._response(asked, _once(message, gone))
        exchange = record(asked, response, request, received_at)
        if response.status_code == NO_ANSWER:
            await socket.close(INTERNAL_ERROR, "mock-fal: no answer, as was asked for")
            raise Gone
        request_id = self._request_id(response)
        watching = asyncio.create_task(_abandon(response, gone))
        first_byte_s = None
        try:
            await socket.send(frames.start(response, request_id))
            async for part in _parts(response):
                if first_byte_s is None:
                    first_byte_s = self._emulator.clock.now() - began
                await socket.send(part)
            if gone.is_set():
                raise Gone
            await socket.send(frames.end(response, request_id, first_byte_s or 0.0))
        finally:
            watching.cancel()
            exchange.sent_at = steady_time()

    async def _response(
        self, asked: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """What fal.run would answer, or what a directive asks for in the place of it."""
        try:
            response, request = await self._run.respond(asked, receive)
        except InjectedFault as other:
            return self._faults.instead(other.directive, asked), None
        if self._emulator.store.has_faults:
            response, _ = self._faults.changed(None, asked, response, request)
        return response, request

    def _request_id(self, response: wire.AnyResponse) -> str:
        named = dict(response.raw_headers).get(wire.REQUEST_ID.encode())
        return named.decode() if named else self._emulator.new_request_id("")


async def _listen(socket: Socket, messages: asyncio.Queue[bytes | str | None], gone: asyncio.Event) -> None:
    """Take in what comes, also while a request runs: so it is noticed when the caller hangs up."""
    try:
        while True:
            await messages.put(await socket.message())
    except Gone:
        gone.set()
        await messages.put(None)


def _once(message: bytes | str, gone: asyncio.Event) -> Receive:
    """A request whose body is one message, and whose caller is there until it is `gone`."""
    body = [message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message]

    async def receive() -> dict[str, Any]:
        if body:
            return {"type": "http.request", "body": body.pop()}
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive


async def _abandon(response: wire.AnyResponse, gone: asyncio.Event) -> None:
    """End a stream when its caller hangs up."""
    await gone.wait()
    if isinstance(response, StreamingResponse) and response.background is not None:
        await response.background()


async def _parts(response: wire.AnyResponse) -> AsyncIterator[bytes]:
    """The body of an answer, as it comes."""
    # assumption: that JSON comes in a binary frame; both kinds are documented.
    if isinstance(response, StreamingResponse):
        async for part in response.body_iterator:
            yield bytes(part) if not isinstance(part, str) else part.encode()
    else:
        yield bytes(response.body)
