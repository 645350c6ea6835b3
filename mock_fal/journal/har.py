"""The journal as an HTTP Archive (HAR 1.2), which browsers' developer tools can open."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, quote

import mock_fal
from mock_fal.accounts.secrets import header_text
from mock_fal.clock import date
from mock_fal.journal.exchanges import Exchange, RawHeaders

# Characters that are not escaped in a path (RFC 3986).
_PATH: Final = "/:@!$&'()*+,;=-._~"


# A longer body is written in base64, in pieces: encoding 60 MB of text at once takes half a second.
LONG_BODY: Final = 1 << 20
_PIECE_BYTES: Final = 192 << 10  # a multiple of 3


class LongBody:
    """A body longer than LONG_BODY, in place of its text."""

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        self.body = body

    def pieces(self) -> Iterator[bytes]:
        """The body in base64."""
        for start in range(0, len(self.body), _PIECE_BYTES):
            yield b64encode(self.body[start : start + _PIECE_BYTES])


# An archive without entries.
EMPTY: Final = {
    "log": {
        "version": "1.2",
        "creator": {"name": "mock-fal", "version": mock_fal.__version__},
        "entries": [],
    }
}


def body_text(body: bytes) -> tuple[str | LongBody, str | None]:
    """A body as a string, and its encoding: None for text, else base64."""
    if len(body) > LONG_BODY:
        return LongBody(body), "base64"
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return b64encode(body).decode(), "base64"


def entry(exchange: Exchange) -> dict[str, Any]:
    """One entry of an archive: JSON with `LongBody` objects."""
    duration_ms = round(1000 * (exchange.duration_s or 0.0), 3)
    # The format reserves names that begin with an underscore for custom fields.
    return {
        "startedDateTime": date(exchange.received_at).isoformat(timespec="milliseconds"),
        "time": duration_ms,
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        "timings": {"send": 0, "wait": duration_ms, "receive": 0},
        **({"connection": str(exchange.client[1])} if exchange.client else {}),
        "_key": exchange.tenant,
        "_operation": exchange.operation,
        "_endpoint": exchange.endpoint,
        "_request_id": exchange.request_id,
        "_emulated_at": exchange.at,
    }


def _request(exchange: Exchange) -> dict[str, Any]:
    headers = exchange.request_headers
    query = f"?{exchange.query}" if exchange.query else ""
    scheme = exchange.url.partition(":")[0]
    path = quote(exchange.path, _PATH, errors="replace")
    document: dict[str, Any] = {
        "method": exchange.method,
        "url": f"{scheme}://{exchange.host}{path}{query}",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(headers),
        "queryString": [_pair(*pair) for pair in parse_qsl(exchange.query, keep_blank_values=True)],
        "headersSize": -1,
        "bodySize": len(exchange.request_body) or exchange.uploaded_bytes,
    }
    if exchange.request_body:
        body, encoding = body_text(exchange.request_body)
        document["postData"] = {"mimeType": _value(headers, b"content-type"), "text": body}
        if encoding:
            document["postData"]["_encoding"] = encoding
    return document


def _response(exchange: Exchange) -> dict[str, Any]:
    headers = exchange.response_headers
    body, encoding = body_text(exchange.response_body)
    size = response_size(exchange)
    content = {"size": size, "mimeType": _value(headers, b"content-type"), "text": body}
    if not exchange.response_body:
        del content["text"]
    return {
        "status": exchange.status,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(headers),
        "content": content | ({"encoding": encoding} if encoding else {}),
        "redirectURL": _value(headers, b"location"),
        "headersSize": -1,
        "bodySize": size,
    }


def response_size(exchange: Exchange) -> int:
    """The size of a response body, also if the body isn't stored, such as a file's."""
    content_length = _value(exchange.response_headers, b"content-length")
    return len(exchange.response_body) or (int(content_length) if content_length.isdecimal() else 0)


def _headers(headers: RawHeaders) -> list[dict[str, str]]:
    return [_pair(name.decode("latin-1"), header_text(value)) for name, value in headers]


def _pair(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _value(headers: RawHeaders, name: bytes) -> str:
    return next((header_text(value) for header, value in headers if header.lower() == name), "")
