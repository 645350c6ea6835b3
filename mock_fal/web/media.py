"""v3b.fal.media: uploads, result files and downloads. A file of a result is rendered when it is first downloaded."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from functools import lru_cache
from hashlib import sha256
from typing import Final

from starlette.responses import Response, StreamingResponse

from mock_fal.accounts.acl import PUBLIC
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import FalError
from mock_fal.files.blobs import read
from mock_fal.files.file_store import Upload
from mock_fal.files.storage import File
from mock_fal.media.recipe import MediaRecipe, OwnFile, texts
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.download import not_modified, select_range
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.renderer import Renderer
from mock_fal.web.stream import while_connected
from mock_fal.web.unbuilt import build_all
from mock_fal.web.uploads import Uploads

# fal: the four CORS headers of the CDN (live, 2025).
_CORS: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"*"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
]

# fal: the cache-control of results, 60 days (live, 2026-09). assumption: uploads have it too.
# assumption: the CDN serves ranges and ETags.
_HEADERS: Final = {"accept-ranges": "bytes", "cache-control": "public, max-age=5184000, immutable"}
_NOT_CACHED: Final = "private, no-cache"

# Smaller files are read on the event loop, larger ones in a thread.
_INLINE_READ_BYTES: Final = 128 << 10

# A result up to this size is sent as one body; a longer one, such as a sound of minutes, in pieces.
_WHOLE_BYTES: Final = 4 << 20
_PIECE_BYTES: Final = 1 << 20


class Media:
    """The media host."""

    def __init__(self, emulator: Emulator, renderer: Renderer) -> None:
        self._emulator = emulator
        self._renderer = renderer
        self._uploads = Uploads(emulator)

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The file at the path, or the result of an upload; never about a request to a model."""
        try:
            response = await self._response(http_request, receive)
        except FalError as error:
            response = wire.error(error, "")
        response.raw_headers = [*response.raw_headers, *_CORS]
        return response, None

    def at_once(self, http_request: HttpRequest) -> tuple[Response, None] | None:
        """A file of a result, or a small part of it, if it was rendered before; None for all else."""
        is_known = self._emulator.store.knows_file(http_request.path)
        if not is_known or http_request.method not in ("GET", "HEAD") or self._uploads.route(http_request):
            return None
        try:
            file = self._file(http_request)
        except FalError:
            return None
        if isinstance(file, Upload):
            return None
        recipe, headers = file.file.recipe, _headers(file)
        response = self._unchanged(http_request, recipe, headers)
        if response is None:
            data = self._renderer.cached(recipe)
            if data is None:
                return None
            response = self._contents(http_request, recipe, data, headers)
        if isinstance(response, StreamingResponse) or len(response.body) > _INLINE_READ_BYTES:
            return None
        response.raw_headers = [*response.raw_headers, *_CORS]
        return response, None

    def close(self) -> None:
        """Stop the worker threads. The next request starts new ones."""
        self._uploads.close()

    async def _response(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        if http_request.method == "OPTIONS":
            return Response(status_code=204, headers=_HEADERS)
        upload_handler = self._uploads.route(http_request)
        if upload_handler is not None:
            return await upload_handler(http_request, receive)
        if http_request.method not in ("GET", "HEAD"):
            return wire.method_not_allowed("GET,HEAD")
        if not self._emulator.store.knows_file(http_request.path):
            await build_all(self._emulator.store)
        return await self._download(http_request, receive, self._file(http_request))

    def _file(self, http_request: HttpRequest) -> File:
        # fal: files are read with a CDN token, not with a key (storage documentation, 2026).
        return self._emulator.storage.read(
            http_request.path,
            token=http_request.bearer or "",
            identity=http_request.params.get("identity", ""),
        )

    async def content(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        """The file at the path for the user of this server, who needs no permission. Raises FileMissing."""
        return await self._download(http_request, receive, self._emulator.storage.find(http_request.path))

    async def _download(self, http_request: HttpRequest, receive: Receive, file: File) -> wire.AnyResponse:
        headers = _headers(file)
        if isinstance(file, Upload):
            return self._upload(http_request, file, headers)
        recipe = file.file.recipe
        if (response := self._unchanged(http_request, recipe, headers)) is not None:
            return response
        data = self._renderer.cached(recipe)
        if data is None:
            data = await while_connected(receive, self._renderer.render(recipe))
        return self._contents(http_request, recipe, data, headers)

    def _unchanged(
        self, http_request: HttpRequest, recipe: MediaRecipe, headers: dict[str, str]
    ) -> Response | None:
        headers["etag"] = _etag(recipe)
        return not_modified(http_request, headers)

    def _contents(
        self, http_request: HttpRequest, recipe: MediaRecipe, data: bytes, headers: dict[str, str]
    ) -> Response:
        status, byte_range, headers = select_range(http_request, headers, len(data))
        headers["content-type"] = recipe.content_type
        if http_request.method == "HEAD" or not byte_range:
            return Response(status_code=status, headers=headers)
        if len(byte_range) <= _INLINE_READ_BYTES or len(byte_range) == len(data) <= _WHOLE_BYTES:
            return Response(data[byte_range.start : byte_range.stop], status, headers)
        return StreamingResponse(_slices(data, byte_range), status, headers)

    def _upload(self, http_request: HttpRequest, upload: Upload, headers: dict[str, str]) -> wire.AnyResponse:
        headers["etag"] = f'"{upload.etag}"'
        if (response := not_modified(http_request, headers)) is not None:
            return response
        status, byte_range, headers = select_range(http_request, headers, upload.size)
        headers["content-type"] = upload.content_type
        if http_request.method == "HEAD" or not byte_range:
            return Response(status_code=status, headers=headers)
        return StreamingResponse(self._chunks(upload, byte_range), status, headers)

    async def _chunks(self, upload: Upload, byte_range: range) -> AsyncIterator[bytes]:
        chunks = read(upload.blobs or (), byte_range)
        if len(byte_range) <= _INLINE_READ_BYTES:
            for chunk in chunks:
                yield chunk
            return
        loop = asyncio.get_running_loop()
        while chunk := await loop.run_in_executor(self._uploads.executor, next, chunks, b""):
            yield chunk


def _headers(file: File) -> dict[str, str]:
    """The headers of a file, without those of its contents."""
    is_cached = file.acl == PUBLIC and file.expires_at == math.inf
    return dict(_HEADERS) if is_cached else {**_HEADERS, "cache-control": _NOT_CACHED}


async def _slices(data: bytes, byte_range: range) -> AsyncIterator[bytes]:
    """Bytes of a file, in pieces."""
    for start in range(byte_range.start, byte_range.stop, _PIECE_BYTES):
        yield data[start : min(start + _PIECE_BYTES, byte_range.stop)]


# Recipes with longer texts are not cached, so that the cache is bounded.
_MAX_CACHED_TEXT: Final = 2000


def _etag(recipe: MediaRecipe) -> str:
    if isinstance(recipe, OwnFile):
        return f'"{recipe.digest[:32]}"'
    is_short = sum(map(len, texts(recipe))) <= _MAX_CACHED_TEXT
    return (_recipe_etag if is_short else _recipe_etag.__wrapped__)(recipe)


@lru_cache(maxsize=1024)
def _recipe_etag(recipe: MediaRecipe) -> str:
    return f'"{sha256(repr(recipe).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'
