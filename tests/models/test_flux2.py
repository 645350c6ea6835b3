"""FLUX.2."""

from __future__ import annotations

import pytest

from mock_fal.requests.outcome import pictures_in
from tests.models.families import ELSEWHERE, RAW, SIX, ask, first, picture, size

TEXT, EDIT, PRO = "fal-ai/flux-2", "fal-ai/flux-2/edit", "fal-ai/flux-2-pro"
KLEIN = "fal-ai/flux-2/klein/realtime"


@pytest.mark.parametrize("endpoint", [TEXT, EDIT, PRO])
def test_an_image_has_six_keys(endpoint: str) -> None:
    image = first(ask(endpoint))
    assert (list(image), image["file_size"]) == (SIX, None)
    assert image["url"].path.endswith(f"/{image['file_name']}")


@pytest.mark.parametrize(
    ("endpoint", "asked", "expected"),
    [
        (TEXT, {}, (1024, 768)),
        (EDIT, {}, (320, 240)),
        (EDIT, {"image_size": "square"}, (512, 512)),
        (EDIT, {"image_urls": [ELSEWHERE]}, (1024, 768)),
        (EDIT, {"image_urls": []}, (1024, 768)),
        (PRO, {"image_size": "portrait_16_9"}, (576, 1024)),
        (KLEIN, {}, (768, 768)),
        (KLEIN, {"image_size": "square_hd"}, (1024, 1024)),
    ],
)
def test_the_size_is_the_one_asked_for_or_the_pictures(
    endpoint: str, asked: dict[str, object], expected: tuple[int, int]
) -> None:
    assert size(ask(endpoint, **asked)) == expected


@pytest.mark.parametrize(("endpoint", "type"), [(TEXT, "image/png"), (PRO, "image/jpeg")])
def test_the_format_is_its_own_unless_told_otherwise(endpoint: str, type: str) -> None:
    assert first(ask(endpoint))["content_type"] == type


def test_pro_tells_pictures_and_seed_and_nothing_else() -> None:
    assert list(ask(PRO).body) == ["images", "seed"]


def test_klein_answers_with_the_file_itself() -> None:
    response = ask(KLEIN, image_url=picture())
    assert (list(response.body), response.inline, response.body["seed"]) == (["images", "seed"], True, 35)
    assert list(first(response)) == RAW
    assert first(response)["content"].inline


def test_between_two_frames_klein_puts_a_third() -> None:
    body = ask(KLEIN, enable_interpolation=True).body
    assert [file.recipe.index for file in pictures_in(body)] == [0, 1]


def test_klein_has_a_prompt_of_its_own() -> None:
    [file] = pictures_in(ask(KLEIN, prompt="ink").body)
    assert file.recipe.prompt == "ink"
