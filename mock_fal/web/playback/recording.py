"""Every question goes to the live service, and what it answers is kept: a cassette for each exchange."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

from starlette.responses import StreamingResponse

from mock_fal.cassettes.cassette import (
    NOT_JSON,
    Body,
    Cassette,
    FileBody,
    Forward,
    LiveResponse,
    cassette_request_headers,
    cassette_response_headers,
    is_file,
    parse,
    request_body,
    response_json,
)
from mock_fal.cassettes.folder import CassetteFolder, Slot, Tape
from mock_fal.cassettes.redaction import Redaction
from mock_fal.emulator import Emulator
from mock_fal.errors import BodyTooLarge
from mock_fal.hosts import MEDIA_HOSTS
from mock_fal.journal.exchanges import RawHeaders
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import Gone, HttpRequest, Receive
from mock_fal.web.playback.addresses import Addresses, url_of

T = TypeVar("T")

# A secret that is shorter is a word, and stands in other places too.
_MIN_SECRET: Final = 8

# Of a question: what is about the connection to us, what is for us, and what we say ourselves.
_OURS: Final = frozenset(
    (b"host", b"connection", b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te", b"trailer")
    + (b"transfer-encoding", b"upgrade", b"expect", b"cookie", b"accept-encoding", b"authorization")
    + (b"x-mock-fal", b"x-fal-target-url")
)
# Of an answer: our server says its own.
_HOP: Final = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server"))


class Recording:
    """Answers for all hosts of fal. `forward` is set before the first question comes."""

    forward: Forward
    no_sockets: Final = "mock-fal: a WebSocket can't be recorded; it is answered without --record"
    unused: Final[list[str]] = []

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._key = emulator.settings.live_key
        secret = self._key.partition(":")[2]
        self._redaction = Redaction([self._key, *([secret] if len(secret) >= _MIN_SECRET else [])])
        self._shelf = CassetteFolder(emulator.settings.record, self._redaction)

    def rewind(self, account: str | None) -> None:
        """What is recorded stays."""

    async def respond(
        self, http_request: HttpRequest, receive: Receive, host: object
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """What the live service answers; it is never about a request of ours."""
        if _is_key(http_request.authorization):
            self._emulator.keys.account(http_request.authorization, "")
        try:
            if is_file(http_request.method, http_request.host, http_request.path):
                return await self._upload(http_request, receive), None
            body = await http_request.read(receive, self._emulator.settings.max_body)
            sent = _with_fals_addresses(http_request, body)
            live = await _unless_gone(self._asked(http_request, sent), receive)
            return await self._answered(http_request, live, sent), None
        except OSError as error:
            # deviation: while recording, no way to the live service is a 502.
            words = f"mock-fal: no answer from https://{http_request.host}: {error or type(error).__name__}"
            return wire.reply(502, {"detail": words}), None

    async def _upload(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        """A file goes out as it comes in, and to the disk."""
        limit = self._emulator.settings.max_upload
        if http_request.announced_bytes > limit:
            raise BodyTooLarge(limit)
        tape = self._shelf.tape()

        async def taped() -> AsyncIterator[bytes]:
            async for piece in http_request.pieces(receive):
                if http_request.uploaded_bytes > limit:
                    raise BodyTooLarge(limit)
                tape.write(piece)
                yield piece

        try:
            return await self._answered(http_request, await self._asked(http_request, taped()), tape)
        except BaseException:
            tape.discard()
            raise

    async def _asked(self, http_request: HttpRequest, body: bytes | AsyncIterator[bytes]) -> LiveResponse:
        # Cassettes are to be read: nothing comes compressed.
        headers = [(name, value) for name, value in _headers(http_request) if name not in _OURS]
        headers.append((b"accept-encoding", b"identity"))
        authorization = http_request.authorization
        if _is_key(authorization):
            authorization = f"Key {self._key}"
        if authorization is not None:
            headers.append((b"authorization", authorization.encode("latin-1")))
        return await self.forward(http_request.method, url_of(http_request), headers, body)

    async def _answered(
        self, http_request: HttpRequest, live: LiveResponse, sent: bytes | Tape
    ) -> wire.AnyResponse:
        """An answer in JSON is read whole; any other goes on as it comes."""
        if "json" not in _type(live):
            return self._streamed(http_request, live, sent)
        data = b"".join([piece async for piece in live.body])
        value = parse(data)
        if value is NOT_JSON:  # it says so, and is none: a HEAD, say
            return self._streamed(http_request, live._replace(body=_once(data)), sent)
        response = response_json(url_of(http_request), value, self._redaction)
        self._keep(self._slot(http_request), http_request, live, sent, response)
        addresses = Addresses(http_request.links)
        if addresses.differ:
            data = wire.encode(addresses.here(value))
        headers = [each for each in _out(live) if each[0] != b"content-length"]
        return wire.Reply(live.status, data, [*headers, (b"content-length", b"%d" % len(data))])

    def _streamed(
        self, http_request: HttpRequest, live: LiveResponse, sent: bytes | Tape
    ) -> wire.AnyResponse:
        pieces = self._kept(self._slot(http_request), http_request, live, sent)
        response = StreamingResponse(pieces, live.status)
        response.raw_headers = _out(live)
        return response

    async def _kept(
        self, slot: Slot, http_request: HttpRequest, live: LiveResponse, sent: bytes | Tape
    ) -> AsyncIterator[bytes]:
        """A body on its way out, and to the disk."""
        tape = self._shelf.tape()
        kind, addresses = _type(live), Addresses(http_request.links)
        events = kind.startswith("text/event-stream")
        whole = broken = False
        try:
            pieces = (
                _events(live.body, tape, addresses) if events and addresses.differ else _raw(live.body, tape)
            )
            async for piece in pieces:
                yield piece
            whole = True
        except OSError:
            broken = True
            raise
        finally:
            # Who hangs up on events has seen what mattered to him; half a file is nothing.
            if whole or (events and not broken):
                response = slot.keep(tape, kind, plain=http_request.host not in MEDIA_HOSTS)
                self._keep(slot, http_request, live, sent, response)
            else:
                tape.discard()
                if isinstance(sent, Tape):
                    sent.discard()

    def _slot(self, http_request: HttpRequest) -> Slot:
        slot = self._shelf.slot(http_request.method, self._redaction.text(url_of(http_request)))
        http_request.playback = f"recorded {slot.name}"
        return slot

    def _keep(
        self, slot: Slot, http_request: HttpRequest, live: LiveResponse, sent: bytes | Tape, response: Body
    ) -> None:
        redaction = self._redaction
        bodiless = http_request.method == "HEAD" or live.status in (204, 304)
        slot.write(
            Cassette(
                http_request.method,
                redaction.text(url_of(http_request)),
                cassette_request_headers(http_request.raw_headers, redaction),
                self._sent(slot, http_request, sent),
                live.status,
                cassette_response_headers(live.headers, redaction, bodiless=bodiless),
                response,
            )
        )

    def _sent(self, slot: Slot, http_request: HttpRequest, sent: bytes | Tape) -> Body:
        kind = http_request.header(b"content-type")
        if isinstance(sent, Tape):
            return slot.keep(sent, kind, request=True, plain=False)
        body = request_body(sent, kind, self._redaction)
        if not isinstance(body, FileBody):
            return body
        tape = self._shelf.tape()
        tape.write(sent)
        kept = slot.keep(tape, kind, request=True, plain=False)
        return FileBody(kept.name, body.sha256) if isinstance(kept, FileBody) else kept


def _is_key(authorization: str | None) -> bool:
    """Whether an authorization brings a key, in whatever scheme: tokens have no colon."""
    scheme, _, credentials = (authorization or "").partition(" ")
    return scheme.lower() == "key" or ":" in credentials


def _headers(http_request: HttpRequest) -> RawHeaders:
    return [(name.lower(), value) for name, value in http_request.raw_headers]


def _with_fals_addresses(http_request: HttpRequest, body: bytes) -> bytes:
    addresses = Addresses(http_request.links)
    value = parse(body) if addresses.differ else NOT_JSON
    if value is NOT_JSON:
        return body
    renamed = addresses.fals(value)
    return body if renamed == value else json.dumps(renamed).encode()


def _type(live: LiveResponse) -> str:
    return dict(live.headers).get(b"content-type", b"").decode("latin-1").lower()


def _out(live: LiveResponse) -> RawHeaders:
    return [each for each in live.headers if each[0] not in _HOP]


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _raw(pieces: AsyncIterator[bytes], tape: Tape) -> AsyncIterator[bytes]:
    async for piece in pieces:
        tape.write(piece)
        yield piece


async def _events(pieces: AsyncIterator[bytes], tape: Tape, addresses: Addresses) -> AsyncIterator[bytes]:
    """Events with other addresses in them than on the disk, line by line."""
    rest = b""
    async for piece in pieces:
        tape.write(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield addresses.line(line) + b"\n"
    if rest:
        yield addresses.line(rest)


async def _unless_gone(work: Awaitable[T], receive: Receive) -> T:
    """What comes of some work, unless the caller hangs up: fal is told so by our hanging up."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(receive())  # the body has been read: nothing else can come
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
