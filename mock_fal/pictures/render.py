"""Rendering recipes, and reading input pictures; loads Pillow on first use only."""

from __future__ import annotations

from threading import BoundedSemaphore

from mock_fal.pictures.recipe import Recipe, Source

LARGE_PIXELS = 8_000_000  # a larger picture takes seconds to render or to decode
LARGE_AT_ONCE = 2  # each takes one processor, and some 60 MB of memory to render
_large = BoundedSemaphore(LARGE_AT_ONCE)


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
