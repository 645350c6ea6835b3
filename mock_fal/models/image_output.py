"""The output of image models: pictures in one of fal's three image formats, and the fields beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from mock_fal.billing.prices import price
from mock_fal.errors import JSON
from mock_fal.models.catalog import Job
from mock_fal.pictures.recipe import Format, Recipe, Source
from mock_fal.requests.outcome import MediaFile, RunnerResponse

# fal: a price for each megapixel, in whole megapixels, rounded up (measured on flux/dev, 2026-09).
# assumption: a megapixel is 1,000,000 pixels and not 1024 x 1024; this determines the price of a `square_hd`.
MEGAPIXEL: Final = 1_000_000


class PictureRequest(NamedTuple):
    """The pictures to draw. `inline` requests data URIs, `checked` enables the safety checker."""

    endpoint: str
    prompt: str
    seed: int
    size: tuple[int, int]
    num_images: int
    format: Format
    inline: bool
    checked: bool
    source: Source | None = None


def four_keys(picture: MediaFile) -> JSON:
    """An image in the output format of FLUX.1."""
    recipe = picture.recipe
    # fal: four keys in this order; file_name and file_size belong to newer models (live, 2026-03).
    return {
        "url": picture,
        "width": recipe.width,
        "height": recipe.height,
        "content_type": recipe.content_type,
    }


def six_keys(picture: MediaFile) -> JSON:
    """An image in the output format of newer models."""
    recipe = picture.recipe
    # fal: `file_name` is set and `file_size` is null (live, flux-2). assumption: the order.
    return {
        "url": picture,
        "content_type": recipe.content_type,
        "file_name": picture.path.rpartition("/")[2],
        "file_size": None,
        "width": recipe.width,
        "height": recipe.height,
    }


def raw_keys(picture: MediaFile) -> JSON:
    """An image in the output format of realtime models: the bytes of the file instead of a URL."""
    recipe = picture.recipe
    # fal: four members in this order (live, 2026-06).
    return {
        "content": picture,
        "content_type": recipe.content_type,
        "height": recipe.height,
        "width": recipe.width,
    }


def image_response(
    picture_request: PictureRequest, job: Job, image: Callable[[MediaFile], JSON] = four_keys
) -> RunnerResponse:
    """The response with five fields; the files are rendered when they are downloaded."""
    width, height = picture_request.size
    # assumption: with the safety checker on, an unsafe picture is flagged and replaced by a black one.
    nsfw = job.nsfw and picture_request.checked
    pictures = [
        job.add_picture(
            Recipe(
                picture_request.endpoint,
                picture_request.prompt,
                picture_request.seed,
                width,
                height,
                index,
                picture_request.format,
                blank=nsfw,
                source=picture_request.source,
            ),
            picture_request.inline,
        )
        for index in range(picture_request.num_images)
    ]
    body = {
        "images": [image(picture) for picture in pictures],
        "timings": {"inference": _inference_s(job.run_duration)},
        "seed": picture_request.seed,
        "has_nsfw_concepts": [nsfw] * len(pictures),
        "prompt": picture_request.prompt,
    }
    return RunnerResponse(
        200, body, billable_units=_units(picture_request, job.run_duration), inline=picture_request.inline
    )


def _units(picture_request: PictureRequest, run_duration: float) -> int | float:
    """The billable units, in the unit of the endpoint's price."""
    match price(picture_request.endpoint).unit:
        case "images":
            return picture_request.num_images
        case "compute seconds":
            return run_duration
        case _:
            width, height = picture_request.size
            return picture_request.num_images * math.ceil(width * height / MEGAPIXEL)


def _inference_s(run_duration: float) -> float:
    # fal: a little less than the inference_time of the status (live, on other models).
    return round(run_duration * 0.96, 6)
