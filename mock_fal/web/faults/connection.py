"""Connection faults: throttled bodies and messages, hanging, reset and aborted connections."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from mock_fal.clock import Clock

# How many pieces of a throttled body are sent per second.
_PIECES_PER_S: Final = 8

# Turns of the event loop after which headers that were written have been sent.
_TURNS: Final = 4

# With this value of SO_LINGER, closing a connection sends a reset (RST).
_NO_LINGER: Final = struct.pack("ii", 1, 0)

# The key of the connection's transport in the ASGI state; the server sets it (port.py).
TRANSPORT: Final = "mock_fal.transport"


class HeadersSent(Exception):
    """The response headers have been sent, and the body is not."""


def headers_only(send: Send) -> Send:
    """A send function that raises HeadersSent instead of sending a body."""

    async def headers(message: Message) -> None:
        if message["type"] != "http.response.start":
            raise HeadersSent
        await send(message)

    return headers


class Throttle:
    """Small pieces of bodies or messages, `bytes_per_s` per second of the emulated clock."""

    def __init__(self, bytes_per_s: int, clock: Clock) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._due = clock.now()

    async def pieces(self, data: bytes) -> AsyncIterator[tuple[bytes, bool]]:
        """Each piece when it is due, and whether it is the last one. No data is one piece."""
        size = max(1, self._bytes_per_s // _PIECES_PER_S)
        for at in range(0, max(1, len(data)), size):
            piece = data[at : at + size]
            self._due = max(self._due, self._clock.now()) + len(piece) / self._bytes_per_s
            while self._clock.now() < self._due:
                await self._clock.wait_until(self._due)
            yield piece, at + size >= len(data)


def throttled(send: Send, bytes_per_s: int, clock: Clock) -> Send:
    """A send function that sends bodies in small pieces."""
    throttle = Throttle(bytes_per_s, clock)

    async def piecewise(message: Message) -> None:
        if not message.get("body"):
            await send(message)
            return
        async for piece, is_last in throttle.pieces(message["body"]):
            more = message.get("more_body", False) or not is_last
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    return piecewise


async def abort_connection(scope: Scope, receive: Receive, *, reset: bool = False) -> None:
    """Close the connection in the middle of a response or a WebSocket; with `reset`, by a TCP reset."""
    transport = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("injected fault")  # no transport: the application is called directly
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
    await wait_for_disconnect(receive)


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has closed the connection. Messages of a WebSocket are discarded."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
