"""One listening port: uvicorn with mock-fal's settings."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from sys import intern
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import unquote

import uvicorn
from httptools import parse_url
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mock_fal.errors import MockFalError

if TYPE_CHECKING:
    from ssl import SSLContext

    from starlette.types import ASGIApp

# Longer than clients keep idle connections, so the server never closes one that a client is about to use.
KEEP_ALIVE_S = 75

# How long responses in progress, such as streams, may continue after `stop`.
GRACE_S = 1

# The Date header is renewed this often.
_DATE_S: Final = 1.0

# How often a port that stops looks whether its connections have closed.
_CLOSING_S: Final = 0.005

# From this size on, another write is cheaper than another copy.
_LARGE_BYTES = 16 * 1024

# deviation: fal's limit of a WebSocket message is unknown. Here it is 16 MiB, and more closes the connection (1009).
# An input may contain a picture: one of 12 megapixels has some 8 MB as a data URI. A message is joined on the event
# loop, and kept outside of the memory budget, so it may not be as large as a body.
MAX_MESSAGE_BYTES: Final = 16 << 20

# deviation: the limits of fal's gateway are unknown. Here a request head may have 64 KiB and 256 headers (431), and its
# target 16 KiB (414); the head of a WebSocket handshake lines of 8,000 bytes and 128 headers.
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_TARGET_BYTES: Final = 16 * 1024
# Each takes some 130 bytes of memory, however short it is.
MAX_HEADERS: Final = 256
# The limits of the websockets library (http11.py): beyond them it closes the connection without a response.
MAX_HANDSHAKE_LINE_BYTES: Final = 8000
MAX_HANDSHAKE_HEADERS: Final = 128

# A longer body is given to the application in parts.
MAX_WHOLE_BYTES: Final = 64 * 1024

# After a refusal the port reads on: closing with unread bytes would discard the response (RFC 9112, 9.6).
LINGER_S: Final = 2.0
MAX_DISCARDED_BYTES: Final = 1 << 20


def listen(host: str, port: int, flag: str = "--port") -> socket.socket:
    """A listening socket; port 0 selects a free port. Raises MockFalError, with the `flag`, if it can't listen."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # Some Python versions append the address to the system's message.
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        hint = f"; choose another with {flag}, or {flag} 0 for a free one" if port else ""
        raise MockFalError(f"can't listen on {host} port {port}: {reason}{hint}") from None


def event_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop that is installed."""
    factory = _config(None).get_loop_factory()
    return factory() if factory else asyncio.new_event_loop()


class Port(uvicorn.Server):
    """Serves an application on a listening socket, in the running event loop.

    uvicorn looks ten times a second whether it has to stop, and waits for another tenth at the end. A port waits for
    events instead, so it stops at once if no connection is open.
    """

    def __init__(self, app: ASGIApp, *, tls: SSLContext | None = None) -> None:
        super().__init__(_config(app, tls))
        self._stopping = asyncio.Event()

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

    async def main_loop(self) -> None:
        while not self._stopping.is_set():
            await self.on_tick(0)  # writes the Date header
            with suppress(TimeoutError):
                async with asyncio.timeout(_DATE_S):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(_CLOSING_S)
        for server in self.servers:
            await server.wait_closed()

    def stop(self) -> None:
        """Accept no more connections."""
        self.should_exit = True
        self._stopping.set()

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
        http=cast(Any, partial(_Protocol, turn=_Turn())),
        ws=cast(Any, _socket_protocol),
        ws_max_size=MAX_MESSAGE_BYTES,
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


# The status, the header fields, and a short body. The fields are valid and have the length of the body; they are lines
# `name: value` with CRLF between them.
WholeResponse = tuple[int, bytes, bytes]

# The response for a scope of ASGI, the method, path and query of the request, and its whole body; None if it needs a
# task. Requests that repeat the header fields of an earlier one have the scope of that.
AtOnce = Callable[[Any, str, str, str, bytes], WholeResponse | None]


class _KnownHead(NamedTuple):
    """Header fields that were parsed: the scope of their request, and the size of the body that they announce."""

    scope: Any
    body_bytes: int


# How many of them each connection remembers, up to which size, and for requests of which size: programs repeat theirs,
# with some lengths of a body.
_MAX_KNOWN: Final = 8
_MAX_KNOWN_BYTES: Final = 2048
_MAX_REPEATED_BYTES: Final = 16 * 1024


class _Refused(Exception):
    """Stops the parser. httptools turns it into an error of its own."""


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with headers and body in one write: half the system calls and packets.

    It counts the bytes that arrive outside of a body, before the parser keeps them: those of a head, of the trailers
    and chunk extensions of a body, and of empty lines between requests.
    """

    def __init__(self, *arguments: Any, turn: _Turn | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._turn = turn or _Turn()
        # What was received in this turn of the event loop and begins with a request.
        self._received: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        buffered = _BufferedTransport(transport, self._turn, self.loop)
        super().connection_made(cast(asyncio.Transport, buffered))
        # For `web/faults/`: ASGI has no way to close a connection. The state is copied for each request anyway.
        self.app_state = {"mock_fal.transport": self.transport}
        # The bytes since the last byte of a body, or since the end of the last head or message.
        self._head_bytes = 0
        self._is_in_body = False
        # Whether the parser waits for the first byte of a request.
        self._is_between = True
        # Whether a message has ended in the bytes that are being parsed, and whether the present one began after it.
        self._has_ended = self._is_pipelined = False
        self._refusal: tuple[int, str] | None = None
        self._is_stopped = False
        self._discarded_bytes = 0
        # What the application offers for requests that nothing has to be waited for.
        self._at_once: AtOnce | None = getattr(self.app, "at_once", None)
        # Heads of such requests, by their fields, and the latest request with its body.
        self._known: dict[bytes, _KnownHead] = {}
        self._answered: tuple[Any, bytes] | None = None
        # The default headers, and the same as they are sent.
        self._default_headers: list[tuple[bytes, bytes]] = []
        self._default_head = b""
        # The body of a request that may be answered at once; None while there is none.
        self._whole_body: bytearray | None = None
        # Since when the connection has waited for a request after such an answer, in seconds of the loop; None if not.
        self._idle_since: float | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    def eof_received(self) -> None:
        self.take_received()
        super().eof_received()

    def shutdown(self) -> None:
        self.take_received()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self.take_received()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._idle_since = None
        if self._received is not None:
            self.take_received()
            successor = self.transport.get_protocol()
            if successor is not self:  # it was the handshake of a WebSocket
                cast(asyncio.Protocol, successor).data_received(data)
                return
        is_begin = self._is_between and not (self._head_bytes or self._is_stopped)
        turn = self._turn
        if not is_begin or len(data) > _MAX_REPEATED_BYTES:
            self._parse_or_refuse(data)
        elif not turn.is_shared:
            self._one_request(data)
        else:
            self._received = data
            turn.receivers.append(self)
            if not turn.is_due:
                turn.plan(self.loop)

    def reading_bytes(self) -> int:
        """The size of a GET, which is that of others of its kind; 0 for all else, whose order decides about ids."""
        data = self._received
        return len(data) if data is not None and data.startswith(b"GET ") else 0

    def take_received(self) -> None:
        """Answer what was received in this turn of the event loop."""
        data = self._received
        if data is not None:
            self._received = None
            self._one_request(data)

    def _parse(self, data: bytes) -> None:
        self._head_bytes += len(data)
        self._has_ended = False
        super().data_received(data)

    def _parsed(self, data: bytes) -> tuple[Any, bytes] | None:
        """Parse. Returns the scope and the body of the last request that was answered at once, if any."""
        self._answered = None
        self._parse(data)
        return self._answered

    def _one_request(self, data: bytes) -> None:
        """Take what is one request in most cases. One that repeats the fields of an earlier one is not parsed."""
        head, end, body = data.partition(b"\r\n\r\n")
        line, _, fields = head.partition(b"\r\n")
        known = self._known.get(fields)
        if known is not None and known.body_bytes == len(body) and end:
            plain = _PLAIN_LINE.fullmatch(line)
            if plain is not None and self._is_idle:
                self._unset_keepalive_if_required()
                method, path = plain.groups()
                if self._answer(
                    known.scope, _METHODS[method], path.decode("ascii"), "", body, keep_alive=True
                ):
                    return
        answered = self._parsed(data)
        if answered is None or self._is_pipelined:
            return
        scope, parsed_body = answered
        # Then the first empty line is the end of the head, and no other request follows.
        if parsed_body == body and len(fields) <= _MAX_KNOWN_BYTES and _PLAIN_LINE.fullmatch(line):
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[fields] = _KnownHead(scope, len(body))

    def _parse_or_refuse(self, data: bytes) -> None:
        """Parse as much as the limit of a head allows."""
        while data and not self._is_stopped:
            size = len(data) if self._is_in_body else MAX_HEAD_BYTES - self._head_bytes
            if size <= 0:
                self._refuse(431, _LONG_HEAD)
                break
            self._parse(data[:size])
            data = data[size:]
            if self._head_bytes > MAX_HEAD_BYTES and not self._is_stopped:
                self._refuse(431, _LONG_HEAD)
        self._discarded_bytes += len(data)
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self._is_between = False
        self._is_pipelined = self._has_ended
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > MAX_TARGET_BYTES:
            self._stop_parser(414, f"the request target is longer than {MAX_TARGET_BYTES} bytes")

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_HEADERS:
            self._stop_parser(431, f"the request has more than {MAX_HEADERS} headers")
        if self._is_pipelined and _head_size(self.url, self.headers) > MAX_HEAD_BYTES:
            self._stop_parser(431, _LONG_HEAD)  # only a part of it was counted
        self._head_bytes = 0
        self._is_in_body = True
        if self._is_idle and self._at_once and not (self.expect_100_continue or self.parser.should_upgrade()):
            self._whole_body = bytearray()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self._whole_body is None:
            super().on_body(body)
            return
        self._whole_body += body
        if len(self._whole_body) > MAX_WHOLE_BYTES:
            self._start_task()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        self._is_in_body = False
        self._is_between = True
        self._has_ended = True
        if self._whole_body is not None:
            if self._answer_at_once(bytes(self._whole_body)):
                self._whole_body = None
                return
            self._start_task()
        super().on_message_complete()

    @property
    def _is_idle(self) -> bool:
        """Whether all responses were sent."""
        return self.cycle is None or self.cycle.response_complete

    def _start_task(self) -> None:
        """Give a request to the application as ASGI has it."""
        body, self._whole_body = self._whole_body, None
        super().on_headers_complete()
        if body:
            super().on_body(bytes(body))

    def _answer_at_once(self, body: bytes) -> bool:
        """Answer a request that was parsed, if nothing has to be waited for."""
        # The journal keeps it, so it is not another text for each request.
        method = intern(self.parser.get_method().decode("ascii"))
        url = parse_url(self.url)
        path, query = url.path.decode("ascii"), (url.query or b"").decode("latin-1")
        if "%" in path:
            path = unquote(path)
        keep_alive = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        scope: Any = self.scope
        if not self._answer(scope, method, path, query, body, keep_alive=keep_alive):
            return False
        self._answered = scope, body
        return True

    def _answer(
        self, scope: Any, method: str, path: str, query: str, body: bytes, *, keep_alive: bool
    ) -> bool:
        """Answer a request without a task for it, if nothing has to be waited for: it takes half of the time."""
        if self.flow.write_paused or self._at_once is None:
            return False
        response = self._at_once(scope, method, path, query, body)
        if response is None:
            return False
        status, head, response_body = response
        default_headers = self.server_state.default_headers
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            self._default_head = b"".join([b"%b: %b\r\n" % header for header in default_headers])
        end = b"\r\n\r\n" if keep_alive else b"\r\nconnection: close\r\n\r\n"
        data = STATUS_LINE[status] + self._default_head + head + end
        self.transport.write(data if method == "HEAD" else data + response_body)
        if keep_alive:
            self._idle_since = self.loop.time()
            if self._idle_timer is None:
                self._idle_timer = self.loop.call_later(KEEP_ALIVE_S, self._close_if_idle)
        else:
            self.transport.close()
        return True

    def _close_if_idle(self) -> None:
        """Close a connection that has waited too long. One timer serves many answers: starting it takes 3 µs."""
        self._idle_timer = None
        if self._idle_since is None:
            return
        rest = self._idle_since + KEEP_ALIVE_S - self.loop.time()
        if rest <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(rest, self._close_if_idle)

    def handle_websocket_upgrade(self) -> None:
        lines = [len(name) + len(value) for name, value in self.headers]
        if len(self.url) > MAX_HANDSHAKE_LINE_BYTES:
            self._refuse(414, f"the target of a handshake is longer than {MAX_HANDSHAKE_LINE_BYTES} bytes")
        elif max(lines) > MAX_HANDSHAKE_LINE_BYTES:
            self._refuse(431, f"a header of a handshake is longer than {MAX_HANDSHAKE_LINE_BYTES} bytes")
        elif len(lines) > MAX_HANDSHAKE_HEADERS:
            self._refuse(431, f"a handshake has more than {MAX_HANDSHAKE_HEADERS} headers")
        else:
            self._is_stopped = True  # the connection has another protocol now
            super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn when the parser has failed."""
        self._refuse(*(self._refusal or (400, msg)))

    def _stop_parser(self, status: int, reason: str) -> None:
        self._refusal = status, reason
        raise _Refused

    def _refuse(self, status: int, reason: str) -> None:
        """Respond with an error and close the connection, after the responses that are due."""
        self._is_stopped = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False  # a whole request: its response is the last one
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        body = f"{reason}\n".encode()
        head = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)


# A request line whose target is a path and nothing else, as in most requests.
_PLAIN_LINE: Final = re.compile(rb"(GET|POST) (/(?!/)[\w./-]*) HTTP/1\.1")
_METHODS: Final = {b"GET": "GET", b"POST": "POST"}

_LONG_HEAD: Final = f"the request head is longer than {MAX_HEAD_BYTES} bytes"


def _head_size(target: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """The size of a head, with the separators that each header has."""
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers)


def _socket_protocol(**options: Any) -> asyncio.Protocol:
    """uvicorn's WebSocket protocol."""
    return _socket_class()(**options)


@cache
def _socket_class() -> type[asyncio.Protocol]:
    # Imported with the first WebSocket: it takes about 15 ms and a megabyte.
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
    from websockets.protocol import State

    class Protocol(WebSocketsSansIOProtocol):
        in_fragments = False

        def shutdown(self) -> None:
            # uvicorn (0.54) sends a close frame, which fails if the client has begun to close.
            is_open = self.conn.state is State.OPEN or self.close_sent
            if self.handshake_complete and not is_open:
                self.stop_keepalive()
                self.queue.put_nowait({"type": "websocket.disconnect", "code": 1012})
                self.transport.close()
            else:
                super().shutdown()

        async def send(self, message: Any) -> None:
            if "more" in message:
                await self.send_fragment(message["bytes"], fin=not message["more"])
                return
            await super().send(message)
            if message["type"] == "websocket.http.response.body":
                self.handshake_complete = (
                    True  # else uvicorn (0.54) logs that the handshake was not completed
                )

        async def send_fragment(self, data: bytes, *, fin: bool) -> None:
            """Send a part of a binary message, which ASGI does not have (`web/faults/`)."""
            await self.writable.wait()
            if self.disconnected or self.close_sent:
                raise ConnectionResetError("the WebSocket is closed")
            (self.conn.send_continuation if self.in_fragments else self.conn.send_binary)(data, fin=fin)
            self.in_fragments = not fin
            self.transport.write(b"".join(self.conn.data_to_send()))

    return Protocol


# The number of connections that share a turn.
_SHARED_BY: Final = 2


class _Turn:
    """What the connections of a port do in one turn of the event loop: they answer requests, then they send.

    To receive all, answer all and send all takes some 7 % less than to do it for one connection after the other: each
    system call makes the processor forget how the interpreter branches. So does each other kind of request; those that
    read the same are answered one after the other. A connection that is alone does not wait.
    """

    def __init__(self) -> None:
        self.is_due = False
        # Whether several connections took part in the last turn.
        self.is_shared = False
        self.receivers: list[_Protocol] = []
        self.senders: list[_BufferedTransport] = []

    def plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the receivers and senders do it."""
        self.is_due = True
        loop.call_soon(self.run)

    def run(self) -> None:
        """Let the receivers answer, and the senders send."""
        receivers, self.receivers = self.receivers, []
        receivers.sort(key=_Protocol.reading_bytes)
        for connection in receivers:
            try:
                connection.take_received()
            except Exception:  # a bug of ours; the event loop does the same for each connection
                connection.logger.exception("Exception in a connection")
                connection.transport.abort()
        self.is_due = False
        senders, self.senders = self.senders, []
        self.is_shared = len(senders) >= _SHARED_BY
        for transport in senders:
            transport.flush()


class _BufferedTransport:
    """A transport that buffers small writes until the next turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, turn: _Turn, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._turn = turn
        self._loop = loop
        self._buffer = b""
        # The rest is that of the transport. Not `__getattr__`, which would make all attributes slow.
        self.abort = transport.abort
        self.can_write_eof = transport.can_write_eof
        self.get_extra_info = transport.get_extra_info
        self.get_protocol = transport.get_protocol
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol

    def write(self, data: bytes) -> None:
        if len(data) >= _LARGE_BYTES:
            buffered, self._buffer = self._buffer, b""
            # After a lost connection, writelines of Python 3.12 fails, where write ignores the data.
            if buffered and not self.is_closing():
                self._transport.writelines([buffered, data])
            else:
                self._transport.write(data)
        elif not self._buffer:
            self._buffer = data
            turn = self._turn
            turn.senders.append(self)
            if not turn.is_due:
                turn.plan(self._loop)
        else:
            self._buffer += data
            if len(self._buffer) >= _LARGE_BYTES:
                self.flush()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def flush(self) -> None:
        """Send what is buffered."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._transport.write(data)
