"""Recipe to bytes, once for each recipe that is asked for: the darkroom, and the door behind which Pillow is kept."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from threading import BoundedSemaphore, Lock

from mock_fal.pictures.recipe import Recipe, Source

LARGE_PIXELS = 8_000_000  # from here on a picture takes more than a moment
LARGE_AT_ONCE = 2  # each takes a processor, and some 60 MB of memory
_large = BoundedSemaphore(LARGE_AT_ONCE)

# Some 500 pictures of 1024 x 768: what a long test run looks at, and little beside Python itself.
CACHE_BYTES = 64 * 1024 * 1024


def render(recipe: Recipe) -> bytes:
    """The file of a picture, a JPEG or PNG of exactly the size asked for. The same recipe gives the same bytes.

    >>> render(Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=64, height=48))[:2]
    b'\\xff\\xd8'
    """
    # Pillow costs some 30 ms to load and many runs never look at a picture.
    from mock_fal.pictures.paint import paint

    if recipe.width * recipe.height <= LARGE_PIXELS:
        return paint(recipe)
    with _large:
        return paint(recipe)


def look(data: bytes) -> Source:
    """The picture in a file that somebody gives. Raises UnusableFile for what is none, or none that a model reads."""
    from mock_fal.pictures.source import look

    return look(data)


class PictureCache:
    """Develops pictures and keeps those last asked for, up to `max_bytes` in all.

    Any thread may ask. Who asks for a picture that another thread is making waits for that one; a failure to make
    it goes to all who wait and isn't kept. A picture larger than the whole budget is given and forgotten.

    >>> darkroom = Darkroom(max_bytes=1_000_000)
    >>> cat = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=64, height=48)
    >>> darkroom.peek(cat) is None
    True
    >>> darkroom.develop(cat) is darkroom.peek(cat)
    True
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[Recipe, bytes] = OrderedDict()
        self._under_way: dict[Recipe, Future[bytes]] = {}
        self._lock = Lock()

    def peek(self, recipe: Recipe) -> bytes | None:
        """The picture if it is kept; never renders and never waits for a rendering."""
        with self._lock:
            return self._peek(recipe)

    def render(self, recipe: Recipe) -> bytes:
        """The picture, rendered if need be. Takes milliseconds to seconds: not for an event loop."""
        with self._lock:
            if kept := self._peek(recipe):
                return kept
            awaited = self._under_way.get(recipe)
            ours = self._under_way.setdefault(recipe, Future())
        return awaited.result() if awaited else self._make(recipe, ours)

    def _peek(self, recipe: Recipe) -> bytes | None:
        if recipe in self._kept:
            self._kept.move_to_end(recipe)
        return self._kept.get(recipe)

    def _make(self, recipe: Recipe, promise: Future[bytes]) -> bytes:
        try:
            picture = render(recipe)
        except BaseException as error:
            with self._lock:
                del self._under_way[recipe]
            promise.set_exception(error)
            raise
        with self._lock:
            self._keep(recipe, picture)
            del self._under_way[recipe]
        promise.set_result(picture)
        return picture

    def _keep(self, recipe: Recipe, picture: bytes) -> None:
        if len(picture) > self._max_bytes:
            return
        self._kept[recipe] = picture
        self._bytes += len(picture)
        while self._bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest)
