"""How runs of each kind of model take time and log: the duration beside that of a picture, and the log lines."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple


class Progress(NamedTuple):
    """The runs of one kind. `duration` is a multiple of a picture's, `max_lines` the most lines that a run logs.

    `line(step, steps, elapsed_s)` is the text of a line.
    """

    duration: float
    max_lines: int
    line: Callable[[int, int, float], str]


# Cached, so that requests share the number.
@lru_cache(maxsize=64)
def duration(kind: str, picture_s: float) -> float:
    """The seconds that a run takes where one that makes a picture takes `picture_s`."""
    return picture_s * _progress(kind).duration


def lines(kind: str, steps: int) -> int:
    """The number of lines that a run with this many steps logs."""
    return min(steps, _progress(kind).max_lines)


def line(kind: str, step: int, steps: int, elapsed_s: float) -> str:
    """The text of the line of one step."""
    return _progress(kind).line(step, steps, elapsed_s)


def _progress(kind: str) -> Progress:
    return _KINDS.get(kind, _PICTURE)


def _bar(step: int, steps: int, elapsed_s: float) -> str:
    """A line in the format of the progress bars of diffusion pipelines."""
    # assumption: flux has logs, and they have this format.
    filled = 10 * step // steps
    rate = step / elapsed_s if elapsed_s > 0 else 0.0
    bar = "█" * filled + " " * (10 - filled)
    return f"{100 * step // steps:3d}%|{bar}| {step}/{steps} [{_minutes(elapsed_s)}, {rate:5.2f}it/s]"


def _minutes(elapsed_s: float) -> str:
    minutes, seconds = divmod(int(elapsed_s), 60)
    return f"{minutes:02d}:{seconds:02d}"


def _labelled(label: str) -> Callable[[int, int, float], str]:
    return lambda step, steps, elapsed_s: f"{label}: {_bar(step, steps, elapsed_s)}"


def _training(step: int, steps: int, elapsed_s: float) -> str:
    """The bar and a loss that falls from 0.5 to 0.05."""
    return f"Training: {_bar(step, steps, elapsed_s)}, loss={0.5 * 0.1 ** (step / steps):.4f}"


# The most lines that a run logs: each poll with logs returns all of them.
_MAX_LINES: Final = 1000

_PICTURE: Final = Progress(1, _MAX_LINES, _bar)

# assumption: the durations and the log lines of every kind but pictures. The live durations depend on the model, and
# are 10 to 100 times as long for a video as for a picture.
_KINDS: Final[dict[str, Progress]] = {
    "image": _PICTURE,
    "video": Progress(5, _MAX_LINES, _labelled("Frames")),
    "audio": Progress(2, _MAX_LINES, _labelled("Audio")),
    "speech": Progress(1, 1, _labelled("Speech")),
    "3d": Progress(5, _MAX_LINES, _labelled("Mesh")),
    "training": Progress(20, 50, _training),
    "transcript": Progress(2, 0, _bar),
    "text": Progress(1, 0, _bar),
    "json": Progress(1, 0, _bar),
}
