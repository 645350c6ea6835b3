"""Faults: what a test asks for the answers on the wire. Loaded when it asks for the first."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from mock_fal.clock import Clock
from mock_fal.emulator import Emulator
from mock_fal.errors import JSON, FalError, FileMissing, InvalidKey, InvalidToken, RequestNotFound
from mock_fal.hosts import MEDIA_HOSTS, QUEUE_HOSTS, REST_HOSTS, RUN_HOSTS
from mock_fal.line import Entry
from mock_fal.scenario.cue import Asked, Cue, phrase
from mock_fal.scenario.vocabulary import document
from mock_fal.web import wire
from mock_fal.web.question import Question
from mock_fal.web.queue import place
from mock_fal.web.run import STRICT_TRANSPORT

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

# Of a body that drips, how many pieces go out in a second.
_PIECES_PER_S: Final = 8

# Turns of the event loop after which a head that was written is on its way.
_TURNS: Final = 4

# A connection that is closed so ends with a reset.
_NO_LINGER: Final = struct.pack("ii", 1, 0)

# What stands behind a request's id, and the step that it is; a stream of the status is one long look.
_STEPS: Final = {"": "result", "status": "status", "status/stream": "status", "cancel": "cancel"}

# Where the server keeps the connection for us, in the state that ASGI gives an application.
TRANSPORT: Final = "mock_fal.transport"

# In the place of a status, where nothing is answered.
NO_ANSWER: Final = 0


class _Place(NamedTuple):
    """Where a question stands: the step, whose it is, and what it is about."""

    step: str
    key: str = ""
    endpoint: str = ""
    entry: Entry | None = None


class Faults:
    """Stands between the hosts and the wire, where a test asked for it."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def before(self, question: Question) -> Cue | None:
        """What is asked for the answer to a question, that to a POST aside. Raises Asked for another answer."""
        where = self._place(question)
        if where is None:
            return None
        entry = where.entry
        choice = self._emulator.direction.later(where.step, key=where.key, endpoint=where.endpoint, entry=entry)
        cue = choice.answer
        if cue is not None and cue.result and not (entry and self._emulator.is_done(entry)):
            return None  # what is not over can't have expired
        if cue is not None and cue.token and question.bearer is None:
            return None
        choice.count()
        if cue is not None and cue.replaces:
            raise Asked(cue)
        return cue

    def instead(self, cue: Cue, question: Question) -> wire.Reply:
        """The answer in the place of the real one."""
        media = question.host in MEDIA_HOSTS
        request_id = "" if media or question.host in REST_HOSTS else self._request_id(question)
        answer: wire.Reply = _with_headers(_instead(cue, request_id), cue)
        if media:
            answer.raw_headers.append((b"access-control-allow-origin", b"*"))
        if question.host in RUN_HOSTS:
            answer.raw_headers.append(STRICT_TRANSPORT)
        return answer

    def changed(
        self, cue: Cue | None, question: Question, response: wire.Answering, entry: Entry | None
    ) -> tuple[wire.Answering, Cue | None]:
        """An answer as it is asked for, and the cue that asks."""
        if cue is None and entry is not None and entry.cued is not None and question.method == "POST":
            cue = entry.cued.choice.answer
        if cue is None or cue.replaces:
            return response, cue
        if cue.merge or cue.null or cue.json:
            response = _rewritten(response, cue)
        return _with_headers(response, cue), cue

    async def deliver(
        self, cue: Cue | None, response: wire.Answering, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Send an answer, or as much of it as is asked for."""
        if cue is not None and cue.drip is not None:
            send = _slowly(send, cue.drip, self._emulator.clock)
        match cue.connection if cue is not None else "":
            case "hang":
                await _hung_up(receive)
            case "reset":
                await _cut(scope, receive, reset=True)
            case "reset_after_headers":
                with suppress(_HeadSent):
                    await response(scope, receive, _head_only(send))
                await _cut(scope, receive)
            case _:
                await response(scope, receive, send)

    def _place(self, question: Question) -> _Place | None:
        host, method, path = question.host, question.method, question.path.strip("/")
        key = _named(question)
        if host in QUEUE_HOSTS and (asked := place(question.path)) is not None:
            app_id, request_id, (allowed, _, _) = asked
            if method != allowed:
                return None
            entry = self._emulator.store.entries.get(request_id)
            if entry is not None and entry.app_id != app_id:
                entry = None
            step = _STEPS[path.rpartition("/requests/")[2].partition("/")[2]]
            return _Place(step, key, app_id, entry)
        if host in REST_HOSTS and method == "POST":
            if path.startswith(("tokens", "storage/auth/token")):
                return _Place("token", key)
            return _Place("upload", key) if path.startswith("storage/upload/") else None
        if host in MEDIA_HOSTS and method in ("GET", "HEAD"):
            result = self._emulator.store.files.get(question.path)
            if result is not None:
                return _Place("file", entry=result.entry)
            return _Place("file", self._owner(question))
        if host in MEDIA_HOSTS and method in ("PUT", "POST"):
            return _Place("upload", self._owner(question))
        return None

    def _owner(self, question: Question) -> str:
        """Whose file is written or read, as far as that can be told."""
        storage = self._emulator.storage
        if question.bearer is not None:
            return storage.bearer(question.bearer) or ""
        with suppress(FalError):
            path = "/" + "/".join(question.segments[:4])
            return storage.vault.find(path, self._emulator.clock.now()).owner
        return _named(question)

    def _request_id(self, question: Question) -> str:
        asked = place(question.path) if question.host in QUEUE_HOSTS else None
        known = asked is not None and asked[1] in self._emulator.store.entries
        return asked[1] if asked and known else self._emulator.fresh_id("")


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


def _named(question: Question) -> str:
    scheme, _, key = (question.authorization or "").partition(" ")
    return key.strip().partition(":")[0] if scheme.lower() == "key" else ""


def _instead(cue: Cue, request_id: str) -> wire.Reply:
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


def _with_headers(response: Any, cue: Cue) -> Any:
    """An answer with the headers that are asked for, in the place of those of the same names."""
    wanted = dict(cue.header)
    if cue.retry_after is not None and not cue.error:
        wanted["retry-after"] = str(cue.retry_after)
    if wanted:
        fresh = {name.encode("latin-1"): value.encode("latin-1") for name, value in wanted.items()}
        kept = [pair for pair in response.raw_headers if pair[0].lower() not in fresh]
        response.raw_headers[:] = [*kept, *fresh.items()]
    return response


def _rewritten(response: wire.Answering, cue: Cue) -> wire.Answering:
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


class _HeadSent(Exception):
    """The head of an answer is out, and no more of it shall be."""


def _head_only(send: Send) -> Send:
    async def head(message: Message) -> None:
        if message["type"] != "http.response.start":
            raise _HeadSent
        await send(message)

    return head


def _slowly(send: Send, bytes_per_s: int, clock: Clock) -> Send:
    """What sends bodies in small pieces, as fast as `bytes_per_s` of the emulated clock."""
    size = max(1, bytes_per_s // _PIECES_PER_S)
    due = clock.now()

    async def piecewise(message: Message) -> None:
        nonlocal due
        body: bytes = message.get("body", b"")
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            due = max(due, clock.now()) + len(piece) / bytes_per_s
            while clock.now() < due:
                await clock.wait_until(due)
            more = message.get("more_body", False) or at + size < len(body)
            await send({"type": "http.response.body", "body": piece, "more_body": more})
        if not body:
            await send(message)

    return piecewise


async def _cut(scope: Scope, receive: Receive, *, reset: bool = False) -> None:
    """End the connection in the middle of an answer."""
    transport = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("a test asked for this")  # no socket: the application is called directly
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
    await _hung_up(receive)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
