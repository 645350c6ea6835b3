"""Questions are answered from cassettes; what has none goes to the emulated host, or is refused."""

from __future__ import annotations

import asyncio
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

from mock_fal.emulator import Emulator
from mock_fal.errors import JSON, BodyTooLarge
from mock_fal.hosts import QUEUE_HOSTS, RUN_HOSTS
from mock_fal.line import Entry
from mock_fal.tape.cassette import (
    NOT_JSON,
    NOTHING,
    Body,
    Cassette,
    FileBody,
    Forward,
    JsonBody,
    TextBody,
    files,
    is_file,
    key,
    parse,
    question_body,
    wire_headers,
)
from mock_fal.tape.deck import Deck
from mock_fal.tape.redaction import REDACTED, Redaction
from mock_fal.tape.shelf import cassettes, pieces
from mock_fal.web import wire
from mock_fal.web.playback.addresses import Addresses, url_of
from mock_fal.web.question import Question, Receive

# An upload up to this size is kept in memory until it is known who answers it.
_IN_MEMORY: Final = 1 << 20

NO_CASSETTE: Final = "no cassette"


class Host(Protocol):
    """One of fal's hosts, emulated."""

    async def answer(self, question: Question, receive: Receive) -> tuple[wire.Answering, Entry | None]: ...


class Replay:
    """Answers for all hosts of fal."""

    forward: Forward  # never used

    def __init__(self, emulator: Emulator) -> None:
        settings = emulator.settings
        self._settings = settings
        self._folder = Path(settings.replay)
        self._cassettes = cassettes(settings.replay)
        self._deck = Deck(self._cassettes)
        self._redaction = Redaction()

    @property
    def no_sockets(self) -> str:
        """Why there is no WebSocket; empty where there is."""
        why = "mock-fal: no cassette holds a WebSocket, and --strict allows nothing else"
        return why if self._strict else ""

    @property
    def unused(self) -> list[str]:
        """The cassettes that answered nothing so far."""
        return self._deck.unused

    def rewind(self, account: str | None) -> None:
        """Begin again, for one account or for all."""
        self._deck.rewind(account)

    @property
    def _strict(self) -> bool:
        return self._settings.strict

    async def answer(
        self, question: Question, receive: Receive, host: Host
    ) -> tuple[wire.Answering, Entry | None]:
        """The answer that was recorded, or what the emulated host says."""
        question.playback = NO_CASSETTE
        if not self._strict and not self._deck.knows(question.method, question.host, question.path):
            return await self._instead(question, receive, host)
        with SpooledTemporaryFile(_IN_MEMORY) as spool:
            body = await self._body(question, receive, spool)
            url = self._redaction.text(url_of(question))
            found = self._deck.answer(
                key(question.method, url, question.header(b"range"), body), question.named_account
            )
            if found is not None:
                question.playback = f"replayed {found}"
                return self._played(question, self._cassettes[found]), None
            # Nobody else knows an address to upload to whose signature is not told.
            if self._strict or f"={REDACTED}" in question.query:
                return self._refused(question, url, body), None
            spool.seek(0)
            question.uploaded_bytes = 0
            return await self._instead(question, _again(spool, receive), host)

    async def _instead(
        self, question: Question, receive: Receive, host: Host
    ) -> tuple[wire.Answering, Entry | None]:
        """What the emulated host answers, which knows neither the tokens nor the files of a recording."""
        if question.bearer == REDACTED:
            question.headers[b"authorization"] = f"Key {self._settings.own_key}".encode("latin-1")
        if question.host not in QUEUE_HOSTS | RUN_HOSTS or question.method != "POST":
            return await host.answer(question, receive)
        body = await question.read(receive, self._settings.max_body)
        answer = await host.answer(question, _again(BytesIO(self._with_files(body)), receive))
        question.body = body
        return answer

    def _with_files(self, body: bytes) -> bytes:
        """An input in which recorded files stand themselves, in the place of their addresses."""
        value = parse(body)
        if not isinstance(value, dict):
            return body
        named = {name: _inlined(part, self._files) for name, part in value.items()}
        return body if named == value else json.dumps(named).encode()

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The files of the cassettes, by their addresses: those that were uploaded, and those that came out."""
        return {url: self._folder / name for each in self._cassettes.values() for url, name in files(each)}

    async def _body(self, question: Question, receive: Receive, spool: IO[bytes]) -> Body:
        """What the question brings; its bytes are in the spool then."""
        if not is_file(question.method, question.host, question.path):
            data = await question.read(receive, self._settings.max_body)
            spool.write(data)
            addresses = Addresses(question.links)
            body = question_body(data, question.header(b"content-type"), self._redaction)
            if addresses.differ and isinstance(body, JsonBody) and (value := parse(data)) is not NOT_JSON:
                return JsonBody(self._redaction.json(addresses.fals(value)))
            return body
        digest = sha256()
        async for piece in question.pieces(receive):
            if question.uploaded_bytes > self._settings.max_upload:
                raise BodyTooLarge(self._settings.max_upload)
            digest.update(piece)
            spool.write(piece)
        return FileBody("", digest.hexdigest()) if question.uploaded_bytes else NOTHING

    def _played(self, question: Question, cassette: Cassette) -> wire.Answering:
        headers = wire_headers(cassette.headers)
        addresses = Addresses(question.links)
        match cassette.answer:
            case FileBody(name):
                path = self._folder / name
                response = StreamingResponse(_pieces(path), cassette.status)
                response.raw_headers = [*headers, (b"content-length", b"%d" % path.stat().st_size)]
                return response
            case JsonBody(value):
                data = wire.encode(addresses.here(value))
            case TextBody(text):
                data = text.encode("utf-8", "surrogatepass")
                if addresses.differ:
                    data = b"\n".join(map(addresses.line, data.split(b"\n")))
        if b"content-length" not in dict(headers):
            headers.append((b"content-length", b"%d" % len(data)))
        return wire.Reply(cassette.status, data, headers)

    def _refused(self, question: Question, url: str, body: Body) -> wire.Answering:
        # unlike fal: what was not recorded is a 501, which no client of fal's tries again.
        words = f"mock-fal: no cassette in {self._settings.replay} answers {question.method} {url}"
        nearest = self._deck.nearest(question.method, url, body)
        return wire.reply(501, {"detail": f"{words}; the nearest: {nearest}" if nearest else words})


def _inlined(value: JSON, files: Mapping[str, Path]) -> JSON:
    if isinstance(value, list):
        return [_inlined(part, files) for part in value]
    path = files.get(value) if isinstance(value, str) else None
    return value if path is None else f"data:;base64,{b64encode(path.read_bytes()).decode()}"


def _again(spool: IO[bytes], receive: Receive) -> Receive:
    """A body once more, that has been read."""
    told = False

    async def again() -> dict[str, object]:
        nonlocal told
        if told:
            return dict(await receive())
        piece = spool.read(_IN_MEMORY)
        told = len(piece) < _IN_MEMORY
        return {"type": "http.request", "body": piece, "more_body": not told}

    return again


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    loop, parts = asyncio.get_running_loop(), pieces(path)
    while data := await loop.run_in_executor(None, next, parts, b""):
        yield data
