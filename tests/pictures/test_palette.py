from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mock_fal.pictures.palette import palette
from mock_fal.pictures.random_stream import RandomStream


@given(st.integers())
def test_inks_grow_darker_and_the_last_is_legible_against_the_first(seed: int) -> None:
    inks = palette(RandomStream(seed))
    lights = [_luminance(inks[at : at + 3]) for at in range(0, len(inks), 3)]
    assert len(lights) == 9
    assert all(one > two for one, two in pairwise(lights))
    # WCAG 2.2 asks for a contrast of 7 in level AAA.
    assert (lights[0] + 0.05) / (lights[-1] + 0.05) > 7


def _luminance(ink: bytes) -> float:
    red, green, blue = (math.pow(channel / 255, 2.2) for channel in ink)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
