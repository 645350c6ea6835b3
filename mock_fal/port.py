"""One listening port: uvicorn with mock-fal's settings."""

from __future__ import annotations

import asyncio
import socket
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mock_fal.errors import MockFalError

if TYPE_CHECKING:
    from ssl import SSLContext

    from starlette.types import ASGIApp

# Longer than clients keep idle connections, so the server never closes one that a client is about to use.
KEEP_ALIVE_S = 75

# How long responses in progress, such as streams, may continue after `stop`.
GRACE_S = 1

# From this size on, another write is cheaper than another copy.
_LARGE_BYTES = 16 * 1024

# The default of --max-body: an input may contain pictures.
_LARGEST_MESSAGE_BYTES = 64 << 20


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 selects a free port. Raises MockFalError if it can't listen."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # Some Python versions append the address to the system's message.
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        hint = "; choose another with --port, or --port 0 for a free one" if port else ""
        raise MockFalError(f"can't listen on {host} port {port}: {reason}{hint}") from None


def event_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop that is installed."""
    factory = _config(None).get_loop_factory()
    return factory() if factory else asyncio.new_event_loop()


class Port(uvicorn.Server):
    """Serves an application on a listening socket, in the running event loop."""

    def __init__(self, app: ASGIApp, *, tls: SSLContext | None = None) -> None:
        super().__init__(_config(app, tls))

    async def open(self, listening: socket.socket) -> None:
        """Start serving. Returns when the application is ready for requests."""
        self._started = asyncio.Event()
        self._task = asyncio.create_task(self.serve([listening]))
        waiting = asyncio.create_task(self._started.wait())
        await asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started.set()

    def stop(self) -> None:
        """Accept no more connections."""
        self.should_exit = True

    async def close(self) -> None:
        """Accept no more connections, and abort those that are open after `GRACE_S`."""
        self.stop()
        await asyncio.wait([self._task], timeout=GRACE_S)
        # Done here because uvicorn's own timeout logs an error with a traceback for each of them.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for response in list(self.server_state.tasks):
            response.cancel()
        await self._task


def _config(app: ASGIApp | None, tls: SSLContext | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        cast(Any, app),
        http=_Protocol,
        ws=cast(Any, _socket_protocol),
        ws_max_size=_LARGEST_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # pictures are compressed already
        ws_ping_interval=None,  # a client that is stopped in a debugger stays connected
        lifespan="off",
        log_config=None,
        access_log=False,  # it would halve the speed
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        ssl_context_factory=(lambda config, default: tls) if tls else None,
    )


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with headers and body in one write: half the system calls and packets."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast(asyncio.Transport, _BufferedTransport(transport, self.loop)))
        # For `web/faults/`: ASGI has no way to close a connection. The state is copied for each request anyway.
        self.app_state = {"mock_fal.transport": self.transport}


def _socket_protocol(**options: Any) -> asyncio.Protocol:
    """uvicorn's WebSocket protocol."""
    return _socket_class()(**options)


@cache
def _socket_class() -> type[asyncio.Protocol]:
    # Imported with the first WebSocket: it takes about 15 ms and a megabyte.
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class Protocol(WebSocketsSansIOProtocol):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if message["type"] == "websocket.http.response.body":
                self.handshake_complete = (
                    True  # else uvicorn (0.54) logs that the handshake was not completed
                )

    return Protocol


class _BufferedTransport:
    """A transport that buffers small writes until the next turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._buffer = b""
        self.is_closing = transport.is_closing  # called for each response

    def write(self, data: bytes) -> None:
        if not self._buffer and len(data) < _LARGE_BYTES:
            self._loop.call_soon(self._flush)
        self._buffer += data
        if len(self._buffer) >= _LARGE_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        data, self._buffer = self._buffer, b""
        if data:
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
