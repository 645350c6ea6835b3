"""Rendering recipes of any media, and the cache of rendered files. Encoders are loaded on first use only."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from sys import getsizeof
from threading import Lock
from typing import Final

from mock_fal.media.recipe import Document, MediaRecipe, Model3D, OwnFile, Sound, Video, texts
from mock_fal.media.timing import channel_count, frame_count, sample_count, video_size
from mock_fal.pictures import render as pictures
from mock_fal.pictures.recipe import Format, Recipe
from mock_fal.pictures.render import LARGE_PIXELS

# Some 500 pictures of 1024 x 768: enough for a long test run.
CACHE_BYTES: Final = 64 * 1024 * 1024


def render(recipe: MediaRecipe) -> bytes:
    """The file of a recipe. The same recipe gives the same bytes.

    >>> render(Sound("a cat", duration_s=1))[:4]
    b'RIFF'
    """
    match recipe:
        case Recipe():
            return pictures.render(recipe)
        case Video():
            from mock_fal.media import video

            return video.render(recipe)
        case Sound():
            from mock_fal.media import audio

            return audio.render(recipe)
        case Model3D():
            from mock_fal.media import model3d

            return model3d.render(recipe)
        case Document():
            from mock_fal.media import documents

            return documents.render(recipe)
        case OwnFile():
            return recipe.data


# How long a pixel takes in a format, compared with one of a JPEG (12 ns). Each frame of a video adds some 1,000.
_PICTURE_COSTS: Final[dict[Format, int]] = {"jpeg": 1, "png": 2, "webp": 7, "avif": 6, "gif": 7}
_VIDEO_COSTS: Final = {"mp4": 3, "webm": 3, "gif": 14}
_FRAME_COST: Final = 1000


def is_large(recipe: MediaRecipe) -> bool:
    """Whether a file takes longer to render than a JPEG of LARGE_PIXELS: some 100 ms."""
    match recipe:
        case Recipe():
            cost = recipe.width * recipe.height * _PICTURE_COSTS[recipe.format]
        case Video():
            width, height = video_size(recipe)
            cost = width * height * _VIDEO_COSTS[recipe.format] + _FRAME_COST * frame_count(recipe)
        case Sound():
            # Files of MP3 and Ogg repeat what they encode once. A second of WAV and FLAC counts by its memory, too.
            is_raw = recipe.format in ("wav", "flac")
            cost = sample_count(recipe) * channel_count(recipe) // 2 if is_raw else 0
        case Model3D() | Document() | OwnFile():
            cost = 0
    return cost > LARGE_PIXELS


class MediaCache:
    """Renders files and caches the most recently used ones, up to `max_bytes` in total.

    Thread-safe. A call for a file that another thread is rendering waits for that rendering. An error is raised
    in all waiting calls and isn't cached. A file larger than `max_bytes` is returned and not cached.

    >>> cache = MediaCache(max_bytes=1_000_000)
    >>> cat = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=64, height=48)
    >>> cache.cached(cat) is None
    True
    >>> cache.render(cat) is cache.cached(cat)
    True
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._files: OrderedDict[MediaRecipe, bytes] = OrderedDict()
        self._pending: dict[MediaRecipe, Future[bytes]] = {}
        self._lock = Lock()

    def cached(self, recipe: MediaRecipe) -> bytes | None:
        """The file if it is cached; never renders and never waits for a rendering."""
        if isinstance(recipe, OwnFile):
            return recipe.data  # kept with the request
        with self._lock:
            return self._lookup(recipe)

    def render(self, recipe: MediaRecipe) -> bytes:
        """The file, rendered unless it is cached. Blocks for milliseconds to seconds: call it off the event loop."""
        if isinstance(recipe, OwnFile):
            return recipe.data
        with self._lock:
            if (file := self._lookup(recipe)) is not None:
                return file
            pending = self._pending.get(recipe)
            future = self._pending.setdefault(recipe, Future())
        return pending.result() if pending else self._render(recipe, future)

    def _lookup(self, recipe: MediaRecipe) -> bytes | None:
        if recipe in self._files:
            self._files.move_to_end(recipe)
        return self._files.get(recipe)

    def _render(self, recipe: MediaRecipe, future: Future[bytes]) -> bytes:
        try:
            file = render(recipe)
        except BaseException as error:
            with self._lock:
                del self._pending[recipe]
            future.set_exception(error)
            raise
        with self._lock:
            self._add(recipe, file)
            del self._pending[recipe]
        future.set_result(file)
        return file

    def _add(self, recipe: MediaRecipe, file: bytes) -> None:
        if _size(recipe, file) > self._max_bytes:
            return
        self._files[recipe] = file
        self._bytes += _size(recipe, file)
        while self._bytes > self._max_bytes:
            removed = self._files.popitem(last=False)
            self._bytes -= _size(*removed)


def _size(recipe: MediaRecipe, file: bytes) -> int:
    """The bytes of a file in the cache. The texts of its recipe may be longer than the file, and live as long."""
    return len(file) + sum(map(getsizeof, texts(recipe)))
