"""What all image models have in common whose inputs are read by their names."""

from __future__ import annotations

import pytest

from mock_fal.models.catalog import FAMILIES, schema
from mock_fal.requests.outcome import pictures_in
from tests.models.families import ELSEWHERE, ask, first, picture, size

PAINTING = [id for id, family in FAMILIES.items() if family not in ("flux", "any_llm")]
I2I, EDIT, SDXL = "fal-ai/flux/dev/image-to-image", "fal-ai/flux-2/edit", "fal-ai/fast-sdxl/image-to-image"
FROM_A_PICTURE = [
    id for id in PAINTING if any(name.startswith("image_url") for name in schema(id).input.model_fields)
]

every_endpoint = pytest.mark.parametrize("endpoint", PAINTING)


@every_endpoint
def test_the_answer_is_what_the_schema_says(endpoint: str) -> None:
    response = ask(endpoint, seed=7)
    output = schema(endpoint).output
    assert (response.status, list(response.body)) == (200, list(output.model_fields))
    assert response.body["seed"] == 7
    shown = {
        **response.body,
        "images": [{**image, "url": "", "content": b""} for image in response.body["images"]],
    }
    assert output.model_validate(shown)


@pytest.mark.parametrize("endpoint", FROM_A_PICTURE)
def test_the_picture_that_is_given_shows(endpoint: str) -> None:
    field = "image_urls" if endpoint == EDIT else "image_url"
    response = ask(endpoint, **{field: [picture()] if endpoint == EDIT else picture()})
    [file] = pictures_in(response.body)
    assert file.recipe.source


@pytest.mark.parametrize("endpoint", [id for id in PAINTING if id not in FROM_A_PICTURE])
def test_nothing_is_opened_where_no_picture_can_be_given(endpoint: str) -> None:
    [file] = pictures_in(ask(endpoint, image_url="no address at all").body)
    assert file.recipe.source is None


def test_of_several_pictures_the_first_that_is_seen_shows() -> None:
    assert size(ask(EDIT, image_urls=[ELSEWHERE, picture(50, 60), picture(70, 80)])) == (50, 60)


@pytest.mark.parametrize(
    ("endpoint", "asked", "content_type"),
    [
        (I2I, {}, "image/jpeg"),
        (EDIT, {}, "image/png"),
        (EDIT, {"output_format": "webp"}, "image/webp"),
        (SDXL, {"format": "png"}, "image/png"),
    ],
)
def test_the_format_is_the_one_asked_for(endpoint: str, asked: dict[str, object], content_type: str) -> None:
    assert first(ask(endpoint, **asked))["content_type"] == content_type


def test_the_same_picture_gives_the_same_seed_by_whatever_address() -> None:
    """Every upload has another address; a run repeats all the same."""
    spelled = picture().replace("data:image/png", "data:")
    one, other, third = (ask(I2I, image_url=url) for url in (picture(), spelled, picture(color="blue")))
    assert one.body["seed"] == other.body["seed"] != third.body["seed"]


@pytest.mark.parametrize(
    ("endpoint", "asked", "field"),
    [
        (I2I, {"image_url": "cat.png"}, "image_url"),
        (EDIT, {"image_urls": [picture(), "cat.png"]}, "image_urls"),
    ],
)
def test_a_file_that_is_not_there_is_the_models_error(
    endpoint: str, asked: dict[str, object], field: str
) -> None:
    response = ask(endpoint, **asked)
    assert (response.status, response.body["detail"]) == (
        422,
        [
            {
                "loc": ["body", field],
                "msg": "Failed to download the file. Please check if the URL is accessible and try again.",
                "type": "file_download_error",
                "url": "https://docs.fal.ai/errors#file_download_error",
                "input": "cat.png",
            }
        ],
    )


def test_an_error_does_not_repeat_a_whole_file() -> None:
    [item] = ask(I2I, image_url="data:," + "x" * 5000).body["detail"]
    assert (item["type"], len(item["input"])) == ("image_load_error", 1000)


@every_endpoint
def test_an_unsafe_picture_is_black(endpoint: str) -> None:
    [file] = pictures_in(ask(endpoint, prompt="a cat [mock: nsfw]", enable_safety_checker=True).body)
    assert file.recipe.blank


@every_endpoint
def test_a_body_that_does_not_fit_is_refused(endpoint: str) -> None:
    [item] = ask(endpoint, seed="x").body["detail"]
    assert (item["loc"], item["type"]) == (["body", "seed"], "int_parsing")
