"""FLUX.2."""

from __future__ import annotations

import pytest

from tests.models.runs import EXTERNAL_URL, RAW, SIX, first, picture, pictures, run, size

TEXT, EDIT, PRO = "fal-ai/flux-2", "fal-ai/flux-2/edit", "fal-ai/flux-2-pro"
KLEIN = "fal-ai/flux-2/klein/realtime"


@pytest.mark.parametrize("endpoint", [TEXT, EDIT, PRO])
def test_an_image_has_six_keys(endpoint: str) -> None:
    image = first(run(endpoint))
    assert (list(image), image["file_name"], image["file_size"]) == (SIX, None, None)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "expected"),
    [
        (TEXT, {}, (1024, 768)),
        (EDIT, {}, (320, 240)),
        (EDIT, {"image_size": "square"}, (512, 512)),
        (EDIT, {"image_urls": [EXTERNAL_URL]}, (1024, 768)),
        (EDIT, {"image_urls": []}, (1024, 768)),
        (PRO, {"image_size": "portrait_16_9"}, (576, 1024)),
        (KLEIN, {}, (768, 768)),
        (KLEIN, {"image_size": "square_hd"}, (1024, 1024)),
    ],
)
def test_the_size_is_the_requested_one_or_that_of_the_picture(
    endpoint: str, arguments: dict[str, object], expected: tuple[int, int]
) -> None:
    assert size(run(endpoint, **arguments)) == expected


@pytest.mark.parametrize(("endpoint", "content_type"), [(TEXT, "image/png"), (PRO, "image/jpeg")])
def test_each_endpoint_has_a_default_format(endpoint: str, content_type: str) -> None:
    assert first(run(endpoint))["content_type"] == content_type


def test_pro_returns_only_pictures_and_seed() -> None:
    assert list(run(PRO).body) == ["images", "seed"]


def test_klein_returns_the_bytes_of_the_file() -> None:
    response = run(KLEIN, image_url=picture())
    assert (list(response.body), response.inline, response.body["seed"]) == (["images", "seed"], True, 35)
    assert list(first(response)) == RAW
    assert first(response)["content"].inline


def test_klein_adds_an_interpolated_frame() -> None:
    body = run(KLEIN, enable_interpolation=True).body
    assert [recipe.index for recipe in pictures(body)] == [0, 1]


def test_klein_uses_the_prompt() -> None:
    [recipe] = pictures(run(KLEIN, prompt="ink").body)
    assert recipe.prompt == "ink"
