"""One WebSocket connection: its messages, its close frame and the client's disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol

from starlette.types import Receive, Scope, Send

from mock_fal.journal.exchanges import Exchange
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.faults.connection import Throttle, abort_connection, wait_for_disconnect
from mock_fal.web.http_request import ClientDisconnected, HttpRequest

# Close codes of RFC 6455.
NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011

# The largest reason that fits into a close frame (RFC 6455, 5.5).
_REASON_BYTES: Final = 123


class Record(Protocol):
    """Writes an exchange to the journal."""

    def __call__(
        self,
        http_request: HttpRequest,
        response: wire.AnyResponse,
        request: ModelRequest | None,
        received_at: float,
    ) -> Exchange: ...


class ConnectionFault(Exception):
    """An injected fault of the connection, which ends its use: `kind` is a value of the option `connection`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Socket:
    """The server's side of a connection. All methods raise ClientDisconnected once the client has closed it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.accepted = False

    async def accept(self) -> None:
        """Accept the handshake, so that messages can be sent and received."""
        await self._receive_connect()
        await self._send_event({"type": "websocket.accept"})
        self.accepted = True

    async def reject(self, reply: wire.Reply) -> None:
        """Reject the handshake with an HTTP response."""
        await self._receive_connect()
        head = {"status": reply.status_code, "headers": reply.raw_headers}
        await self._send_event({"type": "websocket.http.response.start", **head})
        await self._send_event({"type": "websocket.http.response.body", "body": reply.body})

    async def message(self) -> bytes | str:
        """The next message: bytes if it is binary, a string if it is text."""
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            raise ClientDisconnected
        text: str | None = event.get("text")
        data: bytes = event.get("bytes") or b""
        return data if text is None else text

    async def send(self, message: bytes | str) -> None:
        """Send a binary message (bytes) or a text message (string)."""
        name = "text" if isinstance(message, str) else "bytes"
        await self._send_event({"type": "websocket.send", name: message})

    async def send_slowly(self, message: bytes, throttle: Throttle) -> None:
        """Send a binary message in fragments (RFC 6455, 5.4), each when it is due."""
        async for fragment, is_last in throttle.pieces(message):
            # `more` is not ASGI: the server sends a message in fragments only for it (port.py).
            await self._send_event({"type": "websocket.send", "bytes": fragment, "more": not is_last})

    async def fail(self, kind: str) -> None:
        """Leave the connection without an answer until the client closes it, or break it without a close frame."""
        if kind == "hang":
            await wait_for_disconnect(self._receive)
        else:
            await abort_connection(self._scope, self._receive, reset=kind == "reset")

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a close frame. A reason that is too long is cut."""
        short_reason = reason.encode()[:_REASON_BYTES].decode("utf-8", "ignore")
        await self._send_event({"type": "websocket.close", "code": code, "reason": short_reason})

    async def _receive_connect(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            raise ClientDisconnected

    async def _send_event(self, event: dict[str, Any]) -> None:
        try:
            await self._send(event)
        except OSError:
            raise ClientDisconnected from None


async def close_with_reason(socket: Socket, reason: str) -> None:
    """Accept a handshake and close the connection with a reason: clients do not show an HTTP response's body."""
    with suppress(ClientDisconnected):
        await socket.accept()
        await socket.close(POLICY_VIOLATION, reason)


async def first_completed(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run coroutines until one of them returns or raises; the others are cancelled."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        completed, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in completed:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
