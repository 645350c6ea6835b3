"""FLUX.1 [pro] and kontext."""

from __future__ import annotations

import pytest

from tests.models.runs import FOUR, SIX, first, picture, run, size

V11, ULTRA, KONTEXT = "fal-ai/flux-pro/v1.1", "fal-ai/flux-pro/v1.1-ultra", "fal-ai/flux-pro/kontext"


@pytest.mark.parametrize(
    ("endpoint", "keys"), [(V11, FOUR), (ULTRA, FOUR), (KONTEXT, SIX), (f"{KONTEXT}/max", SIX)]
)
def test_an_image_has_the_keys_of_its_model(endpoint: str, keys: list[str]) -> None:
    image = first(run(endpoint))
    assert list(image) == keys
    assert image["url"].path.endswith((".jpg", ".png"))
    assert image.get("file_name") is image.get("file_size") is None


@pytest.mark.parametrize(
    ("endpoint", "arguments", "expected"),
    [
        (V11, {}, (1024, 768)),
        (V11, {"image_size": "square"}, (512, 512)),
        (ULTRA, {}, (2736, 1536)),
        (ULTRA, {"aspect_ratio": "9:16"}, (1536, 2736)),
        (ULTRA, {"aspect_ratio": "5:4"}, (2288, 1824)),
        (ULTRA, {"aspect_ratio": "wide"}, (2736, 1536)),
        (ULTRA, {"aspect_ratio": "1:0"}, (2736, 1536)),
        (ULTRA, {"image_url": picture()}, (2736, 1536)),
        (KONTEXT, {}, (1184, 880)),
        (KONTEXT, {"aspect_ratio": "1:1"}, (1024, 1024)),
        (KONTEXT, {"aspect_ratio": "9:21"}, (672, 1568)),
        (KONTEXT, {"image_url": picture(1, 900)}, (672, 1568)),
    ],
)
def test_the_size_follows_from_the_aspect_ratio(
    endpoint: str, arguments: dict[str, object], expected: tuple[int, int]
) -> None:
    assert size(run(endpoint, **arguments)) == expected


@pytest.mark.parametrize("endpoint", [V11, ULTRA, KONTEXT])
def test_the_safety_checker_can_not_be_disabled(endpoint: str) -> None:
    response = run(endpoint, prompt="a cat [mock: nsfw]", enable_safety_checker=False)
    assert response.body["has_nsfw_concepts"] == [True]
