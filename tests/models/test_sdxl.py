"""Stable Diffusion XL and its hasty kin."""

from __future__ import annotations

import pytest

from mock_fal.requests.outcome import pictures_in
from tests.models.families import FOUR, ask, first, size

SDXL, I2I = "fal-ai/fast-sdxl", "fal-ai/fast-sdxl/image-to-image"
LCM, TURBO = "fal-ai/fast-lcm-diffusion", "fal-ai/fast-turbo-diffusion"

every_model = pytest.mark.parametrize("endpoint", [SDXL, I2I, LCM, TURBO])


@every_model
def test_an_image_has_four_keys(endpoint: str) -> None:
    assert list(first(ask(endpoint))) == FOUR


@pytest.mark.parametrize(
    ("endpoint", "asked", "expected"),
    [
        (SDXL, {}, (1024, 1024)),
        (SDXL, {"image_size": {"width": 640, "height": 480}}, (640, 480)),
        (I2I, {}, (1024, 1024)),
        (I2I, {"image_size": None}, (320, 240)),
        (LCM, {}, (1024, 1024)),
        (TURBO, {}, (512, 512)),
    ],
)
def test_a_square_comes_unless_another_size_is_asked_for(
    endpoint: str, asked: dict[str, object], expected: tuple[int, int]
) -> None:
    assert size(ask(endpoint, **asked)) == expected


@pytest.mark.parametrize(("endpoint", "inline"), [(SDXL, False), (I2I, False), (LCM, True), (TURBO, True)])
def test_the_fastest_hand_out_data_unless_told_otherwise(endpoint: str, inline: bool) -> None:
    assert [file.inline for file in pictures_in(ask(endpoint).body)] == [inline]
    assert [file.inline for file in pictures_in(ask(endpoint, sync_mode=not inline).body)] == [not inline]


@every_model
def test_up_to_eight_pictures_come(endpoint: str) -> None:
    assert len(ask(endpoint, num_images=8).body["images"]) == 8
    assert ask(endpoint, num_images=9).status == 422


def test_turbo_does_not_repeat_the_prompt() -> None:
    assert list(ask(TURBO).body) == ["images", "timings", "seed", "has_nsfw_concepts"]


def test_turbo_checks_only_when_asked_to() -> None:
    verdicts = [ask(TURBO, prompt="a cat [mock: nsfw]", enable_safety_checker=on) for on in (False, True)]
    assert [response.body["has_nsfw_concepts"] for response in verdicts] == [[False], [True]]


def test_the_name_of_a_request_changes_nothing() -> None:
    seeds = [ask(LCM, request_id=name).body["seed"] for name in ("one", "two")]
    assert seeds[0] == seeds[1] == ask(LCM).body["seed"]


def test_weights_and_words_of_ones_own_are_taken() -> None:
    more = {"loras": [{"path": "ana/ink", "scale": 0.5}], "embeddings": [{"path": "ana/words"}]}
    assert ask(SDXL, **more).body["seed"] != ask(SDXL).body["seed"]
