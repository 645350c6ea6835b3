"""Stable Diffusion XL and its faster variants."""

from __future__ import annotations

import pytest

from mock_fal.requests.outcome import media_files
from tests.models.runs import FOUR, first, run, size

SDXL, I2I = "fal-ai/fast-sdxl", "fal-ai/fast-sdxl/image-to-image"
LCM, TURBO = "fal-ai/fast-lcm-diffusion", "fal-ai/fast-turbo-diffusion"

every_model = pytest.mark.parametrize("endpoint", [SDXL, I2I, LCM, TURBO])


@every_model
def test_an_image_has_four_keys(endpoint: str) -> None:
    assert list(first(run(endpoint))) == FOUR


@pytest.mark.parametrize(
    ("endpoint", "arguments", "expected"),
    [
        (SDXL, {}, (1024, 1024)),
        (SDXL, {"image_size": {"width": 640, "height": 480}}, (640, 480)),
        (I2I, {}, (1024, 1024)),
        (LCM, {}, (1024, 1024)),
        (TURBO, {}, (512, 512)),
    ],
)
def test_the_default_size_is_a_square(
    endpoint: str, arguments: dict[str, object], expected: tuple[int, int]
) -> None:
    assert size(run(endpoint, **arguments)) == expected


@pytest.mark.parametrize(("endpoint", "inline"), [(SDXL, False), (I2I, False), (LCM, True), (TURBO, True)])
def test_the_fastest_models_return_data_uris_by_default(endpoint: str, inline: bool) -> None:
    assert [file.inline for file in media_files(run(endpoint).body)] == [inline]
    assert [file.inline for file in media_files(run(endpoint, sync_mode=not inline).body)] == [not inline]


@every_model
def test_up_to_eight_pictures_are_returned(endpoint: str) -> None:
    assert len(run(endpoint, num_images=8).body["images"]) == 8
    assert run(endpoint, num_images=9).status == 422


def test_turbo_does_not_return_the_prompt() -> None:
    assert list(run(TURBO).body) == ["images", "timings", "seed", "has_nsfw_concepts"]


def test_the_safety_checker_of_turbo_is_off_by_default() -> None:
    responses = [run(TURBO, prompt="a cat [mock: nsfw]", enable_safety_checker=on) for on in (False, True)]
    assert [response.body["has_nsfw_concepts"] for response in responses] == [[False], [True]]


def test_the_request_id_does_not_change_the_seed() -> None:
    seeds = [run(LCM, request_id=name).body["seed"] for name in ("one", "two")]
    assert seeds[0] == seeds[1] == run(LCM).body["seed"]


def test_weights_and_embeddings_are_accepted() -> None:
    arguments = {"loras": [{"path": "ana/ink", "scale": 0.5}], "embeddings": [{"path": "ana/words"}]}
    assert run(SDXL, **arguments).body["seed"] != run(SDXL).body["seed"]
