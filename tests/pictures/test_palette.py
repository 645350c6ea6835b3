from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mock_fal.pictures.palette import palette
from mock_fal.pictures.random_stream import RandomStream


@given(st.integers())
def test_colours_get_darker_and_the_last_contrasts_with_the_first(seed: int) -> None:
    colours = palette(RandomStream(seed))
    luminances = [_luminance(colours[start : start + 3]) for start in range(0, len(colours), 3)]
    assert len(luminances) == 9
    assert all(one > two for one, two in pairwise(luminances))
    # WCAG 2.2, level AAA, requires a contrast of 7.
    assert (luminances[0] + 0.05) / (luminances[-1] + 0.05) > 7


def _luminance(colour: bytes) -> float:
    red, green, blue = (math.pow(channel / 255, 2.2) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
