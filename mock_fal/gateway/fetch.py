"""Download the files of other hosts that an input names; only with --allow-egress."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

import httptools

import mock_fal
from mock_fal.files.inputs import MAX_BYTES
from mock_fal.gateway.connect import Peer, tunnel
from mock_fal.gateway.environment import upstream
from mock_fal.gateway.lookup import Lookups
from mock_fal.gateway.post import Target

# How long one file may take, from the look-up of its host to its last byte, redirects included.
DEADLINE_S: Final = 30.0

# The files that are downloaded at the same time: each takes up to 50 MiB of memory.
AT_ONCE: Final = 8

MAX_REDIRECTS: Final = 10

# The bytes of a response beside its body: heads and chunk sizes.
_MAX_OVERHEAD: Final = 1 << 20
_READ_BYTES: Final = 64 << 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Fetcher:
    """Downloads files in the event loop, without threads, as a program with the environment `environ` would."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        http_proxy = next((environ[name] for name in ("http_proxy", "HTTP_PROXY") if environ.get(name)), "")
        self._proxy_for = {
            "https": upstream(environ),
            "http": upstream({**environ, "https_proxy": http_proxy} if http_proxy else {}),
        }
        self._lookups = Lookups()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tls: ssl.SSLContext | None = None
        self._tasks: set[asyncio.Task[bytes]] = set()

    async def fetch(self, url: str) -> bytes | None:
        """The content of an http or https URL, at most one byte over the limit; None if it can't be read in time."""
        task = asyncio.ensure_future(self._follow(url))
        self._tasks.add(task)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.wait([task])
            return None if task.cancelled() else task.result()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None  # also TimeoutError, which is an OSError
        finally:
            task.cancel()
            self._tasks.discard(task)

    def close(self) -> None:
        """End all downloads."""
        for task in self._tasks:
            task.cancel()

    async def _follow(self, url: str) -> bytes:
        async with self._slots:
            for _ in range(MAX_REDIRECTS + 1):
                response = await self._get(url)
                if response.status not in _REDIRECTS or not response.location:
                    break
                url = urljoin(url, response.location)
        if response.status != 200:
            raise ValueError(f"{url} responded with {response.status}")
        return response.body.getvalue()

    async def _get(self, url: str) -> _Response:
        target = Target.parse(url)
        proxy = self._proxy_for["https" if target.secure else "http"](target.host)
        peer, request_target, headers = await self._reach(target, proxy)
        if target.authorization:
            headers.append(f"authorization: {target.authorization}")
        agent = f"user-agent: mock-fal/{mock_fal.__version__}"
        lines = [f"GET {request_target} HTTP/1.1", f"host: {target.host_header}", agent, "connection: close"]
        response = _Response()
        try:
            await peer.write("\r\n".join([*lines, *headers, "", ""]).encode("ascii"))
            await response.read(peer)
        finally:
            await peer.abort()
        return response

    async def _reach(self, target: Target, proxy: str | None) -> tuple[Peer, str, list[str]]:
        """A connection to a target or to its proxy, the target of the request line, and headers for the proxy."""
        if proxy is None:
            return await self._connect(target), target.path, []
        if target.secure:
            peer = await tunnel(proxy, target.host, target.port)
            try:
                await peer.writer.start_tls(await self._context(), server_hostname=target.host)
            except BaseException:
                await peer.abort()
                raise
            return peer, target.path, []
        parts = urlsplit(proxy)
        headers = []
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            headers.append(f"proxy-authorization: Basic {b64encode(user).decode()}")
        peer = await self._connect(Target.parse(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"))
        return peer, f"http://{target.host_header}{target.path}", headers

    async def _connect(self, target: Target) -> Peer:
        *others, last = await self._lookups.addresses(target.host, target.port)
        context = await self._context() if target.secure else None
        name = target.host if context else None
        for address in others:
            with suppress(OSError):
                return Peer(
                    *await asyncio.open_connection(address, target.port, ssl=context, server_hostname=name)
                )
        return Peer(*await asyncio.open_connection(last, target.port, ssl=context, server_hostname=name))

    async def _context(self) -> ssl.SSLContext:
        # In a thread: reading the roots takes longer than a hundred responses.
        if self._tls is None:
            self._tls = await self._lookups.in_thread(ssl.create_default_context)
        return self._tls


class _Response:
    """A response, read up to its end or to one byte over the limit of a file. Interim responses (1xx) are skipped."""

    def __init__(self) -> None:
        self.status = 0
        self.location = ""
        self.body = BytesIO()
        self._parser = httptools.HttpResponseParser(self)
        self._framed = False
        self._complete = False

    async def read(self, peer: Peer) -> None:
        """Read the response. Raises OSError if it is incomplete, or ValueError if it is not HTTP."""
        received = 0
        while not self._complete and self.body.tell() <= MAX_BYTES:
            data = await peer.reader.read(_READ_BYTES)
            if not data:
                if self.status and not self._framed:
                    return
                raise ConnectionError("the response is incomplete")
            received += len(data)
            if received > self.body.tell() + _MAX_OVERHEAD:
                raise ValueError("more than a megabyte of headers")
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError as error:
                if not self._complete:
                    raise ValueError(f"not an HTTP response: {error}") from None

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True
        elif name.lower() == b"location":
            self.location = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        code = self._parser.get_status_code()
        if code >= 200:
            self.status = code
        else:
            self._framed, self.location = False, ""

    def on_body(self, data: bytes) -> None:
        self.body.write(data[: MAX_BYTES + 1 - self.body.tell()])

    def on_message_complete(self) -> None:
        self._complete = self.status > 0
