"""Responses that replace fal's, and fal's responses with changed headers or JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

from starlette.responses import StreamingResponse

from mock_fal.errors import JSON, FileMissing, InvalidKey, InvalidToken, RequestNotFound
from mock_fal.journal.exchanges import pack_headers
from mock_fal.scenario.directive import Directive, reason_phrase
from mock_fal.scenario.options import LOCK_REASONS, parse_json
from mock_fal.web import wire

# fal: the two status codes and the first text were seen live many times (2025-26).
# assumption: the text for a key without permission; it is the platform API's, which has another envelope.
_ACCOUNTS: Final = {
    "locked": (
        403,
        "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
    ),
    "unknown": (401, InvalidKey().detail),
    "forbidden": (403, "This API key is not permitted to perform this action."),
}

# assumption: the page; the Python client recognizes a response of the ingress by the word nginx (fal_client 1.0.3).
_INGRESS_TITLES: Final = {
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}

# The status in the journal if no response is sent.
NO_RESPONSE: Final = 0


def replacement_response(directive: Directive, request_id: str) -> wire.Reply:
    """The response of a directive that replaces fal's response."""
    headers = {wire.REQUEST_ID: request_id} if request_id else {}
    if directive.connection in ("reset", "hang"):
        return wire.Reply(NO_RESPONSE, b"", b"")
    if directive.ingress is not None:
        return _page(directive.ingress, _ingress_page(directive.ingress), b"text/html", {})
    if directive.account:
        code, detail = _ACCOUNTS[directive.account]
        if directive.reason:
            detail = f"User is locked. Reason: {LOCK_REASONS[directive.reason]}"
        return wire.reply(code, {"detail": detail}, headers)
    if directive.result:
        return wire.error(RequestNotFound(), request_id)
    if directive.file:
        return wire.error(FileMissing(), "")
    if directive.token:
        return wire.error(InvalidToken(), "")
    status = directive.status or 200
    if directive.body is not None:
        return _page(status, directive.body, _content_type(directive.body), headers)
    if status in _BODILESS:
        return _page(status, "", b"application/json", headers)
    return wire.reply(
        status, {"detail": reason_phrase(status) if directive.detail is None else directive.detail}, headers
    )


# Statuses without a body (RFC 9110, 6.4.1).
_BODILESS: Final = (204, 205, 304)


def _page(status: int, text: str, content_type: bytes, headers: dict[str, str]) -> wire.Reply:
    body = b"" if status in _BODILESS else text.encode("utf-8", "surrogatepass")
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    if status not in _BODILESS:
        raw += [(b"content-length", b"%d" % len(body)), (b"content-type", content_type)]
    return wire.Reply(status, body, pack_headers(raw))


def _ingress_page(status: int) -> str:
    title = _INGRESS_TITLES[status]
    lines = [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        "<hr><center>nginx</center>",
        "</body>",
        "</html>",
        "",
    ]
    return "\r\n".join(lines)


def _content_type(text: str) -> bytes:
    if text.lstrip().startswith("<"):
        return b"text/html; charset=utf-8"
    try:
        parse_json(text)
    except ValueError:
        return b"text/plain; charset=utf-8"
    return b"application/json"


def with_headers(response: Any, directive: Directive) -> Any:
    """A response with the headers of the directive, which replace those of the same names."""
    headers = dict(directive.header)
    if directive.retry_after is not None and not directive.error:
        headers["retry-after"] = str(directive.retry_after)
    if headers:
        added = {name.encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}
        kept = [pair for pair in response.raw_headers if pair[0].lower() not in added]
        response.raw_headers = [*kept, *added.items()]
    return response


def with_modified_json(response: wire.AnyResponse, directive: Directive) -> wire.AnyResponse:
    """A response with the JSON changes of the directive; in a stream, those of each event."""
    if isinstance(response, StreamingResponse):
        response.body_iterator = _events(response.body_iterator, directive)
        return response
    body = _modified(bytes(response.body), directive)
    kept = [pair for pair in response.raw_headers if pair[0].lower() != b"content-length"]
    head = pack_headers([(b"content-length", b"%d" % len(body)), *kept])
    return wire.Reply(response.status_code, body, head)


async def _events(parts: AsyncIterable[Any], directive: Directive) -> AsyncIterator[bytes]:
    async for part in parts:
        event = part.encode() if isinstance(part, str) else bytes(part)
        head, data, tail = event.partition(b"data: ")
        yield head + data + _modified(tail.rstrip(b"\n"), directive) + b"\n\n" if data else event


def _modified(body: bytes, directive: Directive) -> bytes:
    if directive.merge or directive.set_null:
        try:
            body = wire.encode(modified(json.loads(body), directive))
        except (ValueError, RecursionError):
            pass  # a body that is not JSON can't be patched
    match directive.json:
        case "truncated":
            return body[: len(body) // 2]
        case "malformed":
            return body.replace(b'"', b"'")
        case "empty":
            return b""
    return body


def modified(document: JSON, directive: Directive) -> JSON:
    """A document with the changes of `merge=` and `set_null=`."""
    return _set_null(merge_patch(document, directive.merge or {}), directive.set_null)


def _set_null(target: JSON, path: tuple[str | int, ...]) -> JSON:
    """A document with null at a path; unchanged if the path does not exist."""
    if not path:
        return target
    inner: Any = target
    for name in path[:-1]:
        if not _has(inner, name):
            return target
        inner = inner[name]
    if isinstance(inner, dict) or _has(inner, path[-1]):
        inner[path[-1]] = None
    return target


def _has(value: JSON, name: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(name, int) and name < len(value)
    return isinstance(value, dict) and name in value


def merge_patch(target: JSON, patch: JSON) -> JSON:
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = merge_patch(kept.get(name), value)
    return kept
