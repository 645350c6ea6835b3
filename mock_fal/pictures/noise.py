"""Noise over a picture, as in the previews of a diffusion model's steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from mock_fal.pictures.random_stream import RandomStream

# The side of a cell in pixels: one latent of a diffusion model, and one JPEG block, which keeps the files small.
CELL = 8


@dataclass(frozen=True, slots=True)
class Noise:
    """`cells` holds a tone for each cell, row by row; `percent` is their opacity over the picture."""

    percent: int
    columns: int
    rows: int
    cells: bytes = field(repr=False)


def noise(random: RandomStream, percent: int, width: int, height: int) -> Noise:
    """Noise that covers a picture of this size in pixels; the cells are the same at every step of one picture."""
    columns, rows = -(-width // CELL), -(-height // CELL)
    return Noise(percent, columns, rows, random.bytes(columns * rows))
