"""The noise from which a picture of a diffusion model comes out, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

from mock_fal.pictures.random_stream import RandomStream

# The side of a cell in pixels: one latent of such a model; and a block of JPEG, which makes the files small.
CELL = 8


@dataclass(frozen=True, slots=True)
class Noise:
    """`cells` is a tone for each cell, row by row; `percent` of what is seen are these tones."""

    percent: int
    columns: int
    rows: int
    cells: bytes = field(repr=False)


def noise(chance: RandomStream, percent: int, width: int, height: int) -> Noise:
    """Noise that covers a picture of that many pixels. That of a picture is the same at all its steps."""
    columns, rows = -(-width // CELL), -(-height // CELL)
    return Noise(percent, columns, rows, chance.bytes(columns * rows))
