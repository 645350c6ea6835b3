"""WebSockets: which of fal's hosts takes one, and what becomes of the others."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from mock_fal.clock import steady_time
from mock_fal.emulator import Emulator
from mock_fal.errors import FalError
from mock_fal.hosts import RUN_HOSTS, WS_HOSTS
from mock_fal.web import wire
from mock_fal.web.http_request import Gone, HttpRequest
from mock_fal.web.pictures import Pictures
from mock_fal.web.sockets.realtime import Realtime
from mock_fal.web.sockets.socket import INTERNAL_ERROR, POLICY_VIOLATION, Record, Socket
from mock_fal.web.sockets.ws_run import WsRun

logger = logging.getLogger("mock_fal")


class Host(Protocol):
    """One of fal's hosts that takes sockets. A FalError before the socket is accepted is told by HTTP."""

    async def converse(self, http_request: HttpRequest, socket: Socket, record: Record) -> None: ...


class Sockets:
    """All hosts that take sockets."""

    def __init__(self, emulator: Emulator, pictures: Pictures) -> None:
        self._emulator = emulator
        self._hosts: Final[dict[str, Host]] = {
            **dict.fromkeys(WS_HOSTS, WsRun(emulator, pictures)),
            **dict.fromkeys(RUN_HOSTS, Realtime(emulator, pictures)),
        }

    async def converse(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        """Answer a handshake, and all that follows it."""
        try:
            await self._converse(http_request, socket, record)
        except Gone:
            pass
        except Exception:
            logger.exception("mock-fal: a bug, at WebSocket %s", http_request.path)
            await _apologise(socket)

    async def _converse(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        host = self._hosts.get(http_request.host)
        if host is None or http_request.by_proxy:
            await socket.accept()
            where = http_request.host or "this address"
            reason = f"mock-fal: no WebSocket at {where}; there are ws.fal.run and fal.run/…/realtime"
            await socket.close(POLICY_VIOLATION, reason)
            return
        try:
            await host.converse(http_request, socket, record)
        except FalError as error:
            # assumption: that a handshake is refused as a plain request would be.
            refusal = wire.error(error, self._emulator.new_request_id(""))
            record(http_request, refusal, None, steady_time())
            await socket.reject(refusal)


async def _apologise(socket: Socket) -> None:
    try:
        if socket.accepted:
            await socket.close(INTERNAL_ERROR, "mock-fal: a bug")
        else:
            await socket.reject(wire.reply(500, {"detail": "Internal Server Error"}))
    except Gone:
        pass
