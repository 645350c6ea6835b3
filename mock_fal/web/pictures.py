"""Pictures in responses, rendered in threads, off the event loop."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mock_fal.errors import JSON
from mock_fal.pictures.recipe import Recipe
from mock_fal.pictures.render import PictureCache
from mock_fal.requests.outcome import Outcome, Picture, RunnerResponse, pictures_in

# Rendering holds the interpreter lock part of the time, so more threads would not be faster.
_THREADS: Final = 2


class Pictures:
    """The picture cache and the threads that render for it."""

    def __init__(self, picture_cache: PictureCache) -> None:
        self._cache = picture_cache
        self._executor = _new_executor()

    async def render(self, recipe: Recipe) -> bytes:
        """The file of a picture."""
        known = self._cache.cached(recipe)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._cache.render, recipe)

    async def data_uris(self, outcome: Outcome) -> dict[Picture, str]:
        """The pictures that a result contains as data URIs (`sync_mode`)."""
        return (
            await self.inline_data_uris(outcome.body)
            if isinstance(outcome, RunnerResponse) and outcome.inline
            else {}
        )

    async def inline_data_uris(self, body: JSON) -> dict[Picture, str]:
        """The pictures in a body that are marked as inline, as data URIs."""
        inline = [picture for picture in pictures_in(body) if picture.inline]
        return {picture: _data_uri(picture.recipe, await self.render(picture.recipe)) for picture in inline}

    def close(self) -> None:
        """Stop the threads once they have finished their pictures. The next request starts new ones."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._executor = _new_executor()


def _new_executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="mock-fal-render")


def _data_uri(recipe: Recipe, data: bytes) -> str:
    return f"data:{recipe.content_type};base64,{b64encode(data).decode()}"
