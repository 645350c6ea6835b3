"""Pictures on their way into answers: drawn in threads, off the event loop."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mock_fal.errors import JSON
from mock_fal.pictures.recipe import Recipe
from mock_fal.pictures.render import PictureCache
from mock_fal.requests.outcome import Outcome, Picture, RunnerResponse, pictures_in

# Drawing holds the interpreter only in part; more threads than this only fight over it.
_HANDS: Final = 2


class Pictures:
    """The darkroom, and the hands in it."""

    def __init__(self, picture_cache: PictureCache) -> None:
        self._cache = picture_cache
        self._hands = _hands()

    async def render(self, recipe: Recipe) -> bytes:
        """The file of a picture."""
        known = self._cache.peek(recipe)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._hands, self._cache.render, recipe)

    async def data_uris(self, outcome: Outcome) -> dict[Picture, str]:
        """The pictures that an answer carries in itself (`sync_mode`)."""
        return (
            await self.inlined(outcome.body) if isinstance(outcome, RunnerResponse) and outcome.inline else {}
        )

    async def inlined(self, body: JSON) -> dict[Picture, str]:
        """The same, of a body of which it isn't known."""
        inline = [picture for picture in pictures_in(body) if picture.inline]
        return {picture: _data_uri(picture.recipe, await self.render(picture.recipe)) for picture in inline}

    def close(self) -> None:
        """Let go of the threads, until the next question; a picture that is being drawn is finished first."""
        self._hands.shutdown(wait=True, cancel_futures=True)
        self._hands = _hands()


def _hands() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_HANDS, thread_name_prefix="mock-fal-darkroom")


def _data_uri(recipe: Recipe, data: bytes) -> str:
    return f"data:{recipe.content_type};base64,{b64encode(data).decode()}"
