"""One open port: uvicorn as we use it."""

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

# Longer than any client keeps an idle connection, so that it is never we who close one that is in use.
KEEP_ALIVE_S = 75

# How long an answer under way, such as a stream, may go on after we were told to stop.
GRACE_S = 1

# From here on, one more write costs less than one more copy.
_LARGE_BYTES = 16 * 1024

# As large as a body may be by default; an input may hold its pictures.
_LARGEST_MESSAGE_BYTES = 64 << 20


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises MockFalError when it can't."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # Some Pythons add the address to the system's words.
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
        """Return as soon as the first question would be answered."""
        self._listens = asyncio.Event()
        self._task = asyncio.create_task(self.serve([listening]))
        waiting = asyncio.create_task(self._listens.wait())
        await asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listens.set()

    def stop(self) -> None:
        """Take no more connections."""
        self.should_exit = True

    async def close(self) -> None:
        """Take no more connections, and cut what has not ended after a moment of grace."""
        self.stop()
        await asyncio.wait([self._task], timeout=GRACE_S)
        # Not left to uvicorn's own timeout, which logs each of these as an error, with a traceback.
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
        ws_ping_interval=None,  # who stops a program in a debugger finds it connected afterwards
        lifespan="off",
        log_config=None,
        access_log=False,  # it costs more than half of the speed
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        ssl_context_factory=(lambda config, default: tls) if tls else None,
    )


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, its head and body sent in one piece: half the system calls, half the packets."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast(asyncio.Transport, _Gathering(transport, self.loop)))
        # For `web/faults/`: ASGI lets no application hang up. The state is copied for each request anyway.
        self.app_state = {"mock_fal.transport": self.transport}


def _socket_protocol(**options: Any) -> asyncio.Protocol:
    """uvicorn's protocol of WebSockets."""
    return _socket_class()(**options)


@cache
def _socket_class() -> type[asyncio.Protocol]:
    # Loaded when the first socket is opened: it takes some 15 ms and a megabyte.
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class Protocol(WebSocketsSansIOProtocol):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if message["type"] == "websocket.http.response.body":
                self.handshake_complete = True  # else uvicorn (0.54) logs that nobody answered it

    return Protocol


class _Gathering:
    """A transport that holds small writes back until the event loop's next turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""
        self.is_closing = transport.is_closing  # asked for with each answer

    def write(self, data: bytes) -> None:
        if not self._held and len(data) < _LARGE_BYTES:
            self._loop.call_soon(self._flush)
        self._held += data
        if len(self._held) >= _LARGE_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held:
            self._transport.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
