"""fal.run/…/realtime: inputs come over a WebSocket, results go back, one after the other, until nobody asks."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from copy import copy
from typing import Final

from mock_fal.clock import steady_time
from mock_fal.emulator import Emulator, SubmitOptions
from mock_fal.endpoint import EndpointId
from mock_fal.errors import ApplicationNotFound, FalError, InvalidAppToken, WrongAppToken
from mock_fal.models import catalog
from mock_fal.requests.outcome import RequestFailure, RunnerResponse, pictures_in
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.pictures import Pictures
from mock_fal.web.run import Run
from mock_fal.web.sockets import wire as frames
from mock_fal.web.sockets.socket import POLICY_VIOLATION, Record, Socket, until_one_ends
from mock_fal.web.sockets.wire import Failed
from mock_fal.web.stream import ended
from mock_fal.web.submit_options import fetch_files, submit_options

# How long a socket stays open without an input. fal: about 30 seconds (live, 2026-06).
IDLE_S: Final = 30.0


class Realtime:
    """The sockets of fal.run."""

    def __init__(self, emulator: Emulator, pictures: Pictures) -> None:
        self._emulator = emulator
        self._pictures = pictures
        self._run = Run(emulator, pictures)

    async def converse(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        """Answer the inputs of one connection."""
        endpoint = http_request.endpoint
        if endpoint is None:
            await socket.reject(wire.page_not_found(self._emulator.new_request_id("")))
            return
        try:
            account = self._run.account(http_request, endpoint)
        except (InvalidAppToken, WrongAppToken) as error:
            record(http_request, wire.error(error, self._emulator.new_request_id("")), None, steady_time())
            await _turn_away(socket, error)
            return
        if not catalog.knows(endpoint):
            raise ApplicationNotFound(endpoint.app)
        model = catalog.realtime(endpoint)
        if model is None:
            await self._refuse(http_request, socket, record)
            return
        buffering = frames.buffering(http_request.params)
        asked = submit_options(http_request, queued=False)
        await socket.accept()
        session = _Session(self._emulator, self._pictures, http_request, socket, record)
        await session.hold(model, account, asked, buffering)

    async def _refuse(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        # assumption: how a path without a socket is refused.
        there = ", ".join(sorted(f"{model}/realtime" for model in catalog.REALTIME))
        refusal = wire.reply(
            404, {"detail": f"mock-fal: no WebSocket at {http_request.path}; there are {there}"}
        )
        record(http_request, refusal, None, steady_time())
        await socket.reject(refusal)


async def _turn_away(socket: Socket, error: FalError) -> None:
    """What a bad token comes to."""
    # fal: the second is closed with this reason (live, 2026).
    # assumption: the code, and that the first is closed too.
    await socket.accept()
    if isinstance(error, InvalidAppToken):
        await socket.send(frames.UNAUTHORIZED)
    await socket.close(POLICY_VIOLATION, error.detail)


class _Session:
    """One connection: what waits, and what is at work."""

    def __init__(
        self,
        emulator: Emulator,
        pictures: Pictures,
        http_request: HttpRequest,
        socket: Socket,
        record: Record,
    ) -> None:
        self._emulator = emulator
        self._pictures = pictures
        self._question = http_request
        self._socket = socket
        self._record = record
        self._news = asyncio.Event()
        self._idle = False

    async def hold(self, model: EndpointId, account: str, asked: SubmitOptions, buffering: int) -> None:
        """Answer inputs until there are none for a while, or one fails. Raises Gone when the caller hangs up."""
        # fal: an input that comes when so many wait takes the place of the oldest (fal SDK, a bounded deque).
        self._waiting: deque[bytes] = deque(maxlen=buffering)
        farewell = frames.TIMEOUT
        try:
            await until_one_ends(self._listen(), self._work(model, account, asked))
        except Failed as error:
            farewell = frames.failure(str(error))
        await self._socket.send(farewell)
        await self._socket.close()

    async def _listen(self) -> None:
        while await self._heard():
            self._news.set()
        self._idle = True
        self._news.set()
        await asyncio.Event().wait()  # what still waits is answered before the end

    async def _heard(self) -> bool:
        """Whether an input came before the socket had been idle for too long."""
        clock = self._emulator.clock
        until = clock.now() + IDLE_S
        came: list[bytes | str] = []

        async def hear() -> None:
            came.append(await self._socket.message())

        async def tire() -> None:
            while clock.now() < until:
                await clock.watch_for(until)

        await until_one_ends(hear(), tire())
        self._waiting.extend(map(frames.read, came))
        return bool(came)

    async def _work(self, model: EndpointId, account: str, asked: SubmitOptions) -> None:
        while self._waiting or not self._idle:
            if self._waiting:
                await self._response(model, self._waiting.popleft(), account, asked)
            else:
                self._news.clear()
                await self._news.wait()

    async def _response(self, model: EndpointId, body: bytes, account: str, asked: SubmitOptions) -> None:
        emulator, received_at, began = self._emulator, steady_time(), self._emulator.clock.now()
        await fetch_files(emulator, body)
        try:
            request = emulator.run(model, body, account, asked)
        except FalError as error:
            self._note(body, wire.error(error, emulator.new_request_id("")), None, received_at)
            raise Failed(error.detail) from None
        try:
            await ended(emulator, request)
        except asyncio.CancelledError:
            emulator.abandon(request)
            left = wire.request_failure(RequestFailure("client_disconnected"), request.id)
            self._note(body, left, request, received_at)
            raise
        outcome = emulator.result(request)
        # deviation: an input that is no good ends the session when its turn comes, and not when it arrives.
        if not isinstance(outcome, RunnerResponse) or outcome.status >= 400:
            self._note(body, wire.result(outcome, request, self._question.links, {}), request, received_at)
            raise Failed(frames.reason(outcome))
        files = {
            picture: await self._pictures.render(picture.recipe) for picture in pictures_in(outcome.body)
        }
        result = frames.with_bytes(outcome.body, files, json.loads(body))
        self._note(body, frames.noted(result), request, received_at)
        await self._socket.send(frames.packed(result))
        await self._socket.send(frames.timings(emulator.clock.now() - began))

    def _note(
        self, body: bytes, response: wire.AnyResponse, request: ModelRequest | None, received_at: float
    ) -> None:
        """Write an input and its result into the journal, both in JSON."""
        http_request = copy(self._question)
        http_request.body = body
        self._record(http_request, response, request, received_at).sent_at = steady_time()
