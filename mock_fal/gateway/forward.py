"""Requests to the live service: HTTP/1.1 over TLS, with the proxy and the roots of the server's environment."""

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

# The timeout of a connection. For the response, the client decides: it closes its connection.
CONNECT_TIMEOUT_S: Final = 30.0


class Forwarder:
    """Sends requests as a program with the environment `environ` would. Redirects are not followed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._proxy_for = upstream(environ)

    async def forward(
        self, method: str, url: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]
    ) -> LiveResponse:
        """Send a request to an https URL and return the response. `headers` has no headers of the connection.

        A streamed body is sent with the content-length of `headers`, or else in chunks.
        Raises OSError if there is no response. Reading the response body raises OSError if it is incomplete.
        """
        parts = urlsplit(url)
        assert parts.scheme == "https" and parts.hostname
        peer = await self._reach(parts.hostname, parts.port or 443)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            await _send(peer, f"{method} {target} HTTP/1.1", parts.netloc, headers, body)
            response = _Response(bodiless=method == "HEAD")
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
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
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
            raise ConnectionError(f"no connection within {CONNECT_TIMEOUT_S:g} seconds") from None
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ConnectionError(f"can't connect through the proxy: {error}") from None


async def _send(
    peer: Peer, line: str, authority: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]
) -> None:
    framing, chunked = _framing(line, headers, body)
    lines = [line.encode("latin-1"), b"host: " + authority.encode("latin-1"), b"connection: close", *framing]
    lines += [name + b": " + value for name, value in headers if name != b"content-length"]
    await peer.write(b"\r\n".join([*lines, b"", body if isinstance(body, bytes) else b""]))
    if isinstance(body, bytes):
        return
    with suppress(ConnectionError):  # a server that closes early may have sent a response
        async for piece in body:
            await peer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            await peer.write(b"0\r\n\r\n")


def _framing(line: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]) -> tuple[list[bytes], bool]:
    """The headers that frame the body, and whether it is sent in chunks."""
    if isinstance(body, bytes):
        has_length = body or not line.startswith(("GET ", "HEAD ", "DELETE ", "OPTIONS "))
        return ([b"content-length: %d" % len(body)] if has_length else []), False
    length = dict(headers).get(b"content-length")
    if length is None:
        return [b"transfer-encoding: chunked"], True
    return [b"content-length: " + length], False


class _Response:
    """The state of the response parser. Interim responses (1xx) are skipped."""

    def __init__(self, *, bodiless: bool) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: RawHeaders = []
        self.pieces: list[bytes] = []
        self.complete = False
        self._bodiless = bodiless

    @property
    def ends_at_close(self) -> bool:
        return self.status > 0 and {b"content-length", b"transfer-encoding"}.isdisjoint(dict(self.headers))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        code = self.parser.get_status_code()
        if code < 200:
            self.headers.clear()
        else:
            self.status = code
            self.complete = self._bodiless

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        self.complete = self.status > 0


async def _head(peer: Peer, response: _Response) -> None:
    while not response.status:
        if not await _read_more(peer, response):
            raise ConnectionError("the connection was closed without a response")


async def _body(peer: Peer, response: _Response) -> AsyncIterator[bytes]:
    try:
        while True:
            pieces, response.pieces = response.pieces, []
            for piece in pieces:
                yield piece
            if response.complete:
                return
            if not await _read_more(peer, response):
                if response.ends_at_close:
                    return
                raise ConnectionError("the response is incomplete")
    finally:
        await peer.abort()


async def _read_more(peer: Peer, response: _Response) -> bool:
    """Read the next bytes; False at the end of the connection."""
    data = await peer.reader.read(_CHUNK_BYTES)
    if not data:
        return False
    try:
        response.parser.feed_data(data)
    except httptools.HttpParserError as error:
        if not response.complete:  # bytes after a complete response are ignored
            raise ConnectionError(f"not an HTTP response: {error}") from None
    return True
