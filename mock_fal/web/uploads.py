"""Uploads to the media host: whole files and multipart uploads, with a signed URL or a token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mock_fal.accounts.permissions import RUN
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import AuthenticationRequired, HeaderRequired, InvalidKey, InvalidToken
from mock_fal.files.file_name import BINARY
from mock_fal.files.file_store import Upload
from mock_fal.web import wire, wire_storage
from mock_fal.web.http_request import HttpRequest, Receive

# Bytes of one upload held in memory before a thread writes them to disk. The Python client sends ten parts at a time,
# which then hold 10 MiB. A small remainder is written on the event loop.
BATCH_BYTES: Final = 1 << 20
INLINE_WRITE_BYTES: Final = 128 << 10

# The list of parts of the largest file is about one megabyte.
_MAX_LIST: Final = 4 << 20

# More threads would only wait for the disk.
_THREADS: Final = 4


class Uploads:
    """The upload handlers of the media host."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._storage = emulator.storage
        self.executor = _new_executor()

    def route(self, http_request: HttpRequest) -> Handler | None:
        """The handler of an upload request; None for other requests."""
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
        """Stop the threads once they have finished writing. The next request starts new ones."""
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.executor = _new_executor()

    # -- with a token

    async def _whole(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        upload = self._create_upload(http_request, in_parts=False)
        await self._write(http_request, receive, upload)
        return wire_storage.uploaded(upload, http_request.links)

    async def _begin(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        return wire_storage.session(self._create_upload(http_request, in_parts=True), http_request.links)

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

    # -- with a signed URL

    async def _signed_whole(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        return wire_storage.stored(await self._write(http_request, receive, self._signed(http_request)))

    async def _signed_part(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        number = int(http_request.segments[4])
        etag = await self._write(http_request, receive, self._signed(http_request), number)
        return wire_storage.part(number, etag)

    async def _signed_complete(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        return await self._finish(http_request, receive, self._signed(http_request))

    # -- helpers

    def _create_upload(self, http_request: HttpRequest, *, in_parts: bool) -> Upload:
        return self._storage.create_upload(
            self._account(http_request),
            wire_storage.file_name(http_request),
            wire_storage.media_type(http_request.header(b"content-type") or BINARY),
            wire_storage.object_lifecycle(http_request),
            in_parts=in_parts,
        )

    def _signed(self, http_request: HttpRequest) -> Upload:
        upload = self._storage.signed_upload(_file(http_request), http_request.params.get("signature", ""))
        http_request.account = upload.owner
        return upload

    def _session(self, http_request: HttpRequest) -> Upload:
        upload = self._storage.owned_upload(_file(http_request), self._account(http_request))
        if http_request.segments[5] != wire_storage.session_id(upload):
            raise InvalidToken
        return upload

    def _account(self, http_request: HttpRequest) -> str:
        """The account of a CDN token or a key."""
        if http_request.bearer is not None:
            owner = self._storage.token_owner(http_request.bearer)
            if owner is None:
                raise InvalidToken
        else:
            # assumption: keys are accepted in place of tokens (a few scripts send them).
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
        """Write the body to disk while it arrives, and return its ETag."""
        writer = self._storage.open_writer(upload, http_request.content_length, part)
        loop = asyncio.get_running_loop()
        try:
            chunks: list[bytes] = []
            buffered = 0
            async for chunk in http_request.chunks(receive):
                writer.reserve(len(chunk))
                chunks.append(chunk)
                buffered += len(chunk)
                if buffered >= BATCH_BYTES:
                    await loop.run_in_executor(self.executor, writer.write, chunks)
                    chunks, buffered = [], 0
            if buffered > INLINE_WRITE_BYTES:
                await loop.run_in_executor(self.executor, writer.write, chunks)
            else:
                writer.write(chunks)
        except BaseException:
            self._storage.file_store.discard(writer)
            raise
        return self._storage.commit(writer)


Handler = Callable[[HttpRequest, Receive], Awaitable[wire.AnyResponse]]


def key_account(emulator: Emulator, http_request: HttpRequest, needs: str = RUN) -> str:
    """The account of a request's key, which must have the permission `needs`.

    Raises HeaderRequired, InvalidKey, InvalidBearer or InsufficientPermissions.
    """
    try:
        owner = emulator.keys.account(http_request.authorization, "", needs)
    except AuthenticationRequired:
        # assumption: a value that is not `id:secret` gets the response for an invalid key.
        raise InvalidKey from None
    if owner is None:
        raise HeaderRequired
    return owner


def _new_executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="mock-fal-disk")


def _file(http_request: HttpRequest) -> str:
    """The path of the file, without the operation after it."""
    return "/" + "/".join(http_request.segments[:4])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
