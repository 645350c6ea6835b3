"""The behaviour that all image models share."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from mock_fal.requests.outcome import MediaFile
from tests.models.runs import EXTERNAL_URL, first, model, picture, pictures, run, size

ENDPOINTS = [
    "fal-ai/flux/dev/image-to-image",
    "fal-ai/flux/schnell/redux",
    "fal-ai/flux-lora",
    "fal-ai/flux-pro/v1.1",
    "fal-ai/flux-pro/v1.1-ultra",
    "fal-ai/flux-pro/kontext",
    "fal-ai/flux-pro/kontext/max",
    "fal-ai/flux-2",
    "fal-ai/flux-2/edit",
    "fal-ai/flux-2/klein/realtime",
    "fal-ai/flux-2-pro",
    "fal-ai/fast-sdxl",
    "fal-ai/fast-sdxl/image-to-image",
    "fal-ai/fast-lcm-diffusion",
    "fal-ai/fast-turbo-diffusion",
]
I2I, EDIT, SDXL = "fal-ai/flux/dev/image-to-image", "fal-ai/flux-2/edit", "fal-ai/fast-sdxl/image-to-image"
WITH_INPUT_PICTURE = [
    id for id in ENDPOINTS if any(name.startswith("image_url") for name in model(id).input["properties"])
]

every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS)


@every_endpoint
def test_the_output_matches_the_schema(endpoint: str) -> None:
    response = run(endpoint, seed=7)
    schema = model(endpoint).output
    assert (response.status, list(response.body)) == (200, list(schema["properties"]))
    assert response.body["seed"] == 7
    images = [
        {key: "" if isinstance(value, MediaFile) else value for key, value in image.items()}
        for image in response.body["images"]
    ]
    Draft202012Validator(schema).validate({**response.body, "images": images})


@pytest.mark.parametrize("endpoint", WITH_INPUT_PICTURE)
def test_the_input_picture_shows_through(endpoint: str) -> None:
    field = "image_urls" if endpoint == EDIT else "image_url"
    response = run(endpoint, **{field: [picture()] if endpoint == EDIT else picture()})
    [recipe] = pictures(response.body)
    assert recipe.source


@pytest.mark.parametrize("endpoint", [id for id in ENDPOINTS if id not in WITH_INPUT_PICTURE])
def test_an_endpoint_without_input_pictures_ignores_image_url(endpoint: str) -> None:
    [recipe] = pictures(run(endpoint, image_url="not a URL").body)
    assert recipe.source is None


def test_of_several_pictures_the_first_readable_one_is_used() -> None:
    assert size(run(EDIT, image_urls=[EXTERNAL_URL, picture(50, 60), picture(70, 80)])) == (50, 60)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "content_type"),
    [
        (I2I, {}, "image/jpeg"),
        (EDIT, {}, "image/png"),
        (EDIT, {"output_format": "webp"}, "image/webp"),
        (SDXL, {"format": "png"}, "image/png"),
    ],
)
def test_the_format_is_the_requested_one(
    endpoint: str, arguments: dict[str, object], content_type: str
) -> None:
    assert first(run(endpoint, **arguments))["content_type"] == content_type


def test_the_seed_depends_on_the_picture_and_not_on_its_url() -> None:
    """Each upload has another URL, and the same test must still give the same result."""
    other_uri = picture().replace("data:image/png", "data:")
    first_run, same_picture, other_picture = (
        run(I2I, image_url=url) for url in (picture(), other_uri, picture(color="blue"))
    )
    assert first_run.body["seed"] == same_picture.body["seed"] != other_picture.body["seed"]


@pytest.mark.parametrize(
    ("endpoint", "arguments", "field"),
    [
        (I2I, {"image_url": "cat.png"}, "image_url"),
        (EDIT, {"image_urls": [picture(), "cat.png"]}, "image_urls"),
    ],
)
def test_a_missing_file_is_a_model_error(endpoint: str, arguments: dict[str, object], field: str) -> None:
    response = run(endpoint, **arguments)
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


def test_an_error_repeats_only_the_start_of_a_long_url() -> None:
    [item] = run(I2I, image_url="data:," + "x" * 5000).body["detail"]
    assert (item["type"], len(item["input"])) == ("image_load_error", 1000)


@every_endpoint
def test_an_unsafe_picture_is_black(endpoint: str) -> None:
    [recipe] = pictures(run(endpoint, prompt="a cat [mock: nsfw]", enable_safety_checker=True).body)
    assert recipe.blank


@every_endpoint
def test_an_invalid_body_is_rejected(endpoint: str) -> None:
    [item] = run(endpoint, seed="x").body["detail"]
    assert (item["loc"], item["type"]) == (["body", "seed"], "int_parsing")
