"""Connections that break, hang or drip."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from mock_fal.clock import Clock

# Of a body that drips, how many pieces go out in a second.
_PIECES_PER_S: Final = 8

# Turns of the event loop after which a head that was written is on its way.
_TURNS: Final = 4

# A connection that is closed so ends with a reset.
_NO_LINGER: Final = struct.pack("ii", 1, 0)

# Where the server keeps the connection for us, in the state that ASGI gives an application.
TRANSPORT: Final = "mock_fal.transport"


class HeadSent(Exception):
    """The head of an answer is out, and no more of it shall be."""


def head_only(send: Send) -> Send:
    async def head(message: Message) -> None:
        if message["type"] != "http.response.start":
            raise HeadSent
        await send(message)

    return head


def slowly(send: Send, bytes_per_s: int, clock: Clock) -> Send:
    """What sends bodies in small pieces, as fast as `bytes_per_s` of the emulated clock."""
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


async def cut(scope: Scope, receive: Receive, *, reset: bool = False) -> None:
    """End the connection in the middle of an answer."""
    transport = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("a test asked for this")  # no socket: the application is called directly
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
    await hung_up(receive)


async def hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
