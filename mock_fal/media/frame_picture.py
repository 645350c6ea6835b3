"""The picture of a video in macroblocks: soft planes, sharp captions, the time counter and the bar. Imports Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from PIL import Image, ImageChops

from mock_fal.media.frame_layout import SHARP_MACROBLOCKS, SIDE, Layout, Region, clock
from mock_fal.media.h264 import Pixels, Planes
from mock_fal.pictures.caption import measure
from mock_fal.pictures.paint import (
    Canvas,
    text_mask,
)
from mock_fal.pictures.plan import Plan

# A macroblock whose blocks differ by no more than this from their mean is flat: the step can't be seen, and flat
# macroblocks cost next to nothing.
FLAT: Final = 2

# A macroblock of a caption without letters in it isn't sharp.
CONTRAST: Final = 16

# The edges between areas may be sharp in as many macroblocks, less those of the caption: then ten seconds of 1080p stay
# below 250 kB. STEPS is the mean difference from the sharp picture, in luma, from which on one is worth its bytes.
EDGE_MACROBLOCKS: Final = 320
STEPS: Final = 3

FILLED: Final = 225  # luma of the bar
TRACK_LIFT: Final = 40  # of the rest of the bar, above the background
TEXT: Final = 232  # luma of the time counter

YCbCr = tuple[Image.Image, Image.Image, Image.Image]


class FramePicture:
    """All that is seen in a video."""

    def __init__(self, plan: Plan | None, layout: Layout) -> None:
        self.layout = layout
        wide, high = layout.columns * SIDE, layout.rows * SIDE
        if plan is None:
            self._whole = Image.new("RGB", (wide, high))
        else:
            plan = replace(plan, caption=layout.caption, noise=None)
            self._whole = Canvas(plan, wide, high).band(0, high)
        soft = self._whole.reduce(4)
        luma, cb, cr = soft.convert("YCbCr").split()
        luma, cb, cr = _flattened(luma, 4), _flattened(cb.reduce(2), 2), _flattened(cr.reduce(2), 2)
        self._bar_colours = (0, 128, 128)
        if layout.bar:
            row = layout.bar.row
            means = (_mean(luma, 4 * row, 4), _mean(cb, 2 * row, 2), _mean(cr, 2 * row, 2))
            self._bar_colours = means
            for plane, side, value in zip((luma, cb, cr), (4, 2, 2), means, strict=True):
                plane.paste(value, (0, side * row, plane.width, side * row + side))
        self._planes = (luma, cb, cr)
        self.sharp = dict(self._captions())
        self.sharp |= self._edges(max(0, EDGE_MACROBLOCKS - len(self.sharp)))

    def planes(self, edge: int) -> Planes:
        """The soft planes, with the bar filled up to `edge` in whole macroblocks; the rest is in `bar_pixels`."""
        luma, cb, cr = self._planes
        if bar := self.layout.bar:
            luma = luma.copy()
            top, bottom, full = 4 * bar.row + bar.first, 4 * bar.row + bar.last, edge // SIDE * 4
            luma.paste(self._track, (full, top, luma.width, bottom))
            luma.paste(FILLED, (0, top, full, bottom))
        return Planes(self.layout.columns, self.layout.rows, luma.tobytes(), cb.tobytes(), cr.tobytes())

    @property
    def _track(self) -> int:
        return min(255, self._bar_colours[0] + TRACK_LIFT)

    def bar_pixels(self, filled: int) -> Pixels:
        """A macroblock of the bar of which so many columns are filled."""
        bar, (ground, cb, cr) = self.layout.bar, self._bar_colours
        assert bar
        line = bytes([FILLED]) * filled + bytes([self._track]) * (SIDE - filled)
        above, below = 4 * bar.first, SIDE - 4 * bar.last
        luma = bytes([ground]) * SIDE * above + line * (SIDE - above - below) + bytes([ground]) * SIDE * below
        return luma + bytes([cb]) * 64 + bytes([cr]) * 64

    def timer_pixels(self, seconds: int) -> dict[int, Pixels]:
        """The macroblocks of the time counter."""
        timer = self.layout.timer
        if not timer:
            return {}
        luma, cb, cr = self._crop(timer.region)
        text, size = clock(seconds), timer.size
        mask = text_mask(text, size)
        x = luma.width - round(measure(text, size)) - size // 4
        place = (x, timer.baseline - size)
        whole = Image.new("L", luma.size)
        whole.paste(mask, place)
        luma.paste(TEXT, mask=whole)
        for plane in (cb, cr):
            plane.paste(128, mask=whole.reduce(2))
        return dict(self._macroblocks(timer.region, (luma, cb, cr)))

    def _captions(self) -> Iterator[tuple[int, Pixels]]:
        found = 0
        for region in self.layout.texts:
            for number, pixels in self._macroblocks(region, self._crop(region)):
                luma = pixels[:256]
                if max(luma) - min(luma) >= CONTRAST and found < SHARP_MACROBLOCKS:
                    found += 1
                    yield number, pixels

    def _edges(self, count: int) -> dict[int, Pixels]:
        """The `count` macroblocks with the most visible steps, above those that change: edges between areas."""
        soft = self._planes[0].resize(self._whole.size, Image.Resampling.NEAREST)
        steps = ImageChops.difference(self._whole.convert("L"), soft).reduce(SIDE).tobytes()
        timer, bar = self.layout.timer, self.layout.bar
        rows = timer.region.row if timer else bar.row if bar else self.layout.rows
        seen = [number for number in range(rows * self.layout.columns) if steps[number] >= STEPS]
        seen = sorted({*seen} - self.sharp.keys(), key=lambda number: (-steps[number], number))[:count]
        found: dict[int, Pixels] = {}
        for number in sorted(seen):
            row, column = divmod(number, self.layout.columns)
            region = Region(column, row, 1, 1)
            found |= self._macroblocks(region, self._crop(region))
        return found

    def _crop(self, region: Region) -> YCbCr:
        """The pixels of a region; colours at half the size."""
        left, top, right, bottom = region.box
        luma, cb, cr = self._whole.crop((left, top, right, bottom)).convert("YCbCr").split()
        return luma, cb.reduce(2), cr.reduce(2)

    def _macroblocks(self, region: Region, planes: YCbCr) -> Iterator[tuple[int, Pixels]]:
        luma, cb, cr = (plane.tobytes() for plane in planes)
        for y in range(region.rows):
            number = (region.row + y) * self.layout.columns + region.column
            for x in range(region.columns):
                tiles = (
                    _tile(luma, x, y, region.columns, SIDE),
                    *(_tile(c, x, y, region.columns, 8) for c in (cb, cr)),
                )
                yield number + x, b"".join(tiles)


def _tile(plane: bytes, x: int, y: int, columns: int, side: int) -> bytes:
    """A square out of a plane of squares."""
    width = columns * side
    start = y * side * width + x * side
    return b"".join([plane[at : at + side] for at in range(start, start + side * width, width)])


def _flattened(plane: Image.Image, side: int) -> Image.Image:
    """A plane in which a macroblock of `side` x `side` blocks that is nearly flat is flat."""
    mean = plane.reduce(side).resize(plane.size, Image.Resampling.NEAREST)
    uneven = ImageChops.difference(plane, mean).point([0] * (FLAT + 1) + [255] * (255 - FLAT))
    some = uneven.reduce(side).point([0] + [255] * 255).resize(plane.size, Image.Resampling.NEAREST)
    return Image.composite(plane, mean, some)


def _mean(plane: Image.Image, top: int, rows: int) -> int:
    return int.from_bytes(plane.crop((0, top, plane.width, top + rows)).reduce((plane.width, rows)).tobytes())
