"""Questions to the live service: HTTP/1.1 over TLS, by the proxy and with the roots of the server's environment."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

import httptools

from mock_fal.cassettes.cassette import LiveResponse
from mock_fal.gateway.connect import Peer, tunnel
from mock_fal.gateway.environment import upstream
from mock_fal.journal.exchanges import RawHeaders

_CHUNK_BYTES: Final = 64 * 1024

# How long a connection may take. How long an answer may, the one who asks decides, by hanging up.
CONNECT_S: Final = 30.0


class Forwarder:
    """Reaches hosts as any program with the environment `environ` would. It follows no redirects."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._proxy_for = upstream(environ)

    async def forward(
        self, method: str, url: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]
    ) -> LiveResponse:
        """The answer at an https address. Headers are sent as they are, but for those of the connection.

        A body that comes in pieces is as long as a content-length among the headers says, or sent in chunks.
        Raises OSError where there is no answer; so does the answer's body where it ends too soon.
        """
        parts = urlsplit(url)
        assert parts.scheme == "https" and parts.hostname
        peer = await self._reach(parts.hostname, parts.port or 443)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            await _send(peer, f"{method} {target} HTTP/1.1", parts.netloc, headers, body)
            response = _Answer(bodiless=method == "HEAD")
            await _head(peer, response)
        except BaseException:
            await peer.abort()
            raise
        return LiveResponse(response.status, response.headers, _body(peer, response))

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()  # it reads SSL_CERT_FILE and SSL_CERT_DIR

    async def _reach(self, host: str, port: int) -> Peer:
        proxy = self._proxy_for(host)
        try:
            async with asyncio.timeout(CONNECT_S):
                if proxy is None:
                    return Peer(*await asyncio.open_connection(host, port, ssl=self._tls))
                peer = await tunnel(proxy, host, port)
                try:
                    await peer.writer.start_tls(self._tls, server_hostname=host)
                except BaseException:
                    await peer.abort()
                    raise
                return peer
        except TimeoutError:
            raise ConnectionError(f"no connection within {CONNECT_S:g} seconds") from None
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ConnectionError(f"no way through the proxy: {error}") from None


async def _send(
    peer: Peer, line: str, named: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]
) -> None:
    framing, chunked = _framing(line, headers, body)
    lines = [line.encode("latin-1"), b"host: " + named.encode("latin-1"), b"connection: close", *framing]
    lines += [name + b": " + value for name, value in headers if name != b"content-length"]
    await peer.write(b"\r\n".join([*lines, b"", body if isinstance(body, bytes) else b""]))
    if isinstance(body, bytes):
        return
    with suppress(ConnectionError):  # who hangs up early may have answered
        async for piece in body:
            await peer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            await peer.write(b"0\r\n\r\n")


def _framing(line: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]) -> tuple[list[bytes], bool]:
    """How the end of a body is told, and whether that is by chunks."""
    if isinstance(body, bytes):
        told = body or not line.startswith(("GET ", "HEAD ", "DELETE ", "OPTIONS "))
        return ([b"content-length: %d" % len(body)] if told else []), False
    length = dict(headers).get(b"content-length")
    if length is None:
        return [b"transfer-encoding: chunked"], True
    return [b"content-length: " + length], False


class _Answer:
    """What the parser has found out. Interim answers (1xx) don't count."""

    def __init__(self, *, bodiless: bool) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: RawHeaders = []
        self.pieces: list[bytes] = []
        self.whole = False
        self._bodiless = bodiless

    @property
    def ends_with_the_connection(self) -> bool:
        return self.status > 0 and {b"content-length", b"transfer-encoding"}.isdisjoint(dict(self.headers))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        code = self.parser.get_status_code()
        if code < 200:
            self.headers.clear()
        else:
            self.status = code
            self.whole = self._bodiless

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        self.whole = self.status > 0


async def _head(peer: Peer, response: _Answer) -> None:
    while not response.status:
        if not await _more(peer, response):
            raise ConnectionError("the connection was closed without an answer")


async def _body(peer: Peer, response: _Answer) -> AsyncIterator[bytes]:
    try:
        while True:
            pieces, response.pieces = response.pieces, []
            for piece in pieces:
                yield piece
            if response.whole:
                return
            if not await _more(peer, response):
                if response.ends_with_the_connection:
                    return
                raise ConnectionError("the answer ended in the middle")
    finally:
        await peer.abort()


async def _more(peer: Peer, response: _Answer) -> bool:
    """Read on; whether there was anything."""
    data = await peer.reader.read(_CHUNK_BYTES)
    if not data:
        return False
    try:
        response.parser.feed_data(data)
    except httptools.HttpParserError as error:
        if not response.whole:  # what follows a whole answer decides nothing
            raise ConnectionError(f"no answer in HTTP: {error}") from None
    return True
