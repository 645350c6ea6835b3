"""fal.run/…/realtime: inputs and results over one WebSocket, in order, until no input arrives for a while."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from copy import copy
from typing import Final

from mock_fal.clock import steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.emulation.options import SubmitOptions
from mock_fal.endpoint import EndpointId
from mock_fal.errors import (
    ApplicationNotFound,
    FalError,
    InjectedFault,
    InvalidAppToken,
    MemoryFull,
    WrongAppToken,
)
from mock_fal.requests.outcome import RequestFailure, RunnerResponse, media_files
from mock_fal.requests.queue import ModelRequest
from mock_fal.scenario.directive import Directive
from mock_fal.web import wire
from mock_fal.web.answers import answered
from mock_fal.web.faults.connection import Throttle
from mock_fal.web.faults.injection import Faults
from mock_fal.web.faults.responses import modified
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.renderer import Renderer
from mock_fal.web.run import Run
from mock_fal.web.sockets import wire as frames
from mock_fal.web.sockets.socket import POLICY_VIOLATION, ConnectionFault, Record, Socket, first_completed
from mock_fal.web.sockets.wire import InputFailed
from mock_fal.web.stream import wait_for_end
from mock_fal.web.submit_options import read_input, submit_options

# fal: a socket without an input is closed after about 30 seconds (live, 2026-06).
IDLE_S: Final = 30.0


class Realtime:
    """The realtime WebSockets of fal.run."""

    def __init__(self, emulator: Emulator, renderer: Renderer) -> None:
        self._emulator = emulator
        self._renderer = renderer
        self._run = Run(emulator, renderer)

    async def serve(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        """Serve one connection, from the handshake to the end."""
        endpoint = http_request.endpoint
        if endpoint is None:
            await socket.reject(wire.page_not_found(self._emulator.new_request_id("")))
            return
        try:
            account = self._run.account(http_request, endpoint)
        except (InvalidAppToken, WrongAppToken) as error:
            record(http_request, wire.error(error, self._emulator.new_request_id("")), None, steady_time())
            await reject_token(socket, error)
            return
        stubbed = self._emulator.stubbed_model(endpoint, "realtime", account)
        catalog = self._emulator.catalog
        if not catalog.has_app(endpoint.app_id) and stubbed is None:
            raise ApplicationNotFound(endpoint.app)
        model = catalog.realtime_model(endpoint) or stubbed
        if model is None:
            await self._reject_path(http_request, socket, record)
            return
        buffering = frames.buffering(http_request.params)
        options = submit_options(http_request, queued=False)
        await socket.accept()
        session = _Session(self._emulator, self._renderer, http_request, socket, record)
        await session.run(model, account, options, buffering)

    async def _reject_path(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        # assumption: the response for a path without a WebSocket.
        known = ", ".join(sorted(self._emulator.catalog.realtime_paths()))
        response = wire.reply(
            404, {"detail": f"mock-fal: no WebSocket at {http_request.path}; expected one of {known}"}
        )
        record(http_request, response, None, steady_time())
        await socket.reject(response)


async def reject_token(socket: Socket, error: FalError) -> None:
    """Close the connection of a client with a bad token."""
    # fal: a token for another app closes the socket with this reason (live, 2026).
    # assumption: the close code, and that an invalid token closes the socket too.
    await socket.accept()
    if isinstance(error, InvalidAppToken):
        await socket.send(frames.UNAUTHORIZED)
    await socket.close(POLICY_VIOLATION, error.detail)


class _Session:
    """One connection: its waiting inputs and the input that is running."""

    def __init__(
        self,
        emulator: Emulator,
        renderer: Renderer,
        http_request: HttpRequest,
        socket: Socket,
        record: Record,
    ) -> None:
        self._emulator = emulator
        self._renderer = renderer
        self._handshake = http_request
        self._socket = socket
        self._record = record
        self._changed = asyncio.Event()
        self._idle = False
        # The bytes of the waiting inputs that are counted in the memory budget.
        self._held_bytes = 0

    async def run(self, model: EndpointId, account: str, options: SubmitOptions, buffering: int) -> None:
        """Process inputs until none arrives for a while, or one fails.

        Raises ClientDisconnected when the client closes the connection.
        """
        # fal: if `buffering` inputs wait, a new input replaces the oldest (fal SDK, a bounded deque).
        self._waiting: deque[bytes] = deque(maxlen=buffering)
        last_message = frames.TIMEOUT
        try:
            await first_completed(self._receive(), self._process(model, account, options))
        except InputFailed as error:
            last_message = frames.failure(str(error))
        finally:
            self._waiting.clear()
            self._count_waiting()
        await self._socket.send(last_message)
        await self._socket.close()

    async def _receive(self) -> None:
        while await self._receive_input():
            self._changed.set()
        self._idle = True
        self._changed.set()
        await asyncio.Event().wait()  # waiting inputs are processed before the end

    async def _receive_input(self) -> bool:
        """Wait for an input; False if the socket has been idle for too long."""
        clock = self._emulator.clock
        until = clock.now() + IDLE_S
        received: list[bytes | str] = []

        async def message() -> None:
            received.append(await self._socket.message())

        async def idle_timeout() -> None:
            while clock.now() < until:
                await clock.watch_for(until)

        await first_completed(message(), idle_timeout())
        self._waiting.extend(map(frames.decode_input, received))
        self._count_waiting()
        return bool(received)

    def _count_waiting(self) -> None:
        """Count the waiting inputs, and drop the oldest ones if they are larger than one input may be."""
        while (size := sum(map(len, self._waiting))) > self._emulator.settings.max_body:
            self._waiting.popleft()
        added = size - self._held_bytes
        try:
            if added > 0:
                self._emulator.store.memory.receive(added)
            else:
                self._emulator.store.memory.received(-added)
        except MemoryFull as error:
            raise InputFailed(error.detail) from None
        self._held_bytes = size

    async def _process(self, model: EndpointId, account: str, options: SubmitOptions) -> None:
        while self._waiting or not self._idle:
            if self._waiting:
                body = self._waiting.popleft()
                self._count_waiting()
                await self._respond(model, body, account, options)
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _respond(self, model: EndpointId, body: bytes, account: str, options: SubmitOptions) -> None:
        emulator, received_at, started_at = self._emulator, steady_time(), self._emulator.clock.now()
        try:
            short_body, contents = await read_input(emulator, self._renderer, model, body, account)
            request = await answered(
                lambda options: emulator.run(
                    model, short_body, account, options, contents, operation="realtime"
                ),
                options,
            )
        except InjectedFault as fault:
            self._inject(fault, body, received_at)
            raise InputFailed(fault.detail) from None
        except FalError as error:
            self._write_journal(body, wire.error(error, emulator.new_request_id("")), None, received_at)
            raise InputFailed(error.detail) from None
        try:
            await wait_for_end(emulator, request)
        except asyncio.CancelledError:
            emulator.abandon(request)
            disconnected = wire.request_failure(RequestFailure("client_disconnected"), request.id)
            self._write_journal(body, disconnected, request, received_at)
            raise
        outcome = emulator.result(request)
        # deviation: an invalid input ends the session when its turn comes, not when it arrives.
        if not isinstance(outcome, RunnerResponse) or outcome.status >= 400:
            self._write_journal(
                body, wire.result(outcome, request, self._handshake.links, {}), request, received_at
            )
            raise InputFailed(frames.reason(outcome))
        directive = request.directives.choice.response if request.directives else None
        files = {
            picture: await self._renderer.render(picture.recipe) for picture in media_files(outcome.body)
        }
        result = frames.with_bytes(outcome.body, files, json.loads(short_body))
        if directive is not None:
            result = modified(result, directive)
        self._write_journal(body, frames.journal_response(result), request, received_at, directive)
        await self._send_result(frames.encode_result(result), directive)
        await self._socket.send(frames.timings(emulator.clock.now() - started_at))

    async def _send_result(self, message: bytes, directive: Directive | None) -> None:
        """Send a result with the changes of a directive. Raises ConnectionFault in place of sending it."""
        if directive is None:
            await self._socket.send(message)
            return
        if directive.connection:
            raise ConnectionFault(directive.connection)
        message = frames.corrupted(message, directive.json)
        if directive.throttle is None:
            await self._socket.send(message)
        else:
            await self._socket.send_slowly(message, Throttle(directive.throttle, self._emulator.clock))

    def _inject(self, fault: InjectedFault, body: bytes, received_at: float) -> None:
        """Write the response of a directive to the journal. Raises ConnectionFault if there is none."""
        directive = fault.directive
        response = Faults(self._emulator).replacement(directive, self._handshake)
        self._write_journal(body, response, None, received_at, directive)
        if directive.connection:
            raise ConnectionFault(directive.connection)

    def _write_journal(
        self,
        body: bytes,
        response: wire.AnyResponse,
        request: ModelRequest | None,
        received_at: float,
        directive: Directive | None = None,
    ) -> None:
        """Write an input and its result to the journal, both in JSON."""
        http_request = copy(self._handshake)
        http_request.body = body
        exchange = self._record(http_request, response, request, received_at)
        exchange.sent_at = steady_time()
        if directive is not None:
            self._emulator.store.exchanges.note(exchange, directive=directive.shown)
