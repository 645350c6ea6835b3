"""v3b.fal.media: the files of results. A picture is drawn when somebody asks for it."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from hashlib import sha256
from typing import Final

from starlette.responses import Response

from mock_fal.emulator import Emulator
from mock_fal.outcome import Answer, Outcome, Picture, pictures_in
from mock_fal.recipe import Recipe
from mock_fal.render import Darkroom
from mock_fal.store import Entry
from mock_fal.web import wire
from mock_fal.web.question import Question, Receive

# fal: the four CORS headers of the CDN (live, 2025).
# fal: unverified for 2026: ranges, ETags and the long life in caches.
_HEADERS: Final = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "*",
    "access-control-allow-headers": "*",
    "access-control-max-age": "86400",
    "accept-ranges": "bytes",
    "cache-control": "public, max-age=31536000, immutable",
}

# Drawing holds the interpreter only in part; more threads than this only fight over it.
_HANDS: Final = 2


class Media:
    """The media host, and the darkroom behind it."""

    def __init__(self, emulator: Emulator, darkroom: Darkroom) -> None:
        self._emulator = emulator
        self._darkroom = darkroom
        self._hands = ThreadPoolExecutor(_HANDS, thread_name_prefix="mock-fal-darkroom")

    async def answer(self, question: Question, receive: Receive) -> tuple[wire.Answering, Entry | None]:
        """The file at the question's path."""
        if question.method == "OPTIONS":
            return Response(status_code=204, headers=_HEADERS), None
        if question.method not in ("GET", "HEAD"):
            return wire.method_not_allowed("GET,HEAD"), None
        picture = self._emulator.store.files.get(question.path)
        if picture is None:
            # fal: unverified, the body for a file that is not there.
            return wire.reply(404, {"detail": "File not found"}, _HEADERS), None
        return await self._file(question, picture.recipe), None

    async def data_uris(self, outcome: Outcome) -> dict[Picture, str]:
        """The pictures that an answer carries in itself (`sync_mode`)."""
        if not isinstance(outcome, Answer):
            return {}
        inline = [picture for picture in pictures_in(outcome.body) if picture.inline]
        return {picture: _data_uri(picture.recipe, await self._develop(picture.recipe)) for picture in inline}

    def close(self) -> None:
        """Let go of the threads; a picture that is being drawn is finished first."""
        self._hands.shutdown(wait=True, cancel_futures=True)

    async def _file(self, question: Question, recipe: Recipe) -> wire.Answering:
        headers = {**_HEADERS, "etag": _etag(recipe)}
        if question.header(b"if-none-match") in (headers["etag"], "*"):
            return Response(status_code=304, headers=headers)
        data = await self._develop(recipe)
        wanted = _range(question.header(b"range"), len(data))
        if wanted is None:
            return Response(data, 200, headers, recipe.content_type)
        if not wanted:
            headers["content-range"] = f"bytes */{len(data)}"
            return Response(status_code=416, headers=headers)
        headers["content-range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{len(data)}"
        return Response(data[wanted.start : wanted.stop], 206, headers, recipe.content_type)

    async def _develop(self, recipe: Recipe) -> bytes:
        known = self._darkroom.peek(recipe)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._hands, self._darkroom.develop, recipe)


def _range(header: str, size: int) -> range | None:
    """The bytes that a Range header asks for: None for all of them, empty when there are none of these.

    One range is served; several, and what is no range, count as none (RFC 9110, 14.2 allows that).
    """
    unit, _, spec = header.replace(" ", "").partition("=")
    first, dash, last = spec.partition("-")
    numeric = all(not part or (part.isascii() and part.isdigit()) for part in (first, last))
    if unit != "bytes" or not dash or not numeric or not (first or last):
        return None
    if not first:
        return range(max(0, size - int(last)), size) if int(last) else range(0)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def _data_uri(recipe: Recipe, data: bytes) -> str:
    return f"data:{recipe.content_type};base64,{b64encode(data).decode()}"


@lru_cache(maxsize=1024)
def _etag(recipe: Recipe) -> str:
    return f'"{sha256(repr(recipe).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'
