"""How files come in at the media host: whole or in parts, by a signed address or with a token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mock_fal.emulator import Emulator
from mock_fal.errors import AuthenticationRequired, HeaderRequired, InvalidKey, InvalidToken
from mock_fal.files.file_name import BINARY
from mock_fal.files.file_store import Upload
from mock_fal.web import wire, wire_storage
from mock_fal.web.http_request import HttpRequest, Receive

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

    def route(self, http_request: HttpRequest) -> Handler | None:
        """Who answers a question that brings something; None when it brings nothing."""
        match http_request.method, http_request.segments:
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

    async def _whole(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        upload = self._promise(http_request, in_parts=False)
        await self._write(http_request, receive, upload)
        return wire_storage.uploaded(upload, http_request.links)

    async def _begin(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        return wire_storage.session(self._promise(http_request, in_parts=True), http_request.links)

    async def _part(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        number = int(http_request.segments[6])
        etag = await self._write(http_request, receive, self._session(http_request), number)
        return wire_storage.part(number, etag)

    async def _complete(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        return await self._finish(http_request, receive, self._session(http_request))

    async def _sign(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        reader = self._account(http_request)
        await http_request.read(receive, _MAX_LIST)
        path = _file(http_request)
        identity = self._storage.link(path, reader, wire_storage.link_s(wire_storage.document(http_request)))
        return wire_storage.signed(path, identity, http_request.links)

    # -- by a signed address

    async def _signed_whole(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        return wire_storage.stored(await self._write(http_request, receive, self._signed(http_request)))

    async def _signed_part(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        number = int(http_request.segments[4])
        etag = await self._write(http_request, receive, self._signed(http_request), number)
        return wire_storage.part(number, etag)

    async def _signed_complete(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        return await self._finish(http_request, receive, self._signed(http_request))

    # -- inside

    def _promise(self, http_request: HttpRequest, *, in_parts: bool) -> Upload:
        return self._storage.promise(
            self._account(http_request),
            wire_storage.file_name(http_request),
            wire_storage.media_type(http_request.header(b"content-type") or BINARY),
            wire_storage.terms(http_request),
            in_parts=in_parts,
        )

    def _signed(self, http_request: HttpRequest) -> Upload:
        upload = self._storage.signed(_file(http_request), http_request.params.get("signature", ""))
        http_request.account = upload.owner
        return upload

    def _session(self, http_request: HttpRequest) -> Upload:
        upload = self._storage.owned(_file(http_request), self._account(http_request))
        if http_request.segments[5] != wire_storage.session_id(upload):
            raise InvalidToken
        return upload

    def _account(self, http_request: HttpRequest) -> str:
        """Whom the bearer of a CDN token, or of a key, uploads for."""
        if http_request.bearer is not None:
            owner = self._storage.bearer(http_request.bearer)
            if owner is None:
                raise InvalidToken
        else:
            # assumption: keys in the place of tokens (a few scripts do so).
            owner = key_account(self._emulator, http_request)
        http_request.account = owner
        return owner

    async def _finish(self, http_request: HttpRequest, receive: Receive, upload: Upload) -> wire.AnyResponse:
        await http_request.read(receive, _MAX_LIST)
        self._storage.complete(upload, wire_storage.parts(wire_storage.document(http_request)))
        return wire_storage.uploaded(upload, http_request.links)

    async def _write(
        self, http_request: HttpRequest, receive: Receive, upload: Upload, part: int | None = None
    ) -> str:
        """Bring the body to disk as it comes, and return its ETag."""
        writer = self._storage.begin(upload, http_request.announced_bytes, part)
        loop = asyncio.get_running_loop()
        try:
            pieces: list[bytes] = []
            held = 0
            async for piece in http_request.pieces(receive):
                writer.reserve(len(piece))
                pieces.append(piece)
                held += len(piece)
                if held >= BATCH_BYTES:
                    await loop.run_in_executor(self.hands, writer.write, pieces)
                    pieces, held = [], 0
            if held > AT_ONCE_BYTES:
                await loop.run_in_executor(self.hands, writer.write, pieces)
            else:
                writer.write(pieces)
        except BaseException:
            self._storage.file_store.discard(writer)
            raise
        return self._storage.keep(writer)


Handler = Callable[[HttpRequest, Receive], Awaitable[wire.AnyResponse]]


def key_account(emulator: Emulator, http_request: HttpRequest) -> str:
    """Whose key a question brings, in the words of fal's storage. Raises HeaderRequired, InvalidKey, InvalidBearer."""
    try:
        owner = emulator.keys.account(http_request.authorization, "")
    except AuthenticationRequired:
        # assumption: what is answered for a value that is no `id:secret`.
        raise InvalidKey from None
    if owner is None:
        raise HeaderRequired
    return owner


def _hands() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_HANDS, thread_name_prefix="mock-fal-disk")


def _file(http_request: HttpRequest) -> str:
    """The address of the file that a question is about, without what is asked of it."""
    return "/" + "/".join(http_request.segments[:4])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
