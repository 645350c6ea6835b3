"""WebM and GIF videos: a whole picture, and a progress bar that moves over its bottom. Imports Pillow."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Final

from PIL import Image

from mock_fal.media import opus
from mock_fal.media.frame_layout import SIDE, Bar, Layout, clock
from mock_fal.media.score import Score
from mock_fal.media.vp8 import MAX_COPY, key_frame, later_frame, still_frame
from mock_fal.media.webm import webm
from mock_fal.pictures.caption import measure
from mock_fal.pictures.paint import (
    pictures,
    text_mask,
)
from mock_fal.pictures.recipe import Recipe

WEBP_QUALITY: Final = 70
GIF_FRAMES: Final = 40
GIF_COLOURS: Final = 128


def webm_video(recipe: Recipe, layout: Layout, count: int, rate: Fraction, sound: Score | None) -> bytes:
    picture = _picture(recipe)
    bar, columns, rows = layout.bar, layout.columns, layout.rows
    if bar:
        _draw_bar(picture, bar, _colours(picture, bar), SIDE)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=WEBP_QUALITY, method=0)
    frames = [key_frame(file.getvalue())]
    edge = SIDE
    for number in range(1, count):
        ahead = (
            max(edge, SIDE + (layout.width - SIDE) * number // max(1, count - 1) // 2 * 2) if bar else edge
        )
        distance = min(MAX_COPY, ahead - edge)
        if distance:
            last = min(columns, -(-(edge + distance) // SIDE))
            frames.append(later_frame(columns, rows, edge // SIDE, last, distance))
            edge += distance
        else:
            frames.append(still_frame(columns, rows))
    packets = opus.packets(sound, max(1, int(count / rate * 50))) if sound else []
    return webm(layout.width, layout.height, rate, frames, packets)


def gif_video(recipe: Recipe, layout: Layout, count: int, rate: Fraction) -> bytes:
    """At most 40 frames, spread over the time."""
    picture, bar, timer = _picture(recipe), layout.bar, layout.timer
    count, rate = min(count, GIF_FRAMES), rate * min(count, GIF_FRAMES) / count
    colours = _colours(picture, bar) if bar else ()
    if bar and colours:
        _draw_bar(picture, bar, colours, layout.width // 2)
    indexed = picture.quantize(GIF_COLOURS, dither=Image.Dither.NONE)
    frames, shown = [], 0
    durations: list[int] = []
    for number in range(count):
        frame = indexed.copy()
        if bar:
            _draw_bar(frame, bar, _indices(indexed, bar), layout.width * (number + 1) // count)
        if bar and timer:
            text = clock(float(number / rate))
            mask = text_mask(text, timer.size).point([0] * 128 + [255] * 128).convert("1")
            left, top, right, _ = timer.region.box
            x = right - round(measure(text, timer.size)) - timer.size // 4
            frame.paste(_indices(indexed, bar)[2], (x, top + timer.baseline - timer.size), mask)
        frames.append(frame)
        # In hundredths of a second, so that the sum is right.
        until = round(100 * (number + 1) / rate)
        durations.append(10 * max(2, until - shown))
        shown = until
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return file.getvalue()


def _picture(recipe: Recipe) -> Image.Image:
    return next(pictures(recipe, whole_pixels=recipe.width * recipe.height))


Colour = int | tuple[int, int, int]


def _colours(picture: Image.Image, bar: Bar) -> tuple[Colour, Colour, Colour]:
    """The colours below the bar, of what is to come, and of what has passed."""
    row = picture.crop((0, SIDE * bar.row, picture.width, picture.height))
    red, green, blue = row.resize((1, 1), Image.Resampling.BOX).tobytes()
    ahead, passed = (
        tuple((value * (8 - part) + 255 * part) // 8 for value in (red, green, blue)) for part in (2, 7)
    )
    return (red, green, blue), (ahead[0], ahead[1], ahead[2]), (passed[0], passed[1], passed[2])


def _draw_bar(picture: Image.Image, bar: Bar, colours: tuple[Colour, Colour, Colour], edge: int) -> None:
    top, bottom = SIDE * bar.row + 4 * bar.first, SIDE * bar.row + 4 * bar.last
    ground, ahead, passed = colours
    picture.paste(ground, (0, SIDE * bar.row, picture.width, picture.height))
    picture.paste(ahead, (edge, top, picture.width, bottom))
    picture.paste(passed, (0, top, edge, bottom))


def _indices(picture: Image.Image, bar: Bar) -> tuple[Colour, Colour, Colour]:
    """The same colours in the palette of a picture whose bar is half full."""
    y = min(SIDE * bar.row + 4 * bar.first, picture.height - 1)
    line = picture.crop((0, y, picture.width, y + 1)).tobytes()
    return picture.crop((0, SIDE * bar.row, 1, SIDE * bar.row + 1)).tobytes()[0], line[-1], line[0]
