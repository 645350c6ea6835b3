"""Rendering recipes, the picture cache, and reading input pictures; loads Pillow on first use only."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from sys import getsizeof
from threading import BoundedSemaphore, Lock

from mock_fal.pictures.recipe import Recipe, Source

LARGE_PIXELS = 8_000_000  # a larger picture takes seconds to render or to decode
LARGE_AT_ONCE = 2  # each takes one processor, and some 60 MB of memory to render
_large = BoundedSemaphore(LARGE_AT_ONCE)

# Some 500 pictures of 1024 x 768: enough for a long test run.
CACHE_BYTES = 64 * 1024 * 1024


def render(recipe: Recipe) -> bytes:
    """The file of a picture, of exactly the size in its recipe. The same recipe gives the same bytes.

    >>> render(Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=64, height=48))[:2]
    b'\\xff\\xd8'
    """
    # Pillow takes some 30 ms to import, and many runs never download a picture.
    from mock_fal.pictures.paint import paint

    if recipe.width * recipe.height <= LARGE_PIXELS:
        return paint(recipe)
    with _large:
        return paint(recipe)


def read_size(data: bytes) -> tuple[int, int]:
    """`source.read_size`, with Pillow imported at the first call. Raises UnusableFile."""
    from mock_fal.pictures.source import read_size

    return read_size(data)


def read_source(data: bytes) -> Source:
    """`source.read_source`, with Pillow imported at the first call. Raises UnusableFile."""
    from mock_fal.pictures.source import read_source

    return read_source(data)


class PictureCache:
    """Renders pictures and caches the most recently used ones, up to `max_bytes` in total.

    Thread-safe. A call for a picture that another thread is rendering waits for that rendering. An error is raised
    in all waiting calls and isn't cached. A picture larger than `max_bytes` is returned and not cached.

    >>> cache = PictureCache(max_bytes=1_000_000)
    >>> cat = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=64, height=48)
    >>> cache.cached(cat) is None
    True
    >>> cache.render(cat) is cache.cached(cat)
    True
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._pictures: OrderedDict[Recipe, bytes] = OrderedDict()
        self._pending: dict[Recipe, Future[bytes]] = {}
        self._lock = Lock()

    def cached(self, recipe: Recipe) -> bytes | None:
        """The picture if it is cached; never renders and never waits for a rendering."""
        with self._lock:
            return self._lookup(recipe)

    def render(self, recipe: Recipe) -> bytes:
        """The picture, rendered unless it is cached. Blocks for milliseconds to seconds: call it off the event loop."""
        with self._lock:
            if picture := self._lookup(recipe):
                return picture
            pending = self._pending.get(recipe)
            future = self._pending.setdefault(recipe, Future())
        return pending.result() if pending else self._render(recipe, future)

    def _lookup(self, recipe: Recipe) -> bytes | None:
        if recipe in self._pictures:
            self._pictures.move_to_end(recipe)
        return self._pictures.get(recipe)

    def _render(self, recipe: Recipe, future: Future[bytes]) -> bytes:
        try:
            picture = render(recipe)
        except BaseException as error:
            with self._lock:
                del self._pending[recipe]
            future.set_exception(error)
            raise
        with self._lock:
            self._add(recipe, picture)
            del self._pending[recipe]
        future.set_result(picture)
        return picture

    def _add(self, recipe: Recipe, picture: bytes) -> None:
        if _size(recipe, picture) > self._max_bytes:
            return
        self._pictures[recipe] = picture
        self._bytes += _size(recipe, picture)
        while self._bytes > self._max_bytes:
            removed = self._pictures.popitem(last=False)
            self._bytes -= _size(*removed)


def _size(recipe: Recipe, picture: bytes) -> int:
    """The bytes of a picture in the cache. The prompt may be longer than the picture, and lives as long."""
    return len(picture) + getsizeof(recipe.prompt)
