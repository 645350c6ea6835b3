from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.pictures.random_stream import RandomStream
from mock_fal.pictures.scene import DARKEST, DEEPEST_LIGHT, FAMILIES, Scene

Family = Callable[[RandomStream, float, float], Scene]
sides = st.integers(1, 6000)


@given(st.sampled_from(FAMILIES), st.integers(), sides, sides)
def test_the_sum_of_tone_and_light_fits_in_a_byte(family: Family, seed: int, width: int, height: int) -> None:
    scene = family(RandomStream(seed), width, height)
    assert all(0 <= shape.tone <= DARKEST for shape in scene.shapes)
    assert 0 <= scene.ground <= DARKEST
    assert 0 <= min(scene.light.top, scene.light.bottom)
    assert max(scene.light.top, scene.light.bottom) <= DEEPEST_LIGHT
    assert DARKEST + DEEPEST_LIGHT < 256


@pytest.mark.parametrize(("width", "height"), [(5000, 10), (10, 5000), (14142, 14142), (1, 1)])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_scene_has_few_shapes_at_any_size(family: Family, width: int, height: int) -> None:
    scene = family(RandomStream(3), width, height)
    assert 0 < len(scene.shapes) < 900
