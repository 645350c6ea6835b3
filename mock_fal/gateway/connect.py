"""The CONNECT proxy: connections to fal's hosts go to mock-fal, all others are forwarded or blocked.

The proxy does not decrypt TLS. It connects a tunnel to an emulated host with mock-fal's TLS port, and a tunnel to
any other host with that host, and copies bytes in both directions until both sides have closed.

It listens on this machine, unless `--gateway-host` says otherwise. Other machines need the password, and reach neither
what listens on this machine only nor link-local addresses, where clouds hand out credentials.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection
from contextlib import suppress
from hmac import compare_digest
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from mock_fal.gateway.lookup import Lookups
from mock_fal.gateway.peer_owner import is_same_user
from mock_fal.hosts import EMULATED_HOSTS, belongs_to_fal

# The longest name in DNS (RFC 1035, 2.3.4). Names are kept for the summary.
MAX_HOST_CHARS: Final = 253

# The limit of Node and of uvicorn's h11 for a request head.
MAX_HEAD_BYTES: Final = 64 * 1024
# Clients that open connections in advance send nothing at first.
HEAD_TIMEOUT_S: Final = 30.0
# Shorter than the timeout of clients for a proxy, so that they receive the error message.
UPSTREAM_TIMEOUT_S: Final = 20.0
# After an error response the proxy reads on: closing with unread bytes would discard the response.
LINGER_S: Final = 2.0
CHUNK_BYTES: Final = 64 * 1024

# Hop-by-hop headers (RFC 9110, 7.6.1). Host is set from the request target.
_HOP_HEADERS: Final = {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"host"}


class Event(NamedTuple):
    """The decision about one connection: to mock-fal (`fal`), `forwarded` to the real host, or `blocked`."""

    kind: Literal["fal", "forwarded", "blocked"]
    host: str
    port: int
    reason: str = ""
    advice: str = ""


def decide(
    host: str, port: int, *, secure: bool = True, offline: bool = False, allow_host: Collection[str] = ()
) -> Event:
    """Where a connection goes. Emulated hosts are never forwarded, other hosts of fal only if they are allowed.

    >>> decide("queue.fal.run", 443).kind, decide("wma.fal.run", 443).kind, decide("pypi.org", 443).kind
    ('fal', 'blocked', 'forwarded')
    """
    name = host.lower().rstrip(".")
    if name in EMULATED_HOSTS:
        if secure and port == 443:
            return Event("fal", name, port)
        reason = f"mock-fal serves {name} over https on port 443 only"
        return Event("blocked", name, port, reason, "Use an https:// or wss:// address without a port.")
    if name in allow_host:
        return Event("forwarded", name, port)
    if belongs_to_fal(name):
        advice = f"It is a host of fal, so it is blocked; --allow-host {name} forwards requests to the live service."
        return Event("blocked", name, port, f"mock-fal does not emulate {name}", advice)
    if offline and not is_loopback(name):
        advice = f"Start without --offline, or with --allow-host {name}, to forward requests to it."
        return Event("blocked", name, port, f"mock-fal is offline and blocks {name}", advice)
    return Event("forwarded", name, port)


def is_loopback(name: str) -> bool:
    """Whether a name or address is this machine.

    Names such as `db`, `printer.local` and `metadata.google.internal`, and private and link-local addresses, may be
    other machines, which may forward to the internet or hand out credentials.
    """
    try:
        address = ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


class ConnectProxy:
    """A proxy that connects fal's hosts to `tls_address`. It listens on `listening`, or on a free port of 127.0.0.1.

    `allow_host` names hosts to forward in any case. `on_event` is called for each decision, in the loop's thread.
    `upstream` returns the URL of the proxy to use for a host, or None (see `environment.upstream`).
    `password` is required of programs of other users, with any user name: they can connect too, and would use the
    user's own proxy with the user's login. Where the user of a client is unknown, it is required of all.

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
        password: str = "",
        listening: socket.socket | None = None,
        head_timeout_s: float = HEAD_TIMEOUT_S,
    ) -> None:
        self._tls_address = tls_address
        self._offline = offline
        self._allow_host = frozenset(name.lower().rstrip(".") for name in allow_host)
        self._on_event = on_event
        self._upstream = upstream
        self._password = password
        self._listening = listening
        self.port = 0
        self._head_timeout_s = head_timeout_s
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], Peer] = {}

    async def start(self) -> None:
        """Listen. Raises OSError."""
        listening = self._listening or socket.create_server(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._accept, sock=listening, limit=MAX_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        self._lookups = Lookups()

    async def close(self) -> None:
        """Stop listening and abort every connection; no task is left afterwards."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        connections = dict(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        # A task that was cancelled before its first step has not closed its connection.
        for client in connections.values():
            await client.abort()
        # Since Python 3.12 this waits for the connections too, so it comes last.
        await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Not a coroutine, so that the task is registered at once and close() finds it."""
        if self._server is None:  # accepted by the kernel just before the port was closed
            writer.transport.abort()
            return
        client = Peer(reader, writer)
        connection = asyncio.get_running_loop().create_task(self._serve(client))
        self._connections[connection] = client
        connection.add_done_callback(self._connections.pop)

    async def _serve(self, client: Peer) -> None:
        try:
            await self._handle(client)
        except _ProxyError as error:
            await _send_error(client, error)
        except OSError:
            pass  # a peer has closed the connection, so an error response can't be sent
        finally:
            await client.abort()

    def _is_allowed(self, head: bytes, client: Peer) -> bool:
        """Whether a client sends the password, or none and is a program of this user, as far as that can be found out.

        Browsers read the address of a proxy from the environment and no password.
        """
        password = _password(head)
        if not self._password or compare_digest(password or b"", self._password.encode()):
            return True
        socket_info = client.writer.get_extra_info
        return password is None and is_same_user(socket_info("peername")[:2], socket_info("sockname")[:2])

    async def _handle(self, client: Peer) -> None:
        head = await self._head(client.reader)
        if head is None:
            return
        request = _Request.parse(head)
        if not self._is_allowed(head, client):
            raise _ProxyError(
                407,
                "mock-fal's proxy needs its password",
                "It is in HTTPS_PROXY for programs under mock-fal run, and in the output of mock-fal env.",
            )
        event = decide(
            request.host,
            request.port,
            secure=request.tunnel,
            offline=self._offline,
            allow_host=self._allow_host,
        )
        proxy = self._upstream(event.host) if event.kind == "forwarded" else None
        addresses = [event.host]
        if event.kind == "forwarded" and proxy is None and not _is_from_here(client):
            addresses = await self._found(event)
            if any(map(_is_only_here, addresses)):
                event = Event("blocked", event.host, event.port, _ONLY_HERE % event.host, _ONLY_HERE_ADVICE)
        self._on_event(event)
        if event.kind == "blocked":
            raise _ProxyError(403, event.reason, event.advice)
        server = await self._reach(event, proxy, addresses)
        try:
            await (client if request.tunnel else server).write(request.opening)
            await _splice(client, server)
        finally:
            await server.abort()

    async def _head(self, reader: asyncio.StreamReader) -> bytes | None:
        """The request's head, or None if the client closed the connection without sending anything."""
        try:
            async with asyncio.timeout(self._head_timeout_s):
                return await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            raise _ProxyError(408, f"no request within {self._head_timeout_s:g} seconds") from None
        except asyncio.LimitOverrunError:
            raise _ProxyError(431, f"the request head is longer than {MAX_HEAD_BYTES} bytes") from None
        except asyncio.IncompleteReadError as end:
            if not end.partial:
                return None
            raise _ProxyError(400, "the request head is incomplete") from None

    async def _found(self, event: Event) -> list[str]:
        """The addresses of a host."""
        try:
            async with asyncio.timeout(UPSTREAM_TIMEOUT_S):
                return await self._lookups.addresses(event.host, event.port)
        except TimeoutError:
            reason = f"no address within {UPSTREAM_TIMEOUT_S:g} seconds"
        except (OSError, UnicodeError) as error:
            reason = str(error)
        raise _ProxyError(502, f"mock-fal could not look up {event.host}", reason)

    async def _reach(self, event: Event, proxy: str | None, addresses: list[str]) -> Peer:
        """Connect to mock-fal's TLS port, to the host at one of its addresses, or through the upstream proxy."""
        try:
            async with asyncio.timeout(UPSTREAM_TIMEOUT_S):
                if proxy is not None:
                    return await tunnel(proxy, event.host, event.port)
                if event.kind == "fal":
                    return Peer(*await asyncio.open_connection(*self._tls_address))
                return Peer(*await _open_connection(addresses, event.port))
        except TimeoutError:
            reason = f"no connection within {UPSTREAM_TIMEOUT_S:g} seconds"
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            reason = str(error) or type(error).__name__
        raise _ProxyError(502, f"mock-fal could not reach {event.host}:{event.port}", reason)


_ONLY_HERE: Final = "mock-fal's proxy does not connect other machines to %s, an address of its own machine"
_ONLY_HERE_ADVICE: Final = "Connect to it without the proxy, or by an address that others reach."


def _is_from_here(client: Peer) -> bool:
    return is_loopback(str(client.writer.get_extra_info("peername")[0]))


def _is_only_here(address: str) -> bool:
    """Whether an address means another machine for each that uses it: loopback, unspecified or link-local."""
    parsed = ip_address(address.partition("%")[0])
    return is_loopback(str(parsed)) or (getattr(parsed, "ipv4_mapped", None) or parsed).is_link_local


async def _open_connection(
    addresses: list[str], port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first address that accepts it. Raises OSError or UnicodeError."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return await asyncio.open_connection(address, port)
    return await asyncio.open_connection(addresses[-1], port)


class Peer(NamedTuple):
    """One side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __post_init__(self) -> None:
        # No write buffer: write() returns when the kernel has all bytes, so abort() loses none of them,
        # and a slow reader slows its sender down at once.
        self.writer.transport.set_write_buffer_limits(high=0)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def abort(self) -> None:
        """Close at once; close() would wait for a peer that does not read."""
        self.writer.transport.abort()
        with suppress(OSError):
            # All callers share this future, so a cancelled caller must not cancel it.
            await asyncio.shield(self.writer.wait_closed())


class _Request(NamedTuple):
    """The target of a proxy request, and the first bytes to write: to the client for a tunnel, else to the server."""

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
            raise _ProxyError(400, "not an HTTP request") from None
        if not version.startswith("HTTP/1."):
            raise _ProxyError(400, "not an HTTP/1 request")
        if method == "CONNECT":
            host, port = _address(target, "//" + target, default_port=None)
            return cls(host, port, b"HTTP/1.1 200 Connection established\r\n\r\n", tunnel=True)
        if not target.lower().startswith("http://"):
            advice = "The API has another address; the proxy accepts only CONNECT and http:// targets."
            raise _ProxyError(400, "this is mock-fal's proxy, not its API", advice)
        host, port = _address(target, target, default_port=80)
        return cls(host, port, _origin_form(method, target, fields), tunnel=False)


def _address(target: str, url: str, *, default_port: int | None) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or default_port
    except ValueError:
        host, port = None, None
    if not host or not port or not host.isprintable() or len(host) > MAX_HOST_CHARS:
        raise _ProxyError(400, "no host and port in the request's target", target)
    return host, port


def _origin_form(method: str, target: str, fields: list[bytes]) -> bytes:
    """The request in origin form, with one request per connection (RFC 9112, 3.2.1)."""
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [field for field in fields if field.partition(b":")[0].strip().lower() not in _HOP_HEADERS]
    authority = parts.netloc.rpartition("@")[2]
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: " + authority.encode(), *kept]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


async def tunnel(proxy: str, host: str, port: int) -> Peer:
    """A connection to a host through another HTTP proxy.

    Raises OSError, ValueError, IncompleteReadError or LimitOverrunError.
    """
    parts = urlsplit(proxy)
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    proxy_port = parts.port or (443 if secure else 80)
    peer = Peer(*await asyncio.open_connection(parts.hostname, proxy_port, ssl=secure))
    try:
        await peer.write(_connect_head(host, port, parts.username, parts.password))
        response = await peer.reader.readuntil(b"\r\n\r\n")
        status = response.partition(b"\r\n")[0].decode("latin-1")
        if status.split(" ")[1:2] != ["200"]:
            raise OSError(f"the proxy {parts.hostname}:{proxy_port} responded {status}")
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
    """Copy bytes in both directions until both sides have closed; an end of file is passed on."""
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_pump(client, server))
            directions.create_task(_pump(server, client))
    except* OSError:
        pass  # one side has closed the connection; the caller closes the other


async def _pump(source: Peer, sink: Peer) -> None:
    while chunk := await source.reader.read(CHUNK_BYTES):
        await sink.write(chunk)
    if sink.writer.can_write_eof():  # TLS, to an https proxy, has no half-close
        sink.writer.write_eof()


def _password(head: bytes) -> bytes | None:
    """The password in Proxy-Authorization, empty if it can't be read; None without the header."""
    for field in head.split(b"\r\n")[1:]:
        name, _, value = field.partition(b":")
        if name.strip().lower() == b"proxy-authorization":
            scheme, _, credentials = value.strip().partition(b" ")
            with suppress(ValueError):
                if scheme.lower() == b"basic":
                    return b64decode(credentials.strip(), validate=True).partition(b":")[2]
            return b""
    return None


class _ProxyError(Exception):
    """The proxy sends an error response and closes the connection."""

    def __init__(self, status: int, reason: str, advice: str = "") -> None:
        self.status = status
        self.reason = reason
        self.advice = advice


async def _send_error(client: Peer, error: _ProxyError) -> None:
    # Many clients show the reason phrase of a proxy's response and hide its body, so the phrase has the reason.
    body = f"{error.reason}\n{error.advice}\n".encode()
    challenge = 'Proxy-Authenticate: Basic realm="mock-fal"\r\n' if error.status == 407 else ""
    head = (
        f"HTTP/1.1 {error.status} {error.reason}\r\n{challenge}Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(LINGER_S):
            await client.write(head.encode("ascii", "replace") + body)
            client.writer.write_eof()
            while await client.reader.read(CHUNK_BYTES):
                pass
