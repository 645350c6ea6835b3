"""Files of results and of inputs: rendered, read and decoded in threads, off the event loop."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mock_fal.errors import JSON
from mock_fal.requests.outcome import (
    MediaFile,
    MediaSize,
    Outcome,
    Rendered,
    RunnerResponse,
    media_files,
    media_sizes,
)

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from mock_fal.files.inputs import Content, InputFiles, LocalFile
    from mock_fal.media.recipe import MediaRecipe
    from mock_fal.media.render import MediaCache
    from mock_fal.models.job import Media
    from mock_fal.pictures.recipe import Recipe, Source
    from mock_fal.web.output_storage import OutputStorage, Send

T = TypeVar("T")

# Smaller files are written as data URIs on the event loop: 1 ms.
_INLINE_ENCODED_BYTES: Final = 1 << 20


@dataclass(slots=True, eq=False)
class _Job:
    """Work in a thread, and the number of callers that wait for it."""

    future: asyncio.Future[Any]
    waiting: int = 0


class Renderer:
    """The cache of rendered files, and the threads that render files and read those of inputs.

    Callers that ask for the same file share the work. Work that no caller waits for any longer, because all were
    cancelled, is dropped unless it has started.
    """

    def __init__(self) -> None:
        self._jobs: dict[Hashable, _Job] = {}
        # Uploads a file of a result; None without a server.
        self.send_output: Send | None = None

    # Imported with the first file: many runs download none.

    @cached_property
    def _cache(self) -> MediaCache:
        from mock_fal.media.render import MediaCache

        return MediaCache()

    @cached_property
    def _lanes(self) -> dict[str, ThreadPoolExecutor]:
        from concurrent.futures import ThreadPoolExecutor

        from mock_fal.pictures.render import LARGE_AT_ONCE

        # Rendering holds the interpreter lock part of the time, so more threads would not be faster.
        threads = {
            "small": 2,  # what takes up to 100 ms, so that it never waits behind large pictures and videos
            "large": LARGE_AT_ONCE,
            "input": 2,  # reads and hashes files, takes long inputs apart
        }
        return {
            name: ThreadPoolExecutor(number, thread_name_prefix=f"mock-fal-{name}")
            for name, number in threads.items()
        }

    def cached(self, recipe: MediaRecipe) -> bytes | None:
        """The file of a recipe if it was rendered before."""
        return self._cache.cached(recipe)

    async def render(self, recipe: MediaRecipe) -> bytes:
        """The file of a recipe."""
        known = self._cache.cached(recipe)
        if known is not None:
            return known
        from mock_fal.media.render import is_large

        return await self._share(recipe, _lane(is_large(recipe)), self._cache.render, recipe)

    async def content(self, files: InputFiles, file: LocalFile, media: Media) -> Content:
        """What is in a file that an input names: a picture, or what is known of other media. Raises UnusableFile."""
        from mock_fal.pictures.recipe import Recipe

        if media != "image":
            assert not isinstance(file, Recipe)
            return await self.in_thread(files.probed, file, media)
        if isinstance(file, Recipe):
            known = files.cached(file)
            return known if known else await self._decoded(files, await self.render(file), file)
        return await self._decoded(files, await self.in_thread(file))

    async def _decoded(self, files: InputFiles, data: bytes, recipe: Recipe | None = None) -> Source:
        from mock_fal.pictures.render import LARGE_PIXELS

        key, known, count = await self.in_thread(_look_at, files, data)
        return (
            known
            if known
            else await self._share(key, _lane(count > LARGE_PIXELS), files.decode, data, recipe)
        )

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of a function that takes long with a long input."""
        return await asyncio.get_running_loop().run_in_executor(self._lanes["input"], function, *arguments)

    async def _share(self, key: Hashable, lane: str, function: Callable[..., T], *arguments: Any) -> T:
        """The result of a function in a thread, which runs once for all callers with the same key."""
        job = self._jobs.get(key)
        if job is None:
            future = asyncio.wrap_future(self._lanes[lane].submit(function, *arguments))
            job = self._jobs[key] = _Job(future)
        job.waiting += 1
        try:
            result: T = await asyncio.shield(job.future)
            return result
        finally:
            job.waiting -= 1
            if not job.waiting:
                job.future.cancel()  # does nothing to a thread that has started
                if self._jobs.get(key) is job:
                    del self._jobs[key]

    async def rendered(self, outcome: Outcome) -> Rendered:
        """The data URIs (`sync_mode`) and the sizes of files that a result contains."""
        return (
            await self.rendered_in(outcome.body)
            if isinstance(outcome, RunnerResponse) and outcome.inline
            else {}
        )

    async def rendered_in(self, body: JSON) -> Rendered:
        """The data URIs of the files in a body that are marked as inline, and the sizes that it states."""
        rendered: dict[MediaFile | MediaSize, str | int] = {}
        for file in media_files(body):
            if file.bucket is not None:
                rendered[file] = await self.output_storage.address(file, self._of_file)
            elif file.inline:
                rendered[file] = await self._data_uri(file.recipe)
        for size in media_sizes(body):
            rendered[size] = len(await self.render(size.file.recipe))
        return rendered

    async def _of_file(self, file: MediaFile) -> bytes:
        return await self.render(file.recipe)

    @cached_property
    def output_storage(self) -> OutputStorage:
        """The storage of users' own for the files of results."""
        from mock_fal.web.output_storage import OutputStorage  # rarely used

        storage = OutputStorage()
        storage.send = self.send_output
        return storage

    async def _data_uri(self, recipe: MediaRecipe) -> str:
        data = await self.render(recipe)
        if len(data) <= _INLINE_ENCODED_BYTES:
            return _data_uri(recipe, data)
        return await self.in_thread(_data_uri, recipe, data)

    def close(self) -> None:
        """Stop the threads once they have finished their pictures. The next request starts new ones."""
        lanes = self.__dict__.pop("_lanes", {})
        for lane in lanes.values():
            lane.shutdown(wait=False, cancel_futures=True)
        for lane in lanes.values():
            lane.shutdown(wait=True)
        self._jobs.clear()


def _lane(is_large: bool) -> str:
    return "large" if is_large else "small"


def _look_at(files: InputFiles, data: bytes) -> tuple[bytes, Source | None, int]:
    """The key of a file, its picture if it was decoded before, else the number of its pixels. Raises UnusableFile."""
    from mock_fal.files.inputs import digest, pixels  # only for endpoints that take a picture

    key = digest(data)
    known = files.cached(key)
    return key, known, 0 if known else pixels(data)


def _data_uri(recipe: MediaRecipe, data: bytes) -> str:
    return f"data:{recipe.content_type};base64,{b64encode(data).decode()}"
