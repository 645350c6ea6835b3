"""The frames of an H.264 video: key frames, a progress bar that moves, a time counter that is redrawn each second."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from struct import pack
from typing import Final

from mock_fal.media.frame_layout import SIDE
from mock_fal.media.frame_picture import FramePicture
from mock_fal.media.h264 import Pixels, key_slice, later_frame

# A player that seeks decodes from the key frame before.
KEY_S: Final = 20

# Copying further than this left would need a vector beyond the limit (2048 pixels, Table A-1).
MAX_COPY: Final = 2000


def samples(picture: FramePicture, count: int, fps: Fraction) -> tuple[list[bytes], list[int]]:
    """The samples of `count` frames, and which of them are key frames."""
    layout = picture.layout
    macroblocks = layout.columns * layout.rows
    # What changes is in the slice of the lower rows; the upper slice is the same in all key frames.
    split = layout.timer.region.row if layout.timer else layout.bar.row if layout.bar else 0
    keys = list(range(0, count, max(2, int(fps * KEY_S))))
    upper = [key_slice(picture.planes(0), picture.sharp, 0, split)] if split else []
    found: list[bytes] = []
    edge, second, timer = 0, 0, picture.timer_pixels(0)
    for first, after in zip(keys, [*keys[1:], count], strict=True):
        edge, second = _edge(picture, first, count), int(first / fps)
        timer = picture.timer_pixels(second)
        sharp = picture.sharp | timer
        if layout.bar:
            sharp[layout.bar.row * layout.columns + edge // SIDE] = picture.bar_pixels(edge % SIDE)
        found.append(_sample(*upper, key_slice(picture.planes(edge), sharp, split, layout.rows)))
        for number in range(first + 1, after):
            changes: dict[int, int | Pixels] = {}
            if (moved := _edge(picture, number, count)) != edge:
                changes |= _bar_changes(picture, edge, moved)
                edge = moved
            # Comparing integers: two frames of one second are the common case.
            if (now := number * fps.denominator // fps.numerator) != second:
                before, timer, second = timer, picture.timer_pixels(now), now
                changes |= {at: pixels for at, pixels in timer.items() if before.get(at) != pixels}
            if changes:
                found.append(_sample(later_frame(number - first, macroblocks, changes)))
            else:
                found.append(_still((number - first) % 16, macroblocks))
    return found, keys


def _sample(*units: bytes) -> bytes:
    return b"".join([part for unit in units for part in (pack(">I", len(unit)), unit)])


@lru_cache(maxsize=64)
def _still(number: int, macroblocks: int) -> bytes:
    return _sample(later_frame(number, macroblocks, {}))


def _edge(picture: FramePicture, number: int, count: int) -> int:
    """Up to where the bar is filled, in pixels: even, so that colours move by whole samples; never empty."""
    if not picture.layout.bar:
        return 0
    last = picture.layout.width // 2
    return min(2 + 2 * (last * number // max(1, count - 1)), 2 * last)


def _bar_changes(picture: FramePicture, before: int, after: int) -> dict[int, int | Pixels]:
    """The macroblocks of the bar between two edges. Left of the picture, decoders repeat its first column."""
    bar, distance = picture.layout.bar, after - before
    assert bar
    first = bar.row * picture.layout.columns
    columns = range(before // SIDE, min(-(-after // SIDE), picture.layout.columns))
    if distance <= MAX_COPY:
        return {first + column: distance for column in columns}
    return {first + column: picture.bar_pixels(min(SIDE, after - SIDE * column)) for column in columns}
