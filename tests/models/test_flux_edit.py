"""FLUX.1 with a picture to start from."""

from __future__ import annotations

import pytest

from tests.models.families import ELSEWHERE, FOUR, ask, first, picture, size

I2I, REDUX = "fal-ai/flux/dev/image-to-image", "fal-ai/flux/schnell/redux"


@pytest.mark.parametrize("endpoint", [I2I, REDUX])
def test_an_image_has_four_keys(endpoint: str) -> None:
    assert list(first(ask(endpoint))) == FOUR


def test_redux_has_no_prompt() -> None:
    assert ask(REDUX, prompt="unread").body["prompt"] == ""


@pytest.mark.parametrize(
    ("endpoint", "asked", "expected"),
    [
        (I2I, {}, (320, 240)),
        (I2I, {"image_url": ELSEWHERE}, (1024, 768)),
        (I2I, {"image_url": picture(20_000, 4)}, (14142, 2)),
        (I2I, {"image_url": picture(1, 1)}, (1, 1)),
        (REDUX, {}, (1024, 768)),
        (REDUX, {"image_size": {"width": 64, "height": 32}}, (64, 32)),
    ],
)
def test_the_size_is_the_one_asked_for_or_the_pictures(
    endpoint: str, asked: dict[str, object], expected: tuple[int, int]
) -> None:
    assert size(ask(endpoint, **asked)) == expected


@pytest.mark.parametrize(
    ("asked", "field", "kind"),
    [
        ({"image_url": None}, "image_url", "string_type"),
        ({"strength": 0}, "strength", "greater_than_equal"),
        ({"num_inference_steps": 9}, "num_inference_steps", "greater_than_equal"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(asked: dict[str, object], field: str, kind: str) -> None:
    [item] = ask(I2I, **asked).body["detail"]
    assert (item["loc"], item["type"]) == (["body", field], kind)
