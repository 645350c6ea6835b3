"""The journal as an HTTP Archive (HAR 1.2), which the developer tools of browsers open."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote

import mock_fal
from mock_fal.journal.exchanges import Exchange, RawHeaders

# What a path may hold as it is (RFC 3986).
_PATH: Final = "/:@!$&'()*+,;=-._~"


def har(exchanges: Iterable[Exchange], *, secrets: bool = False) -> dict[str, Any]:
    """The archive, as a document for JSON. The secret part of keys is left out unless `secrets`."""
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "mock-fal", "version": mock_fal.__version__},
            "entries": [_entry(each, secrets) for each in exchanges],
        }
    }


def text(body: bytes) -> tuple[str, str | None]:
    """A body as JSON can hold it, and its encoding: base64 for what is no text, else None."""
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return b64encode(body).decode(), "base64"


def _entry(each: Exchange, secrets: bool) -> dict[str, Any]:
    took_ms = round(1000 * (each.duration_s or 0.0), 3)
    # Fields of our own begin with an underscore, as the format wants it.
    return {
        "startedDateTime": datetime.fromtimestamp(each.received_at, UTC).isoformat(timespec="milliseconds"),
        "time": took_ms,
        "request": _request(each, secrets),
        "response": _response(each),
        "cache": {},
        "timings": {"send": 0, "wait": took_ms, "receive": 0},
        **({"connection": str(each.client[1])} if each.client else {}),
        "_key": each.tenant,
        "_operation": each.operation,
        "_endpoint": each.endpoint,
        "_request_id": each.request_id,
        "_emulated_at": each.at,
    }


def _request(each: Exchange, secrets: bool) -> dict[str, Any]:
    headers = each.request_headers if secrets else list(map(_redacted, each.request_headers))
    query = f"?{each.query}" if each.query else ""
    told: dict[str, Any] = {
        "method": each.method,
        "url": f"{each.url.partition(':')[0]}://{each.host}{quote(each.path, _PATH, errors='replace')}{query}",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(headers),
        "queryString": [_pair(*pair) for pair in parse_qsl(each.query, keep_blank_values=True)],
        "headersSize": -1,
        "bodySize": len(each.request_body) or each.uploaded_bytes,
    }
    if each.request_body:
        body, encoding = text(each.request_body)
        told["postData"] = {"mimeType": _value(headers, b"content-type"), "text": body}
        if encoding:
            told["postData"]["_encoding"] = encoding
    return told


def _response(each: Exchange) -> dict[str, Any]:
    headers = each.response_headers
    body, encoding = text(each.response_body)
    size = response_bytes(each)
    content = {"size": size, "mimeType": _value(headers, b"content-type"), "text": body}
    if not each.response_body:
        del content["text"]
    return {
        "status": each.status,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(headers),
        "content": content | ({"encoding": encoding} if encoding else {}),
        "redirectURL": _value(headers, b"location"),
        "headersSize": -1,
        "bodySize": size,
    }


def response_bytes(each: Exchange) -> int:
    """How large the body of an answer is, also of one that isn't kept, as a file's."""
    announced = _value(each.response_headers, b"content-length")
    return len(each.response_body) or (int(announced) if announced.isdecimal() else 0)


def _redacted(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = header
    if name.lower() not in (b"authorization", b"proxy-authorization"):
        return header
    scheme, _, credentials = value.partition(b" ")
    account, colon, _ = credentials.partition(b":")
    return name, scheme + b" " + (account + colon if colon else b"") + b"***"


def _headers(headers: RawHeaders) -> list[dict[str, str]]:
    return [_pair(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _pair(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _value(headers: RawHeaders, name: bytes) -> str:
    return next((value.decode("latin-1") for known, value in headers if known.lower() == name), "")
