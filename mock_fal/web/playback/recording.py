"""Recording: every request is forwarded to the live service, and each exchange is saved as a cassette."""

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
from mock_fal.cassettes.folder import BodyWriter, CassetteFolder, CassetteWriter
from mock_fal.cassettes.redaction import Redaction
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import BodyTooLarge
from mock_fal.hosts import MEDIA_HOSTS
from mock_fal.journal.exchanges import RawHeaders, pack_headers
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import ClientDisconnected, HttpRequest, Receive
from mock_fal.web.playback.addresses import Addresses, fal_url

T = TypeVar("T")

# A shorter secret could be an ordinary word, so it is not redacted.
_MIN_SECRET: Final = 8

# Where the key is that the live key replaces.
_HINT: Final = "use the FAL_KEY that mock-fal run and mock-fal env set"
# How many characters of a header a message shows.
_MAX_SHOWN: Final = 100

# Request headers that are not forwarded: those of the connection, those for mock-fal, and those set here.
_NOT_FORWARDED: Final = frozenset(
    (b"host", b"connection", b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te", b"trailer")
    + (b"transfer-encoding", b"upgrade", b"expect", b"cookie", b"accept-encoding", b"authorization")
    + (b"x-mock-fal", b"x-fal-target-url")
)
# Response headers that are not passed on: the server sets its own.
_HOP: Final = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server"))


class Recording:
    """Handles requests to all hosts of fal. `forward` is set before the first request."""

    forward: Forward
    websocket_refusal: Final = "mock-fal: WebSockets can't be recorded; start without --record to use them"
    unused: Final[list[str]] = []

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._key = emulator.settings.live_key
        secret = self._key.partition(":")[2]
        secrets = [self._key, *([secret] if len(secret) >= _MIN_SECRET else []), emulator.keys.run_secret]
        self._redaction = Redaction(secrets)
        self._folder = CassetteFolder(emulator.settings.record, self._redaction)

    def rewind(self, account: str | None) -> None:
        """Does nothing: recorded cassettes are saved."""

    async def respond(
        self, http_request: HttpRequest, receive: Receive, host: object
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The response of the live service; there is no request of the emulator."""
        if (rejected := self._rejected(http_request)) is not None:
            return rejected, None
        try:
            if is_file(http_request.method, http_request.host, http_request.path):
                return await self._upload(http_request, receive), None
            body = await http_request.read(receive, self._emulator.settings.max_body)
            sent = _with_fal_urls(http_request, body)
            live = await _unless_disconnected(self._forward(http_request, sent), receive)
            return await self._save_and_respond(http_request, live, sent), None
        except OSError as error:
            # deviation: while recording, an unreachable live service is a 502.
            detail = (
                f"mock-fal: no response from https://{http_request.host}: {error or type(error).__name__}"
            )
            return wire.reply(502, {"detail": detail}), None

    def _rejected(self, http_request: HttpRequest) -> wire.AnyResponse | None:
        """The response to a request that is not forwarded; None if it may be. Raises an authentication error."""
        if http_request.foreign_origin or http_request.has_foreign_host:
            # deviation: while recording, requests of web pages of other machines get 403, and a public name in Host
            # too.
            seen = f"Host is {_shown(http_request.header(b'host'))}"
            if b"origin" in http_request.headers:
                seen += f", Origin is {_shown(http_request.header(b'origin'))}"
            return _refusal(403, f"while recording, only pages of this machine may send requests; {seen}")
        authorization = http_request.authorization
        if not _is_key(authorization):
            # Without a key and with a token nothing is replaced. But the proxy would add a key, so it needs one.
            no_key = http_request.by_proxy and not authorization
            return _refusal(401, f"while recording, this proxy adds no key; {_HINT}") if no_key else None
        self._emulator.keys.account(authorization, "")
        if self._emulator.keys.has_run_secret(authorization):
            return None
        # deviation: while recording, every key but that of the run gets 401, and is sent to nobody.
        key_id = _shown(http_request.named_account)
        return _refusal(401, f"the key with the id {key_id} is not the one of this recording; {_HINT}")

    async def _upload(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        """Forward an uploaded file while it is received, and write it to the disk."""
        limit = self._emulator.settings.max_upload
        if http_request.content_length > limit:
            raise BodyTooLarge(limit)
        body_writer = self._folder.body_writer()

        async def written() -> AsyncIterator[bytes]:
            async for piece in http_request.chunks(receive):
                if http_request.uploaded_bytes > limit:
                    raise BodyTooLarge(limit)
                body_writer.write(piece)
                yield piece

        try:
            return await self._save_and_respond(
                http_request, await self._forward(http_request, written()), body_writer
            )
        except BaseException:
            body_writer.discard()
            raise

    async def _forward(self, http_request: HttpRequest, body: bytes | AsyncIterator[bytes]) -> LiveResponse:
        # Cassettes are readable, so responses must not be compressed.
        headers = [(name, value) for name, value in _headers(http_request) if name not in _NOT_FORWARDED]
        headers.append((b"accept-encoding", b"identity"))
        authorization = http_request.authorization
        if _is_key(authorization):
            authorization = f"Key {self._key}"
        if authorization is not None:
            headers.append((b"authorization", authorization.encode("latin-1")))
        return await self.forward(http_request.method, fal_url(http_request), headers, body)

    async def _save_and_respond(
        self, http_request: HttpRequest, live: LiveResponse, sent: bytes | BodyWriter
    ) -> wire.AnyResponse:
        """Save the exchange and return its response. JSON is read completely, other bodies are streamed."""
        if "json" not in _content_type(live):
            return self._streamed(http_request, live, sent)
        data = b"".join([piece async for piece in live.body])
        value = parse(data)
        if value is NOT_JSON:  # a JSON content type without JSON, as in the response to HEAD
            return self._streamed(http_request, live._replace(body=_once(data)), sent)
        response = response_json(fal_url(http_request), value, self._redaction)
        self._save(self._cassette_writer(http_request), http_request, live, sent, response)
        addresses = Addresses(http_request.links)
        if addresses.differ:
            data = wire.encode(addresses.to_local(value))
        headers = [header for header in _response_headers(live) if header[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(data)))
        return wire.Reply(live.status, data, pack_headers(headers))

    def _streamed(
        self, http_request: HttpRequest, live: LiveResponse, sent: bytes | BodyWriter
    ) -> wire.AnyResponse:
        pieces = self._saving(self._cassette_writer(http_request), http_request, live, sent)
        response = StreamingResponse(pieces, live.status)
        response.raw_headers = _response_headers(live)
        return response

    async def _saving(
        self,
        cassette_writer: CassetteWriter,
        http_request: HttpRequest,
        live: LiveResponse,
        sent: bytes | BodyWriter,
    ) -> AsyncIterator[bytes]:
        """A response body, saved to the disk while it is sent."""
        body_writer = self._folder.body_writer()
        content_type, addresses = _content_type(live), Addresses(http_request.links)
        events = content_type.startswith("text/event-stream")
        complete = failed = False
        try:
            pieces = (
                _events(live.body, body_writer, addresses)
                if events and addresses.differ
                else _written(live.body, body_writer)
            )
            async for piece in pieces:
                yield piece
            complete = True
        except OSError:
            failed = True
            raise
        finally:
            # A client may close an event stream once it has the events it needs; part of a file is useless.
            if complete or (events and not failed):
                response = cassette_writer.save_body(
                    body_writer, content_type, allow_text=http_request.host not in MEDIA_HOSTS
                )
                self._save(cassette_writer, http_request, live, sent, response)
            else:
                body_writer.discard()
                if isinstance(sent, BodyWriter):
                    sent.discard()

    def _cassette_writer(self, http_request: HttpRequest) -> CassetteWriter:
        cassette_writer = self._folder.cassette_writer(
            http_request.method, self._redaction.text(fal_url(http_request))
        )
        http_request.playback = f"recorded {cassette_writer.name}"
        return cassette_writer

    def _save(
        self,
        cassette_writer: CassetteWriter,
        http_request: HttpRequest,
        live: LiveResponse,
        sent: bytes | BodyWriter,
        response: Body,
    ) -> None:
        redaction = self._redaction
        bodiless = http_request.method == "HEAD" or live.status in (204, 304)
        cassette_writer.write(
            Cassette(
                http_request.method,
                redaction.text(fal_url(http_request)),
                cassette_request_headers(http_request.raw_headers, redaction),
                self._sent(cassette_writer, http_request, sent),
                live.status,
                cassette_response_headers(live.headers, redaction, bodiless=bodiless),
                response,
            )
        )

    def _sent(
        self, cassette_writer: CassetteWriter, http_request: HttpRequest, sent: bytes | BodyWriter
    ) -> Body:
        content_type = http_request.header(b"content-type")
        if isinstance(sent, BodyWriter):
            return cassette_writer.save_body(sent, content_type, request=True, allow_text=False)
        body = request_body(sent, content_type, self._redaction)
        if not isinstance(body, FileBody):
            return body
        body_writer = self._folder.body_writer()
        body_writer.write(sent)
        saved = cassette_writer.save_body(body_writer, content_type, request=True, allow_text=False)
        return FileBody(saved.name, body.sha256) if isinstance(saved, FileBody) else saved


def _refusal(status: int, reason: str) -> wire.Reply:
    return wire.reply(status, {"detail": f"mock-fal: not forwarded to fal: {reason}"})


def _shown(text: str) -> str:
    """A part of a header for a message: one line, without control characters."""
    return ascii(text[:_MAX_SHOWN])


def _is_key(authorization: str | None) -> bool:
    """Whether an Authorization header has a key, in any scheme: tokens have no colon."""
    scheme, _, credentials = (authorization or "").partition(" ")
    return scheme.lower() == "key" or ":" in credentials


def _headers(http_request: HttpRequest) -> RawHeaders:
    return [(name.lower(), value) for name, value in http_request.raw_headers]


def _with_fal_urls(http_request: HttpRequest, body: bytes) -> bytes:
    addresses = Addresses(http_request.links)
    value = parse(body) if addresses.differ else NOT_JSON
    if value is NOT_JSON:
        return body
    converted = addresses.to_fal(value)
    return body if converted == value else json.dumps(converted).encode()


def _content_type(live: LiveResponse) -> str:
    return dict(live.headers).get(b"content-type", b"").decode("latin-1").lower()


def _response_headers(live: LiveResponse) -> RawHeaders:
    return [header for header in live.headers if header[0] not in _HOP]


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _written(pieces: AsyncIterator[bytes], body_writer: BodyWriter) -> AsyncIterator[bytes]:
    async for piece in pieces:
        body_writer.write(piece)
        yield piece


async def _events(
    pieces: AsyncIterator[bytes], body_writer: BodyWriter, addresses: Addresses
) -> AsyncIterator[bytes]:
    """An event stream with the client's URLs, while fal's URLs are written to the disk."""
    rest = b""
    async for piece in pieces:
        body_writer.write(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield addresses.event_line(line) + b"\n"
    if rest:
        yield addresses.event_line(rest)


async def _unless_disconnected(response: Awaitable[T], receive: Receive) -> T:
    """Wait for the live response, unless the client closes the connection: then ours to fal is closed too."""
    waiting = asyncio.ensure_future(response)
    disconnect = asyncio.ensure_future(receive())  # the body has been read, so this can only be a disconnect
    try:
        await asyncio.wait({waiting, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientDisconnected
        return waiting.result()
    finally:
        waiting.cancel()
        disconnect.cancel()
