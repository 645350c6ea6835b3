"""v3b.fal.media: the files of results and those that were uploaded. A picture is drawn when somebody asks for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from functools import lru_cache
from hashlib import sha256
from typing import Final

from starlette.responses import Response, StreamingResponse

from mock_fal.accounts.acl import PUBLIC
from mock_fal.emulator import Emulator
from mock_fal.errors import FalError
from mock_fal.files.blobs import read
from mock_fal.files.file_store import Upload
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.download import not_modified, portion
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.pictures import Pictures
from mock_fal.web.uploads import Uploads

# fal: the four CORS headers of the CDN (live, 2025).
_CORS: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"*"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
]

# assumption: ranges, ETags and the long life in caches.
_HEADERS: Final = {"accept-ranges": "bytes", "cache-control": "public, max-age=31536000, immutable"}
_NOT_CACHED: Final = "private, no-cache"

# deviation: by our direct address a file has the origin of our own pages, so what could hold a script gets none.
_SCRIPTABLE: Final = ("html", "xml")
_SANDBOX: Final = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}

# A file up to this size is read at once; of a larger one, each piece in a thread.
_AT_ONCE_BYTES: Final = 128 << 10


class Media:
    """The media host."""

    def __init__(self, emulator: Emulator, pictures: Pictures) -> None:
        self._emulator = emulator
        self._pictures = pictures
        self._uploads = Uploads(emulator)

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The file at the question's path, or what became of one that came; never about a request."""
        try:
            response = await self._response(http_request, receive)
        except FalError as error:
            response = wire.error(error, "")
        response.raw_headers.extend(_CORS)
        return response, None

    def close(self) -> None:
        """Let go of the threads, until the next question."""
        self._uploads.close()

    async def _response(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        if http_request.method == "OPTIONS":
            return Response(status_code=204, headers=_HEADERS)
        incoming = self._uploads.route(http_request)
        if incoming is not None:
            return await incoming(http_request, receive)
        if http_request.method not in ("GET", "HEAD"):
            return wire.method_not_allowed("GET,HEAD")
        # fal: a key opens no file, only a CDN token does (storage documentation, 2026).
        file = self._emulator.storage.read(
            http_request.path,
            token=http_request.bearer or "",
            identity=http_request.params.get("identity", ""),
        )
        headers = dict(_HEADERS)
        if file.acl != PUBLIC or file.expires_at < math.inf:
            headers["cache-control"] = _NOT_CACHED
        if isinstance(file, Upload):
            return self._upload(http_request, file, headers)
        return await self._picture(http_request, file.picture.recipe, headers)

    async def _picture(
        self, http_request: HttpRequest, recipe: Recipe, headers: dict[str, str]
    ) -> wire.AnyResponse:
        headers["etag"] = _etag(recipe)
        if (known := not_modified(http_request, headers)) is not None:
            return known
        data = await self._pictures.render(recipe)
        status, wanted, headers = portion(http_request, headers, len(data))
        return Response(data[wanted.start : wanted.stop], status, headers, recipe.content_type)

    def _upload(self, http_request: HttpRequest, upload: Upload, headers: dict[str, str]) -> wire.AnyResponse:
        headers["etag"] = f'"{upload.etag}"'
        if upload.content_type.partition(";")[0].rstrip().endswith(_SCRIPTABLE):
            headers |= _SANDBOX
        if (known := not_modified(http_request, headers)) is not None:
            return known
        status, wanted, headers = portion(http_request, headers, upload.size)
        headers["content-type"] = upload.content_type
        if http_request.method == "HEAD" or not wanted:
            return Response(status_code=status, headers=headers)
        return StreamingResponse(self._pieces(upload, wanted), status, headers)

    async def _pieces(self, upload: Upload, wanted: range) -> AsyncIterator[bytes]:
        pieces = read(upload.blobs or (), wanted)
        if len(wanted) <= _AT_ONCE_BYTES:
            for piece in pieces:
                yield piece
            return
        loop = asyncio.get_running_loop()
        while data := await loop.run_in_executor(self._uploads.hands, next, pieces, b""):
            yield data


@lru_cache(maxsize=1024)
def _etag(recipe: Recipe) -> str:
    return f'"{sha256(repr(recipe).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'
