"""Connection faults: throttled bodies, hanging, reset and aborted connections."""

from __future__ import annotations

import asyncio
import socket
import struct
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


def throttled(send: Send, bytes_per_s: int, clock: Clock) -> Send:
    """A send function that sends bodies in small pieces, `bytes_per_s` per second of the emulated clock."""
    size = max(1, bytes_per_s // _PIECES_PER_S)
    due = clock.now()

    async def piecewise(message: Message) -> None:
        nonlocal due
        body: bytes = message.get("body", b"")
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            due = max(due, clock.now()) + len(piece) / bytes_per_s
            while clock.now() < due:
                await clock.wait_until(due)
            more = message.get("more_body", False) or at + size < len(body)
            await send({"type": "http.response.body", "body": piece, "more_body": more})
        if not body:
            await send(message)

    return piecewise


async def abort_connection(scope: Scope, receive: Receive, *, reset: bool = False) -> None:
    """Close the connection in the middle of a response; with `reset`, by a TCP reset."""
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
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
