"""One WebSocket: what comes in, what goes out, and that the other side has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol

from starlette.types import Receive, Send

from mock_fal.journal.exchanges import Exchange
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import Gone, HttpRequest

# Close codes of RFC 6455.
NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011

# What a close frame has room for.
_REASON_BYTES: Final = 123


class Record(Protocol):
    """Writes an exchange into the journal."""

    def __call__(
        self,
        http_request: HttpRequest,
        response: wire.AnyResponse,
        request: ModelRequest | None,
        received_at: float,
    ) -> Exchange: ...


class Socket:
    """The server's side of a connection. Whatever waits for the other side raises Gone when that has hung up."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.accepted = False

    async def accept(self) -> None:
        """Answer the handshake: from now on messages come and go."""
        await self._open()
        await self._out({"type": "websocket.accept"})
        self.accepted = True

    async def reject(self, reply: wire.Reply) -> None:
        """Answer the handshake with an HTTP response, and be done."""
        await self._open()
        head = {"status": reply.status_code, "headers": reply.raw_headers}
        await self._out({"type": "websocket.http.response.start", **head})
        await self._out({"type": "websocket.http.response.body", "body": reply.body})

    async def message(self) -> bytes | str:
        """The next message: bytes of a binary one, a string of a text."""
        came = await self._receive()
        if came["type"] == "websocket.disconnect":
            raise Gone
        text: str | None = came.get("text")
        data: bytes = came.get("bytes") or b""
        return data if text is None else text

    async def send(self, message: bytes | str) -> None:
        """Send a binary message, or a text."""
        name = "text" if isinstance(message, str) else "bytes"
        await self._out({"type": "websocket.send", name: message})

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say good-bye."""
        fits = reason.encode()[:_REASON_BYTES].decode("utf-8", "ignore")
        await self._out({"type": "websocket.close", "code": code, "reason": fits})

    async def _open(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            raise Gone

    async def _out(self, event: dict[str, Any]) -> None:
        try:
            await self._send(event)
        except OSError:
            raise Gone from None


async def refuse(socket: Socket, reason: str) -> None:
    """Accept a handshake in order to say why there is nothing behind it."""
    with suppress(Gone):
        await socket.accept()
        await socket.close(POLICY_VIOLATION, reason)


async def until_one_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Do several things at once until one of them ends, or raises; the others are cancelled then."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
