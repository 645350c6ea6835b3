"""Where things stand in a frame of a video: caption, time counter and progress bar, on the grid of macroblocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mock_fal.pictures.caption import MAX_PROMPT_CHARACTERS, Line, legible, measure, wrap

SIDE: Final = 16  # of a macroblock, in pixels

# Sharp macroblocks take 384 bytes each, whatever is in them, so a caption is a little smaller than in a picture.
PROMPT_MACROBLOCKS: Final = 210
SHARP_MACROBLOCKS: Final = 380

# The extent of the font above and below its baseline.
ASCENT: Final = 0.745
DESCENT: Final = 0.205
MIN_FONT_SIZE: Final = 9


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of whole macroblocks."""

    column: int
    row: int
    columns: int
    rows: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """In pixels, as Pillow takes it."""
        right, bottom = self.column + self.columns, self.row + self.rows
        return self.column * SIDE, self.row * SIDE, right * SIDE, bottom * SIDE


@dataclass(frozen=True, slots=True)
class Timer:
    """The time counter; its text ends at the right edge of `region`."""

    region: Region
    size: int
    baseline: int  # below the top of the region, in pixels


@dataclass(frozen=True, slots=True)
class Bar:
    """The progress bar in a row of macroblocks: from block `first` up to, not including, `last`, of 4 pixels each."""

    row: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Layout:
    """`width` and `height` are in pixels, as shown; `columns` and `rows` in macroblocks, as coded."""

    width: int
    height: int
    columns: int
    rows: int
    caption: tuple[Line, ...]
    texts: tuple[Region, ...]  # of the lines of the caption
    timer: Timer | None
    bar: Bar | None


def layout(prompt: str, facts: tuple[str, ...], width: int, height: int, duration_s: float) -> Layout:
    """The layout of a video. What doesn't fit into a small one is left out."""
    columns, rows = -(-width // SIDE), -(-height // SIDE)
    bar = _bar(rows, height) if width >= 32 and height >= 32 else None
    margin = max(3, round(min(width, height) * 0.045))
    # A row above the bar stays free: see `h264.later_frame`.
    bottom = rows - 1 - max(1, margin // SIDE - 1)
    natural = min((width * height) ** 0.5 * 0.031, width / 14)
    timer = _timer(natural, bottom, width - margin, duration_s) if bar else None
    room = timer.region.column * SIDE - SIDE - margin if timer else width - 2 * margin
    fact_rows, size = _small(natural)
    found = _fact_line(facts, size, room)
    if not found or bottom - fact_rows < 1:
        return Layout(width, height, columns, rows, (), (), timer, bar)
    top = bottom - fact_rows
    max_rows = int(rows * (0.85 if height < 200 else 0.4)) - (rows - top)
    lines, prompt_rows, prompt_size = _prompt(
        legible(prompt[:MAX_PROMPT_CHARACTERS]), natural, width - 2 * margin, max_rows
    )
    size = min(size, max(MIN_FONT_SIZE, round(prompt_size * 0.85))) if lines else size
    placed = [
        (text, top - (len(lines) - number) * prompt_rows, prompt_rows, prompt_size, 0)
        for number, text in enumerate(lines)
    ]
    placed.append((found, top, fact_rows, size, 36))
    caption = tuple(
        Line(text, margin, row * SIDE + _baseline(high, size), size, tone)
        for text, row, high, size, tone in placed
    )
    texts = tuple(_region(text, row, high, size, margin, columns) for text, row, high, size, _ in placed)
    return Layout(width, height, columns, rows, caption, texts, timer, bar)


def _baseline(rows: int, size: int) -> int:
    return round((SIDE * rows - size * (ASCENT + DESCENT)) / 2 + size * ASCENT)


def _region(text: str, row: int, rows: int, size: int, x: int, columns: int) -> Region:
    first, last = x // SIDE, min(columns, int(x + measure(text, size) + size / 8) // SIDE + 1)
    return Region(first, row, last - first, rows)


def _bar(rows: int, height: int) -> Bar:
    visible = -(-(height - SIDE * (rows - 1)) // 4)
    return Bar(rows - 1, visible - min(visible, max(1, round(height / 540))), visible)


def _small(natural: float) -> tuple[int, int]:
    """Rows and font size of the facts."""
    rows = max(1, round(natural * 0.72 / SIDE))
    return rows, max(MIN_FONT_SIZE, min(round(natural * 0.72), SIDE * rows))


def _timer(natural: float, bottom: int, right: int, duration_s: float) -> Timer | None:
    rows, size = _small(natural)
    if rows == 1:
        size = max(MIN_FONT_SIZE, min(SIDE, round(natural)))
    end = right // SIDE
    columns = int(measure(clock(duration_s), size) + size / 8) // SIDE + 1
    if columns > end // 2 or bottom - rows < 1:
        return None
    return Timer(Region(end - columns, bottom - rows, columns, rows), size, _baseline(rows, size))


def clock(seconds: float) -> str:
    """A time as the counter shows it.

    >>> clock(63.9)
    '1:03'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _fact_line(facts: tuple[str, ...], size: int, room: float) -> str:
    """As many facts as fit into a line, the first ones first."""
    line = ""
    for fact in map(legible, facts):
        longer = f"{line} · {fact}" if line else fact
        if measure(longer, size) > room:
            break
        line = longer
    return line


def _prompt(text: str, natural: float, room: float, max_rows: int) -> tuple[list[str], int, int]:
    """The lines of a prompt, the rows that each takes, and the font size: the largest at which all of it fits.

    Below half of the size of a picture's caption, it is cut off instead.
    """
    largest = max(1, round(natural / SIDE))
    best: tuple[list[str], int, int] = [], 1, MIN_FONT_SIZE
    for rows in range(largest, (largest + 1) // 2 - 1, -1):
        size = max(MIN_FONT_SIZE, min(round(natural), int(SIDE * rows * 0.94)))
        for count in range(1, min(3, max_rows // rows) + 1):
            width = min(room, PROMPT_MACROBLOCKS // (count * rows) * SIDE)
            lines = wrap(text, size, width, count)
            best = lines, rows, size
            if not lines or not lines[-1].endswith("…") or text.endswith("…"):
                return best
    return best
