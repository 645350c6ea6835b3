"""FLUX.1 with an input picture."""

from __future__ import annotations

import pytest

from tests.models.runs import EXTERNAL_URL, FOUR, first, picture, run, size

I2I, REDUX = "fal-ai/flux/dev/image-to-image", "fal-ai/flux/schnell/redux"


@pytest.mark.parametrize("endpoint", [I2I, REDUX])
def test_an_image_has_four_keys(endpoint: str) -> None:
    assert list(first(run(endpoint))) == FOUR


def test_redux_has_no_prompt() -> None:
    assert run(REDUX, prompt="unread").body["prompt"] == ""


@pytest.mark.parametrize(
    ("endpoint", "arguments", "expected"),
    [
        (I2I, {}, (320, 240)),
        (I2I, {"image_url": EXTERNAL_URL}, (1024, 768)),
        (I2I, {"image_url": picture(20_000, 4)}, (14142, 2)),
        (I2I, {"image_url": picture(1, 1)}, (1, 1)),
        (REDUX, {}, (1024, 768)),
        (REDUX, {"image_size": {"width": 64, "height": 32}}, (64, 32)),
    ],
)
def test_the_size_is_the_requested_one_or_that_of_the_picture(
    endpoint: str, arguments: dict[str, object], expected: tuple[int, int]
) -> None:
    assert size(run(endpoint, **arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "field", "error_type"),
    [
        ({"image_url": None}, "image_url", "string_type"),
        ({"strength": 0}, "strength", "greater_than_equal"),
        ({"num_inference_steps": 9}, "num_inference_steps", "greater_than_equal"),
    ],
)
def test_an_invalid_input_is_rejected(arguments: dict[str, object], field: str, error_type: str) -> None:
    [item] = run(I2I, **arguments).body["detail"]
    assert (item["loc"], item["type"]) == (["body", field], error_type)
