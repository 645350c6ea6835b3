"""What an image model answers: its pictures, in one of the two forms that fal knows, and the four facts beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from mock_fal.catalog import Job
from mock_fal.errors import JSON
from mock_fal.outcome import Answer, Picture
from mock_fal.price import price
from mock_fal.recipe import Format, Recipe, Source

# fal: a price for each megapixel, in whole megapixels, rounded up (measured on flux/dev, 2026-09).
# fal: unverified, that it is a million pixels and not 1024 times 1024; it decides what a `square_hd` costs.
MEGAPIXEL: Final = 1_000_000


class Order(NamedTuple):
    """What is to be drawn: so many pictures of one prompt. `inline` asks for data URIs, `checked` for the checker."""

    endpoint: str
    prompt: str
    seed: int
    size: tuple[int, int]
    num_images: int
    format: Format
    inline: bool
    checked: bool
    source: Source | None = None


def four_keys(picture: Picture) -> JSON:
    """An image as FLUX.1 answers it."""
    recipe = picture.recipe
    # fal: four keys in this order; file_name and file_size belong to newer models (live, 2026-03).
    return {
        "url": picture,
        "width": recipe.width,
        "height": recipe.height,
        "content_type": recipe.content_type,
    }


def six_keys(picture: Picture) -> JSON:
    """An image as newer models answer it."""
    recipe = picture.recipe
    # fal: the name is told and the size is not (live, flux-2); unverified, the order.
    return {
        "url": picture,
        "content_type": recipe.content_type,
        "file_name": picture.path.rpartition("/")[2],
        "file_size": None,
        "width": recipe.width,
        "height": recipe.height,
    }


def raw_keys(picture: Picture) -> JSON:
    """An image as the realtime models answer it: no address, but the file itself."""
    recipe = picture.recipe
    # fal: four members in this order (live, 2026-06).
    return {
        "content": picture,
        "content_type": recipe.content_type,
        "height": recipe.height,
        "width": recipe.width,
    }


def answer(order: Order, job: Job, image: Callable[[Picture], JSON] = four_keys) -> Answer:
    """The answer in five fields; the files are drawn when somebody asks for them."""
    width, height = order.size
    # fal: unverified, an unsafe picture is flagged and replaced by a black one, when the checker is on.
    unsafe = job.unsafe and order.checked
    pictures = [
        job.store(
            Recipe(
                order.endpoint,
                order.prompt,
                order.seed,
                width,
                height,
                index,
                order.format,
                blank=unsafe,
                source=order.source,
            ),
            order.inline,
        )
        for index in range(order.num_images)
    ]
    body = {
        "images": [image(picture) for picture in pictures],
        "timings": {"inference": _inference_s(job.run_s)},
        "seed": order.seed,
        "has_nsfw_concepts": [unsafe] * len(pictures),
        "prompt": order.prompt,
    }
    return Answer(200, body, billable_units=_units(order, job.run_s), inline=order.inline)


def _units(order: Order, run_s: float) -> int | float:
    """What is to be paid for, in the unit of the endpoint's price."""
    match price(order.endpoint).unit:
        case "images":
            return order.num_images
        case "compute seconds":
            return run_s
        case _:
            width, height = order.size
            return order.num_images * math.ceil(width * height / MEGAPIXEL)


def _inference_s(run_s: float) -> float:
    # fal: a little less than the inference_time of the status (live, on other models).
    return round(run_s * 0.96, 6)
