"""Replaying: responses come from cassettes; other requests go to the emulated host, or fail with --strict."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Final, Protocol

from starlette.responses import StreamingResponse

from mock_fal.cassettes.cassette import (
    NO_BODY,
    NOT_JSON,
    Body,
    Cassette,
    FileBody,
    Forward,
    JsonBody,
    TextBody,
    files,
    is_file,
    match_key,
    parse,
    request_body,
    wire_headers,
)
from mock_fal.cassettes.folder import file_chunks, read_cassettes
from mock_fal.cassettes.matcher import CassetteMatcher
from mock_fal.cassettes.redaction import REDACTED, Redaction
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON, BodyTooLarge
from mock_fal.hosts import QUEUE_HOSTS, RUN_HOSTS
from mock_fal.journal.exchanges import pack_headers
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.playback.addresses import Addresses, fal_url
from mock_fal.web.renderer import Renderer

# An upload up to this size is kept in memory until a cassette or the emulated host is chosen.
_IN_MEMORY: Final = 1 << 20

NO_CASSETTE: Final = "no cassette"


class Host(Protocol):
    """One of fal's hosts, emulated."""

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]: ...


class Replay:
    """Handles requests to all hosts of fal."""

    forward: Forward  # never used

    def __init__(self, emulator: Emulator, renderer: Renderer) -> None:
        settings = emulator.settings
        self._renderer = renderer
        self._settings = settings
        self._folder = Path(settings.replay)
        self._cassettes = read_cassettes(settings.replay)
        self._matcher = CassetteMatcher(self._cassettes)
        self._redaction = Redaction()

    @property
    def websocket_refusal(self) -> str:
        """Why WebSockets are closed; empty if they are served."""
        reason = "mock-fal: cassettes have no WebSockets, and --strict allows only recorded responses"
        return reason if self._strict else ""

    @property
    def unused(self) -> list[str]:
        """The cassettes that have not been used so far."""
        return self._matcher.unused

    def rewind(self, account: str | None) -> None:
        """Start from the first cassettes again, for one account or for all."""
        self._matcher.rewind(account)

    @property
    def _strict(self) -> bool:
        return self._settings.strict

    async def respond(
        self, http_request: HttpRequest, receive: Receive, host: Host
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The recorded response, or that of the emulated host."""
        http_request.playback = NO_CASSETTE
        if not self._strict and not self._matcher.knows(
            http_request.method, http_request.host, http_request.path
        ):
            return await self._emulated(http_request, receive, host)
        with SpooledTemporaryFile(_IN_MEMORY) as spool:
            body = await self._body(http_request, receive, spool)
            url = self._redaction.text(fal_url(http_request))
            cassette_name = self._matcher.match(
                match_key(http_request.method, url, http_request.header(b"range"), body),
                http_request.named_account,
            )
            if cassette_name is not None:
                http_request.playback = f"replayed {cassette_name}"
                return self._replayed(http_request, self._cassettes[cassette_name]), None
            # The emulated host can't accept an upload URL whose signature is redacted.
            if self._strict or f"={REDACTED}" in http_request.query:
                return self._not_recorded(http_request, url, body), None
            spool.seek(0)
            http_request.uploaded_bytes = 0
            return await self._emulated(http_request, _replay_body(spool, receive), host)

    async def _emulated(
        self, http_request: HttpRequest, receive: Receive, host: Host
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The response of the emulated host, which does not know the tokens and files of a recording."""
        if http_request.bearer == REDACTED:
            http_request.add_key(self._settings.own_key)
        if http_request.host not in QUEUE_HOSTS | RUN_HOSTS or http_request.method != "POST":
            return await host.respond(http_request, receive)
        body = await http_request.read(receive, self._settings.max_body)
        response = await host.respond(http_request, _replay_body(BytesIO(self._with_files(body)), receive))
        http_request.body = body
        return response

    def _with_files(self, body: bytes) -> bytes:
        """An input in which the URLs of recorded files are replaced by data URIs."""
        value = parse(body)
        if not isinstance(value, dict):
            return body
        inlined = {name: _inlined(part, self._files) for name, part in value.items()}
        return body if inlined == value else json.dumps(inlined).encode()

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The files of the cassettes by URL: uploaded files and results."""
        return {
            url: self._folder / name for cassette in self._cassettes.values() for url, name in files(cassette)
        }

    async def _body(self, http_request: HttpRequest, receive: Receive, spool: IO[bytes]) -> Body:
        """The body of the request; its bytes are written to the spool."""
        if not is_file(http_request.method, http_request.host, http_request.path):
            data = await http_request.read(receive, self._settings.max_body)
            spool.write(data)
            addresses = Addresses(http_request.links)
            body = request_body(data, http_request.header(b"content-type"), self._redaction)
            if addresses.differ and isinstance(body, JsonBody) and (value := parse(data)) is not NOT_JSON:
                return JsonBody(self._redaction.json(addresses.to_fal(value)))
            return body
        digest = sha256()
        async for piece in http_request.chunks(receive):
            if http_request.uploaded_bytes > self._settings.max_upload:
                raise BodyTooLarge(self._settings.max_upload)
            digest.update(piece)
            spool.write(piece)
        return FileBody("", digest.hexdigest()) if http_request.uploaded_bytes else NO_BODY

    def _replayed(self, http_request: HttpRequest, cassette: Cassette) -> wire.AnyResponse:
        headers = wire_headers(cassette.response_headers)
        addresses = Addresses(http_request.links)
        match cassette.response_body:
            case FileBody(name):
                path = self._folder / name
                response = StreamingResponse(_pieces(path, self._renderer), cassette.status)
                response.raw_headers = [*headers, (b"content-length", b"%d" % path.stat().st_size)]
                return response
            case JsonBody(value):
                data = wire.encode(addresses.to_local(value))
            case TextBody(text):
                data = text.encode("utf-8", "surrogatepass")
                if addresses.differ:
                    data = b"\n".join(map(addresses.event_line, data.split(b"\n")))
        if b"content-length" not in dict(headers):
            headers.append((b"content-length", b"%d" % len(data)))
        return wire.Reply(cassette.status, data, pack_headers(headers))

    def _not_recorded(self, http_request: HttpRequest, url: str, body: Body) -> wire.AnyResponse:
        # deviation: a request without a cassette gets a 501, which no client of fal's retries.
        message = f"mock-fal: no cassette in {self._settings.replay} matches {http_request.method} {url}"
        nearest = self._matcher.nearest(http_request.method, url, body)
        return wire.reply(501, {"detail": f"{message}; the nearest: {nearest}" if nearest else message})


def _inlined(value: JSON, files: Mapping[str, Path]) -> JSON:
    if isinstance(value, list):
        return [_inlined(part, files) for part in value]
    path = files.get(value) if isinstance(value, str) else None
    return value if path is None else f"data:;base64,{b64encode(path.read_bytes()).decode()}"


def _replay_body(spool: IO[bytes], receive: Receive) -> Receive:
    """A receive function that returns a body that has been read before."""
    complete = False

    async def receive_again() -> dict[str, object]:
        nonlocal complete
        if complete:
            return dict(await receive())
        piece = spool.read(_IN_MEMORY)
        complete = len(piece) < _IN_MEMORY
        return {"type": "http.request", "body": piece, "more_body": not complete}

    return receive_again


async def _pieces(path: Path, renderer: Renderer) -> AsyncIterator[bytes]:
    parts = file_chunks(path)
    while data := await renderer.in_thread(next, parts, b""):
        yield data
