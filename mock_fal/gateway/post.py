"""One POST over HTTP/1.1, of which every byte is told: no redirects, no proxies, no second look-up of a name."""

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

# Of an answer we read this much, so that receivers can finish their sentence. Only its status is looked at.
ANSWER_BYTES: Final = 64 * 1024

# How long a TLS connection may take to end.
GOODBYE_S: Final = 1.0

# What may stand in a path or query as it is (RFC 3986); other characters are written in percent.
_PLAIN: Final = "/?%:@!$&'()*+,;=~-._[]"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post. `host` is a name in ASCII, or an address; `named` is the Host header."""

    secure: bool
    host: str
    port: int
    named: str
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
        written = f"[{host}]" if ":" in host else host
        secure = parts.scheme == "https"
        query = f"?{parts.query}" if parts.query else ""
        basic = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        return cls(
            secure,
            host,
            parts.port or (443 if secure else 80),
            written if parts.port is None else f"{written}:{parts.port}",
            quote((parts.path or "/") + query, safe=_PLAIN),
            f"Basic {b64encode(basic).decode()}" if parts.username else None,
        )


async def post(
    target: Target,
    addresses: Sequence[str],
    headers: Sequence[tuple[str, str]],
    body: bytes,
    context: SSLContext | None = None,
) -> int:
    """The status that is answered at the first of the addresses to which there is a way. Raises OSError.

    A secure target needs a `context`; its certificate has to be that of the name.
    """
    lines = [f"POST {target.path} HTTP/1.1", f"host: {target.named}"]
    lines += [f"authorization: {target.authorization}"] if target.authorization else []
    lines += [f"{name}: {value}" for name, value in headers]
    reader, writer = await _connected(target, addresses, context)
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        await writer.drain()
        status = await _status(reader)
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await writer.wait_closed()
    finally:
        writer.transport.abort()
    return status


async def _connected(
    target: Target, addresses: Sequence[str], context: SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = target.host if context else None
    for address in addresses[:-1]:
        with suppress(OSError):
            return await asyncio.open_connection(address, target.port, ssl=context, server_hostname=name)
    return await asyncio.open_connection(addresses[-1], target.port, ssl=context, server_hostname=name)


class _Answer:
    """What a parser has found out. Interim answers (1xx) don't count."""

    status = 0
    whole = False

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        code = self.parser.get_status_code()
        self.status = code if code >= 200 else 0

    def on_message_complete(self) -> None:
        self.whole = self.status > 0


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of an answer. What happens after that has been read decides nothing."""
    response = _Answer()
    heard = 0
    try:
        while not response.whole and heard <= ANSWER_BYTES:
            data = await reader.read(ANSWER_BYTES)
            if not data:
                break
            heard += len(data)
            response.parser.feed_data(data)
    except (OSError, httptools.HttpParserError) as error:
        if not response.status:
            raise ConnectionError(f"no answer in HTTP: {error or type(error).__name__}") from None
    if not response.status:
        raise ConnectionError("no answer: the receiver closed the connection")
    return response.status
