"""v3b.fal.media: the files of results and those that were uploaded. A picture is drawn when somebody asks for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from functools import lru_cache
from hashlib import sha256
from typing import Final

from starlette.responses import Response, StreamingResponse

from mock_fal.acl import PUBLIC
from mock_fal.blob import read
from mock_fal.emulator import Emulator
from mock_fal.errors import FalError
from mock_fal.line import Entry
from mock_fal.recipe import Recipe
from mock_fal.vault import Upload
from mock_fal.web import wire
from mock_fal.web.download import not_modified, portion
from mock_fal.web.pictures import Pictures
from mock_fal.web.question import Question, Receive
from mock_fal.web.uploads import Uploads

# fal: the four CORS headers of the CDN (live, 2025).
_CORS: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"*"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
]

# fal: unverified for 2026: ranges, ETags and the long life in caches.
_HEADERS: Final = {"accept-ranges": "bytes", "cache-control": "public, max-age=31536000, immutable"}
_NOT_CACHED: Final = "private, no-cache"

# unlike fal: by our direct address a file has the origin of our own pages, so what could hold a script gets none.
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

    async def answer(self, question: Question, receive: Receive) -> tuple[wire.Answering, Entry | None]:
        """The file at the question's path, or what became of one that came; never about a request."""
        try:
            response = await self._answer(question, receive)
        except FalError as error:
            response = wire.error(error, "")
        response.raw_headers.extend(_CORS)
        return response, None

    def close(self) -> None:
        """Let go of the threads, until the next question."""
        self._uploads.close()

    async def _answer(self, question: Question, receive: Receive) -> wire.Answering:
        if question.method == "OPTIONS":
            return Response(status_code=204, headers=_HEADERS)
        incoming = self._uploads.route(question)
        if incoming is not None:
            return await incoming(question, receive)
        if question.method not in ("GET", "HEAD"):
            return wire.method_not_allowed("GET,HEAD")
        # fal: a key opens no file, only a CDN token does (storage documentation, 2026).
        file = self._emulator.storage.read(
            question.path,
            token=question.bearer or "",
            identity=question.params.get("identity", ""),
        )
        headers = dict(_HEADERS)
        if file.acl != PUBLIC or file.expires_at < math.inf:
            headers["cache-control"] = _NOT_CACHED
        if isinstance(file, Upload):
            return self._upload(question, file, headers)
        return await self._picture(question, file.picture.recipe, headers)

    async def _picture(self, question: Question, recipe: Recipe, headers: dict[str, str]) -> wire.Answering:
        headers["etag"] = _etag(recipe)
        if (known := not_modified(question, headers)) is not None:
            return known
        data = await self._pictures.develop(recipe)
        status, wanted, headers = portion(question, headers, len(data))
        return Response(data[wanted.start : wanted.stop], status, headers, recipe.content_type)

    def _upload(self, question: Question, upload: Upload, headers: dict[str, str]) -> wire.Answering:
        headers["etag"] = f'"{upload.etag}"'
        if upload.content_type.partition(";")[0].rstrip().endswith(_SCRIPTABLE):
            headers |= _SANDBOX
        if (known := not_modified(question, headers)) is not None:
            return known
        status, wanted, headers = portion(question, headers, upload.size)
        headers["content-type"] = upload.content_type
        if question.method == "HEAD" or not wanted:
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
