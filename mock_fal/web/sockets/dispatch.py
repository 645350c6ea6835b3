"""Routes WebSockets to the hosts of fal that serve them, and closes all others."""

from __future__ import annotations

from typing import Final, Protocol

from mock_fal.clock import steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import FalError, InjectedFault, InvalidAppToken
from mock_fal.hosts import RUN_HOSTS, WS_HOSTS
from mock_fal.terminal import logger
from mock_fal.web import wire
from mock_fal.web.faults.injection import Faults
from mock_fal.web.http_request import ClientDisconnected, HttpRequest
from mock_fal.web.renderer import Renderer
from mock_fal.web.sockets.realtime import Realtime, reject_token
from mock_fal.web.sockets.socket import INTERNAL_ERROR, POLICY_VIOLATION, ConnectionFault, Record, Socket
from mock_fal.web.sockets.ws_run import WsRun


class Host(Protocol):
    """A host of fal that serves WebSockets. A FalError before the handshake becomes an HTTP response."""

    async def serve(self, http_request: HttpRequest, socket: Socket, record: Record) -> None: ...


class Sockets:
    """All hosts that serve WebSockets."""

    def __init__(self, emulator: Emulator, renderer: Renderer) -> None:
        self._emulator = emulator
        self._faults = Faults(emulator)
        self._hosts: Final[dict[str, Host]] = {
            **dict.fromkeys(WS_HOSTS, WsRun(emulator, renderer)),
            **dict.fromkeys(RUN_HOSTS, Realtime(emulator, renderer)),
        }

    async def serve(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        """Serve one connection, from the handshake to the end."""
        try:
            try:
                await self._route(http_request, socket, record)
            except ConnectionFault as fault:
                await socket.fail(fault.kind)
        except ClientDisconnected:
            pass
        except ConnectionResetError:
            raise  # by an injected fault, without a transport
        except Exception:
            path = self._emulator.keys.secrets.text(http_request.path)
            logger.exception("mock-fal: internal error at WebSocket %s", path)
            await _send_internal_error(socket)

    async def _route(self, http_request: HttpRequest, socket: Socket, record: Record) -> None:
        host = self._hosts.get(http_request.host)
        if host is None or http_request.by_proxy:
            await socket.accept()
            host_name = http_request.host or "this address"
            reason = f"mock-fal: no WebSocket at {host_name}; expected ws.fal.run or fal.run/…/realtime"
            await socket.close(POLICY_VIOLATION, reason)
            return
        try:
            if self._emulator.store.has_faults:
                self._faults.directive_for(http_request)
            await host.serve(http_request, socket, record)
        except InjectedFault as fault:
            await self._inject(fault, http_request, socket, record)
        except FalError as error:
            # assumption: a handshake is rejected with the response to a plain request.
            response = wire.error(error, self._emulator.new_request_id(""))
            record(http_request, response, None, steady_time())
            await socket.reject(response)

    async def _inject(
        self, fault: InjectedFault, http_request: HttpRequest, socket: Socket, record: Record
    ) -> None:
        """Reject a handshake as a directive says."""
        directive = fault.directive
        if directive.token:
            response = wire.error(InvalidAppToken(), self._emulator.new_request_id(""))
        else:
            response = self._faults.replacement(directive, http_request)
        exchange = record(http_request, response, None, steady_time())
        self._emulator.store.exchanges.note(exchange, directive=directive.shown)
        if directive.connection:
            raise ConnectionFault(directive.connection)
        if directive.token and http_request.host in RUN_HOSTS:
            await reject_token(socket, InvalidAppToken())
        else:
            await socket.reject(response)


async def _send_internal_error(socket: Socket) -> None:
    try:
        if socket.accepted:
            await socket.close(INTERNAL_ERROR, "mock-fal: internal error")
        else:
            await socket.reject(wire.reply(500, {"detail": "Internal Server Error"}))
    except ClientDisconnected:
        pass
