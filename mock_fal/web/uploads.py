"""How files come in at the media host: whole or in parts, by a signed address or with a token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mock_fal.emulator import Emulator
from mock_fal.errors import AuthenticationRequired, HeaderRequired, InvalidKey, InvalidToken
from mock_fal.file_name import BINARY
from mock_fal.vault import Upload
from mock_fal.web import wire, wire_storage
from mock_fal.web.question import Question, Receive

# What is held in memory of one upload before it goes to disk, in a thread; less than this is written at once.
# Ten parts at a time, as the Python client sends them, then hold 10 MiB.
BATCH_BYTES: Final = 1 << 20
AT_ONCE_BYTES: Final = 128 << 10

# The list of parts of the largest file is about a megabyte.
_MAX_LIST: Final = 4 << 20

# Disks are shared: more threads than this only wait for each other.
_HANDS: Final = 4


class Uploads:
    """The media host's door for what comes in."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._storage = emulator.storage
        self.hands = _hands()

    def route(self, question: Question) -> Handler | None:
        """Who answers a question that brings something; None when it brings nothing."""
        match question.method, question.segments:
            case "POST", ["files", "upload"]:
                return self._whole
            case "POST", ["files", "upload", "multipart"]:
                return self._begin
            case "PUT", ["files", _, _, _]:
                return self._signed_whole
            case "PUT", ["files", _, _, _, number] if _is_number(number):
                return self._signed_part
            case "POST", ["files", _, _, _, "complete"]:
                return self._signed_complete
            case "PUT", ["files", _, _, _, "multipart", _, number] if _is_number(number):
                return self._part
            case "POST", ["files", _, _, _, "multipart", _, "complete"]:
                return self._complete
            case "POST", ["files", _, _, _, "sign"]:
                return self._sign
        return None

    def close(self) -> None:
        """Let go of the threads, until the next question; what is being written is finished first."""
        self.hands.shutdown(wait=True, cancel_futures=True)
        self.hands = _hands()

    # -- with a token

    async def _whole(self, question: Question, receive: Receive) -> wire.Answering:
        upload = self._promise(question, in_parts=False)
        await self._write(question, receive, upload)
        return wire_storage.uploaded(upload, question.links)

    async def _begin(self, question: Question, receive: Receive) -> wire.Answering:
        return wire_storage.session(self._promise(question, in_parts=True), question.links)

    async def _part(self, question: Question, receive: Receive) -> wire.Answering:
        number = int(question.segments[6])
        etag = await self._write(question, receive, self._session(question), number)
        return wire_storage.part(number, etag)

    async def _complete(self, question: Question, receive: Receive) -> wire.Answering:
        return await self._finish(question, receive, self._session(question))

    async def _sign(self, question: Question, receive: Receive) -> wire.Answering:
        reader = self._account(question)
        await question.read(receive, _MAX_LIST)
        path = _file(question)
        identity = self._storage.link(path, reader, wire_storage.link_s(wire_storage.document(question)))
        return wire_storage.signed(path, identity, question.links)

    # -- by a signed address

    async def _signed_whole(self, question: Question, receive: Receive) -> wire.Answering:
        return wire_storage.stored(await self._write(question, receive, self._signed(question)))

    async def _signed_part(self, question: Question, receive: Receive) -> wire.Answering:
        number = int(question.segments[4])
        etag = await self._write(question, receive, self._signed(question), number)
        return wire_storage.part(number, etag)

    async def _signed_complete(self, question: Question, receive: Receive) -> wire.Answering:
        return await self._finish(question, receive, self._signed(question))

    # -- inside

    def _promise(self, question: Question, *, in_parts: bool) -> Upload:
        return self._storage.promise(
            self._account(question),
            wire_storage.file_name(question),
            wire_storage.media_type(question.header(b"content-type") or BINARY),
            wire_storage.terms(question),
            in_parts=in_parts,
        )

    def _signed(self, question: Question) -> Upload:
        upload = self._storage.signed(_file(question), question.params.get("signature", ""))
        question.account = upload.owner
        return upload

    def _session(self, question: Question) -> Upload:
        upload = self._storage.owned(_file(question), self._account(question))
        if question.segments[5] != wire_storage.session_id(upload):
            raise InvalidToken
        return upload

    def _account(self, question: Question) -> str:
        """Whom the bearer of a CDN token, or of a key, uploads for."""
        if question.bearer is not None:
            owner = self._storage.bearer(question.bearer)
            if owner is None:
                raise InvalidToken
        else:
            # fal: unverified, keys in the place of tokens (a few scripts do so).
            owner = key_account(self._emulator, question)
        question.account = owner
        return owner

    async def _finish(self, question: Question, receive: Receive, upload: Upload) -> wire.Answering:
        await question.read(receive, _MAX_LIST)
        self._storage.complete(upload, wire_storage.parts(wire_storage.document(question)))
        return wire_storage.uploaded(upload, question.links)

    async def _write(
        self, question: Question, receive: Receive, upload: Upload, part: int | None = None
    ) -> str:
        """Bring the body to disk as it comes, and return its ETag."""
        writing = self._storage.begin(upload, question.announced_bytes, part)
        loop = asyncio.get_running_loop()
        try:
            pieces: list[bytes] = []
            held = 0
            async for piece in question.pieces(receive):
                writing.reserve(len(piece))
                pieces.append(piece)
                held += len(piece)
                if held >= BATCH_BYTES:
                    await loop.run_in_executor(self.hands, writing.write, pieces)
                    pieces, held = [], 0
            if held > AT_ONCE_BYTES:
                await loop.run_in_executor(self.hands, writing.write, pieces)
            else:
                writing.write(pieces)
        except BaseException:
            self._storage.vault.discard(writing)
            raise
        return self._storage.keep(writing)


Handler = Callable[[Question, Receive], Awaitable[wire.Answering]]


def key_account(emulator: Emulator, question: Question) -> str:
    """Whose key a question brings, in the words of fal's storage. Raises HeaderRequired, InvalidKey, InvalidBearer."""
    try:
        owner = emulator.keys.account(question.authorization, "")
    except AuthenticationRequired:
        # fal: unverified, what is answered for a value that is no `id:secret`.
        raise InvalidKey from None
    if owner is None:
        raise HeaderRequired
    return owner


def _hands() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_HANDS, thread_name_prefix="mock-fal-disk")


def _file(question: Question) -> str:
    """The address of the file that a question is about, without what is asked of it."""
    return "/" + "/".join(question.segments[:4])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
