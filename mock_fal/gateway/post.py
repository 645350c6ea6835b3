"""One POST request over HTTP/1.1 to given addresses: no redirects, no proxies, no second DNS lookup."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit

import httptools

# How much of a response is read, so that the receiver can finish sending. Only its status is used.
RESPONSE_BYTES: Final = 64 * 1024

# The timeout of the TLS shutdown.
SHUTDOWN_TIMEOUT_S: Final = 1.0

# Characters of a path or query that are not percent-encoded (RFC 3986).
_SAFE: Final = "/?%:@!$&'()*+,;=~-._[]"


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL. `host` is a name in ASCII or an IP address, `host_header` the Host header."""

    secure: bool
    host: str
    port: int
    host_header: str
    path: str
    authorization: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """The target of a URL. Raises ValueError.

        >>> Target.parse("http://localhost:3000/hook?a=ä").path
        '/hook?a=%C3%A4'
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http:// or https:// and a host")
        host = parts.hostname if ":" in parts.hostname else parts.hostname.encode("idna").decode("ascii")
        name = f"[{host}]" if ":" in host else host
        secure = parts.scheme == "https"
        query = f"?{parts.query}" if parts.query else ""
        basic = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        return cls(
            secure,
            host,
            parts.port or (443 if secure else 80),
            name if parts.port is None else f"{name}:{parts.port}",
            quote((parts.path or "/") + query, safe=_SAFE),
            f"Basic {b64encode(basic).decode()}" if parts.username else None,
        )


async def post(
    target: Target,
    addresses: Sequence[str],
    headers: Sequence[tuple[str, str]],
    body: bytes,
    context: SSLContext | None = None,
) -> int:
    """The status of the response from the first address that accepts a connection. Raises OSError.

    A secure target needs a `context`; the certificate is checked against the target's host name.
    """
    lines = [f"POST {target.path} HTTP/1.1", f"host: {target.host_header}"]
    lines += [f"authorization: {target.authorization}"] if target.authorization else []
    lines += [f"{name}: {value}" for name, value in headers]
    reader, writer = await _connect(target, addresses, context)
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        await writer.drain()
        status = await _status(reader)
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                await writer.wait_closed()
    finally:
        writer.transport.abort()
    return status


async def _connect(
    target: Target, addresses: Sequence[str], context: SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = target.host if context else None
    for address in addresses[:-1]:
        with suppress(OSError):
            return await asyncio.open_connection(address, target.port, ssl=context, server_hostname=name)
    return await asyncio.open_connection(addresses[-1], target.port, ssl=context, server_hostname=name)


class _Response:
    """The state of the response parser. Interim responses (1xx) are skipped."""

    status = 0
    complete = False

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        code = self.parser.get_status_code()
        self.status = code if code >= 200 else 0

    def on_message_complete(self) -> None:
        self.complete = self.status > 0


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of a response. Errors after the status has been read are ignored."""
    response = _Response()
    received = 0
    try:
        while not response.complete and received <= RESPONSE_BYTES:
            data = await reader.read(RESPONSE_BYTES)
            if not data:
                break
            received += len(data)
            response.parser.feed_data(data)
    except (OSError, httptools.HttpParserError) as error:
        if not response.status:
            raise ConnectionError(f"not an HTTP response: {error or type(error).__name__}") from None
    if not response.status:
        raise ConnectionError("no response: the receiver closed the connection")
    return response.status
