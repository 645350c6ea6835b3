"""The CONNECT proxy: fal's host names come to us, all others pass untouched or are refused.

It never looks into TLS. A tunnel to an emulated host is joined to our own TLS port, a tunnel to any other host
to that host, and bytes go to and fro until both sides are done.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import unquote, urlsplit

from mock_fal.hosts import EMULATED_HOSTS, belongs_to_fal, is_local_address

# As much as Node and uvicorn's h11 accept at most for a request's head.
MAX_HEAD_BYTES: Final = 64 * 1024
# Clients that connect ahead of need send nothing at first; they are few, so they may stay for a while.
HEAD_WAIT_S: Final = 30.0
# Shorter than the time that clients give a proxy to answer, so that our reason arrives before their timeout.
UPSTREAM_WAIT_S: Final = 20.0
# After a refusal we read what the client still sends: closing on unread bytes would cost it our answer.
LINGER_S: Final = 2.0
CHUNK_BYTES: Final = 64 * 1024

LOCAL_DOMAINS: Final = (".localhost", ".local", ".internal")

# These concern one connection and not the next (RFC 9110, 7.6.1); Host is written anew from the target.
_HOP_HEADERS: Final = {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"host"}


@dataclass(frozen=True)
class Event:
    """What was decided for one connection: `fal` is answered by us, `passed` by the real host."""

    kind: Literal["fal", "passed", "refused"]
    host: str
    port: int
    reason: str = ""
    advice: str = ""


def decide(
    host: str, port: int, *, secure: bool = True, offline: bool = False, allow_host: Collection[str] = ()
) -> Event:
    """Where a connection goes. An emulated host never passes; another of fal's does only if it is allowed.

    >>> decide("queue.fal.run", 443).kind, decide("wma.fal.run", 443).kind, decide("pypi.org", 443).kind
    ('fal', 'refused', 'passed')
    """
    name = host.lower().rstrip(".")
    if name in EMULATED_HOSTS:
        if secure and port == 443:
            return Event("fal", name, port)
        reason = f"mock-fal answers {name} by https on port 443 only"
        return Event("refused", name, port, reason, "Use an https:// or wss:// address without a port.")
    if name in allow_host:
        return Event("passed", name, port)
    if belongs_to_fal(name):
        advice = f"It is one of fal's, so it does not pass either; --allow-host {name} lets it reach the live service."
        return Event("refused", name, port, f"mock-fal does not emulate {name}", advice)
    if offline and not is_local(name):
        advice = f"Start without --offline, or with --allow-host {name}, to let it through."
        return Event("refused", name, port, f"mock-fal is offline and refuses {name}", advice)
    return Event("passed", name, port)


def is_local(name: str) -> bool:
    """Whether a name or address can't be on the public internet."""
    try:
        return is_local_address(name)
    except ValueError:
        # Names without a dot are the neighbours of a container. One that starts with a digit may be an address.
        return name[:1].isalpha() and "." not in name or name.endswith(LOCAL_DOMAINS)


class ConnectProxy:
    """A proxy on `host`:`port` (0: any free one; `.port` tells) that brings fal's hosts to `tls_address`.

    `allow` names hosts that pass all the same, `on_event` is called once for each decision, in the loop's thread.
    `upstream` names the proxy by which a host is reached from here, if it takes one (`environment.upstream`).

        async with ConnectProxy(("127.0.0.1", tls_port)) as proxy:
            environ["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.port}"
    """

    def __init__(
        self,
        tls_address: tuple[str, int],
        *,
        offline: bool = False,
        allow_host: Collection[str] = frozenset(),
        on_event: Callable[[Event], None] = lambda event: None,
        upstream: Callable[[str], str | None] = lambda host: None,
        host: str = "127.0.0.1",
        port: int = 0,
        head_wait_s: float = HEAD_WAIT_S,
    ) -> None:
        self._tls_address = tls_address
        self._offline = offline
        self._allow = frozenset(name.lower().rstrip(".") for name in allow_host)
        self._on_event = on_event
        self._upstream = upstream
        self._host = host
        self.port = port
        self._head_wait_s = head_wait_s
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], Peer] = {}

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, self._host, self.port, limit=MAX_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and cut every connection; nothing of ours runs afterwards."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        connections = dict(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for client in connections.values():  # a task that was cancelled before its first step closes nothing
            await client.abort()
        # From Python 3.12 on this waits for the connections too, so it comes last.
        await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Not a coroutine, so that we hold the task from its first moment and close() finds it."""
        if self._server is None:  # accepted by the kernel just before the port was closed
            writer.transport.abort()
            return
        client = Peer(reader, writer)
        connection = asyncio.get_running_loop().create_task(self._serve(client))
        self._connections[connection] = client
        connection.add_done_callback(self._connections.pop)

    async def _serve(self, client: Peer) -> None:
        try:
            await self._converse(client)
        except _Refused as refusal:
            await _response(client, refusal)
        except OSError:
            pass  # a peer hung up, and there is nobody left to tell
        finally:
            await client.abort()

    async def _converse(self, client: Peer) -> None:
        head = await self._head(client.reader)
        if head is None:
            return
        request = _Request.parse(head)
        event = decide(
            request.host, request.port, secure=request.tunnel, offline=self._offline, allow_host=self._allow
        )
        self._on_event(event)
        if event.kind == "refused":
            raise _Refused(403, event.reason, event.advice)
        server = await self._reach(event)
        try:
            await (client if request.tunnel else server).write(request.opening)
            await _splice(client, server)
        finally:
            await server.abort()

    async def _head(self, reader: asyncio.StreamReader) -> bytes | None:
        """The request's head, or None from a client that left without a word."""
        try:
            async with asyncio.timeout(self._head_wait_s):
                return await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            raise _Refused(408, f"no request within {self._head_wait_s:g} seconds") from None
        except asyncio.LimitOverrunError:
            raise _Refused(431, f"the request's head is longer than {MAX_HEAD_BYTES} bytes") from None
        except asyncio.IncompleteReadError as end:
            if not end.partial:
                return None
            raise _Refused(400, "the request's head ends in the middle") from None

    async def _reach(self, event: Event) -> Peer:
        """A connection to the one who answers: our TLS port, the host, or the host by way of another proxy."""
        proxy = self._upstream(event.host) if event.kind == "passed" else None
        try:
            async with asyncio.timeout(UPSTREAM_WAIT_S):
                if proxy is not None:
                    return await tunnel(proxy, event.host, event.port)
                address = self._tls_address if event.kind == "fal" else (event.host, event.port)
                return Peer(*await asyncio.open_connection(*address))
        except TimeoutError:
            why = f"no answer within {UPSTREAM_WAIT_S:g} seconds"
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            why = str(error) or type(error).__name__
        raise _Refused(502, f"mock-fal could not reach {event.host}:{event.port}", why)


@dataclass(frozen=True)
class Peer:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __post_init__(self) -> None:
        # Nothing stays with us: write() returns when the kernel has all of it, so abort() loses no byte,
        # and a slow reader slows its sender down at once.
        self.writer.transport.set_write_buffer_limits(high=0)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def abort(self) -> None:
        """Hang up at once; close() would wait for a peer that does not read."""
        self.writer.transport.abort()
        with suppress(OSError):
            # The wait is shared by all who wait: whoever is cancelled here must not cancel it for the others.
            await asyncio.shield(self.writer.wait_closed())


@dataclass(frozen=True)
class _Request:
    """Whom a client wants, and the bytes that open the conversation: to the client if it asked for a tunnel."""

    host: str
    port: int
    opening: bytes
    tunnel: bool

    @classmethod
    def parse(cls, head: bytes) -> Self:
        line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        try:
            method, target, version = line.decode("ascii").split(" ")
        except ValueError:
            raise _Refused(400, "not an HTTP request") from None
        if not version.startswith("HTTP/1."):
            raise _Refused(400, "not an HTTP/1 request")
        if method == "CONNECT":
            host, port = _address(target, "//" + target, default_port=None)
            return cls(host, port, b"HTTP/1.1 200 Connection established\r\n\r\n", tunnel=True)
        if not target.lower().startswith("http://"):
            advice = (
                "The API has an address of its own; here only CONNECT and http:// targets are understood."
            )
            raise _Refused(400, "this is mock-fal's proxy, not its API", advice)
        host, port = _address(target, target, default_port=80)
        return cls(host, port, _origin_form(method, target, fields), tunnel=False)


def _address(target: str, url: str, *, default_port: int | None) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or default_port
    except ValueError:
        host, port = None, None
    if not host or not port or not host.isprintable():
        raise _Refused(400, "no host and port in the request's target", target)
    return host, port


def _origin_form(method: str, target: str, fields: list[bytes]) -> bytes:
    """The request as the host itself expects it; one to a connection, so that its end is the end of both."""
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [field for field in fields if field.partition(b":")[0].strip().lower() not in _HOP_HEADERS]
    authority = parts.netloc.rpartition("@")[2]
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: " + authority.encode(), *kept]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


async def tunnel(proxy: str, host: str, port: int) -> Peer:
    """A connection to a host through a proxy like ourselves. Raises OSError and what reading raises."""
    parts = urlsplit(proxy)
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    its_port = parts.port or (443 if secure else 80)
    peer = Peer(*await asyncio.open_connection(parts.hostname, its_port, ssl=secure))
    try:
        await peer.write(_connect_head(host, port, parts.username, parts.password))
        response = await peer.reader.readuntil(b"\r\n\r\n")
        status = response.partition(b"\r\n")[0].decode("latin-1")
        if status.split(" ")[1:2] != ["200"]:
            raise OSError(f"the proxy {parts.hostname}:{its_port} answered {status}")
    except BaseException:
        await peer.abort()
        raise
    return peer


def _connect_head(host: str, port: int, user: str | None, password: str | None) -> bytes:
    host = f"[{host}]" if ":" in host else host
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
    if user is not None:
        token = b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {token}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _splice(client: Peer, server: Peer) -> None:
    """Carry bytes both ways until both sides have ended; one side's end is told to the other."""
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_pump(client, server))
            directions.create_task(_pump(server, client))
    except* OSError:
        pass  # one side hung up; the other learns it when we do


async def _pump(source: Peer, sink: Peer) -> None:
    while chunk := await source.reader.read(CHUNK_BYTES):
        await sink.write(chunk)
    if sink.writer.can_write_eof():  # TLS, to a proxy reached by https, has no such thing
        sink.writer.write_eof()


class _Refused(Exception):
    """The connection is answered by the proxy itself, and closed."""

    def __init__(self, status: int, reason: str, advice: str = "") -> None:
        self.status = status
        self.reason = reason
        self.advice = advice


async def _response(client: Peer, refusal: _Refused) -> None:
    # Many clients show the reason phrase of a proxy's answer and hide its body, so the phrase says what matters.
    body = f"{refusal.reason}\n{refusal.advice}\n".encode()
    head = (
        f"HTTP/1.1 {refusal.status} {refusal.reason}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(LINGER_S):
            await client.write(head.encode("ascii", "replace") + body)
            client.writer.write_eof()
            while await client.reader.read(CHUNK_BYTES):
                pass
