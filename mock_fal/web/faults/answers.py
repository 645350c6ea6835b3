"""Answers in the place of the real one, and real ones that are spoiled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

from starlette.responses import StreamingResponse

from mock_fal.errors import JSON, FileMissing, InvalidKey, InvalidToken, RequestNotFound
from mock_fal.scenario.cue import Cue, phrase
from mock_fal.scenario.vocabulary import document
from mock_fal.web import wire

# fal: seen live in the two codes and the first text, many times (2025-26).
# fal: unverified, the text for a key without permission: it is the platform API's, which has another envelope.
_ACCOUNTS: Final = {
    "locked": (
        403,
        "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
    ),
    "unknown": (401, InvalidKey().detail),
    "forbidden": (403, "This API key is not permitted to perform this action."),
}

# fal: unverified, the page; the Python client knows an answer of the ingress by the word nginx (fal_client 1.0.3).
_INGRESS_TITLES: Final = {
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}

# In the place of a status, where nothing is answered.
NO_ANSWER: Final = 0


def instead(cue: Cue, request_id: str) -> wire.Reply:
    named = {wire.REQUEST_ID: request_id} if request_id else {}
    if cue.connection in ("reset", "hang"):
        return wire.Reply(NO_ANSWER, b"", [])
    if cue.ingress is not None:
        return _page(cue.ingress, _ingress_page(cue.ingress), b"text/html", {})
    if cue.account:
        code, detail = _ACCOUNTS[cue.account]
        return wire.reply(code, {"detail": detail}, named)
    if cue.result:
        return wire.error(RequestNotFound(), request_id)
    if cue.file:
        return wire.error(FileMissing(), "")
    if cue.token:
        return wire.error(InvalidToken(), "")
    status = cue.status or 200
    if cue.body is not None:
        return _page(status, cue.body, _content_type(cue.body), named)
    if status in _BODILESS:
        return _page(status, "", b"application/json", named)
    return wire.reply(status, {"detail": phrase(status) if cue.detail is None else cue.detail}, named)


# What HTTP lets no body follow.
_BODILESS: Final = (204, 205, 304)


def _page(status: int, text: str, content_type: bytes, headers: dict[str, str]) -> wire.Reply:
    body = b"" if status in _BODILESS else text.encode("utf-8", "surrogatepass")
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    if status not in _BODILESS:
        raw += [(b"content-length", b"%d" % len(body)), (b"content-type", content_type)]
    return wire.Reply(status, body, raw)


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
        document(text)
    except ValueError:
        return b"text/plain; charset=utf-8"
    return b"application/json"


def with_headers(response: Any, cue: Cue) -> Any:
    """An answer with the headers that are asked for, in the place of those of the same names."""
    wanted = dict(cue.header)
    if cue.retry_after is not None and not cue.error:
        wanted["retry-after"] = str(cue.retry_after)
    if wanted:
        fresh = {name.encode("latin-1"): value.encode("latin-1") for name, value in wanted.items()}
        kept = [pair for pair in response.raw_headers if pair[0].lower() not in fresh]
        response.raw_headers[:] = [*kept, *fresh.items()]
    return response


def rewritten(response: wire.Answering, cue: Cue) -> wire.Answering:
    """An answer whose JSON is as asked for; of a stream, that of each event."""
    if isinstance(response, StreamingResponse):
        response.body_iterator = _events(response.body_iterator, cue)
        return response
    body = _spoiled(bytes(response.body), cue)
    kept = [pair for pair in response.raw_headers if pair[0].lower() != b"content-length"]
    return wire.Reply(response.status_code, body, [(b"content-length", b"%d" % len(body)), *kept])


async def _events(parts: AsyncIterable[Any], cue: Cue) -> AsyncIterator[bytes]:
    async for part in parts:
        event = part.encode() if isinstance(part, str) else bytes(part)
        head, data, tail = event.partition(b"data: ")
        yield head + data + _spoiled(tail.rstrip(b"\n"), cue) + b"\n\n" if data else event


def _spoiled(body: bytes, cue: Cue) -> bytes:
    if cue.merge or cue.null:
        try:
            body = wire.encode(_nulled(merged(json.loads(body), cue.merge or {}), cue.null))
        except (ValueError, RecursionError):
            pass  # what is no JSON can't be patched
    match cue.json:
        case "truncated":
            return body[: len(body) // 2]
        case "malformed":
            return body.replace(b'"', b"'")
        case "empty":
            return b""
    return body


def _nulled(target: JSON, path: tuple[str | int, ...]) -> JSON:
    """A document with null at a path; as it was, where it has no such place."""
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


def merged(target: JSON, patch: JSON) -> JSON:
    """A document after a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = merged(kept.get(name), value)
    return kept
