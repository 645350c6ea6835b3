from __future__ import annotations

import pytest

from mock_fal.pictures.noise import noise
from mock_fal.pictures.random_stream import RandomStream


@pytest.mark.parametrize(
    ("width", "height", "columns", "rows"), [(1, 1, 1, 1), (8, 8, 1, 1), (9, 16, 2, 2), (1024, 768, 128, 96)]
)
def test_cells_cover_the_picture(width: int, height: int, columns: int, rows: int) -> None:
    result = noise(RandomStream("a cat"), 50, width, height)
    assert (result.columns, result.rows, len(result.cells)) == (columns, rows, columns * rows)


def test_a_picture_has_the_same_noise_at_all_its_steps() -> None:
    early, late = (noise(RandomStream("a cat"), percent, 64, 64) for percent in (80, 20))
    assert early.cells == late.cells


def test_another_picture_has_other_noise() -> None:
    assert noise(RandomStream("a cat"), 50, 64, 64) != noise(RandomStream("a dog"), 50, 64, 64)
