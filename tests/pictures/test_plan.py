from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from mock_fal.pictures.plan import plan
from mock_fal.pictures.recipe import Recipe

CAT = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=1024, height=768)


def test_the_same_recipe_gives_the_same_plan() -> None:
    assert plan(CAT) == plan(replace(CAT))


@pytest.mark.parametrize(
    "other",
    [
        replace(CAT, seed=8),
        replace(CAT, prompt="a dog"),
        replace(CAT, index=1),
        replace(CAT, endpoint="fal-ai/flux/dev"),
    ],
)
def test_another_request_gives_another_plan(other: Recipe) -> None:
    assert plan(CAT).scene != plan(other).scene
    assert plan(CAT).palette != plan(other).palette


def test_the_pictures_of_one_request_have_different_families() -> None:
    grounds = [plan(replace(CAT, index=index)).scene.ground for index in range(4)]
    assert all(one != two for one, two in combinations(grounds, 2))


def test_the_caption_has_prompt_seed_size_and_number() -> None:
    lines = [line.text for line in plan(replace(CAT, index=1)).caption]
    assert lines == ["a cat", "seed 7 · 1024 x 768 · no. 2 · fal-ai/flux/schnell"]
