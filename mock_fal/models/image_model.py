"""The runner shared by image models whose inputs use the common field names of fal's schemas."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, get_args

from pydantic import BaseModel, TypeAdapter

from mock_fal.errors import UnusableFile
from mock_fal.models.catalog import Job, Runner, RunnerOutput, Schema
from mock_fal.models.flux import PRESETS, ImageSize
from mock_fal.models.image_output import PictureRequest, four_keys, image_response, raw_keys, six_keys
from mock_fal.models.output_schemas import Image, ImageFile, RawImage
from mock_fal.models.validation import Rejected, load
from mock_fal.pictures.recipe import Source
from mock_fal.requests.outcome import model_error

Fields = dict[str, Any]

# The maximum side of a result in pixels, from the schemas; an input picture may be larger.
MAX_SIDE: Final = 14142

# The maximum number of characters of a URL that an error repeats: a data URI may have any length.
# assumption: the live service may repeat all of it.
MAX_REPEATED_URL: Final = 1000

_IMAGE_FORMATS: Final = {Image: four_keys, ImageFile: six_keys, RawImage: raw_keys}


def image_runner(
    endpoint: str, schema: Schema, normalise: Callable[[Fields], Fields] | None = None
) -> Runner:
    """A runner for one endpoint, whose output has the fields and the image format of its schema.

    `normalise` converts an input with other field names or values to the common ones.
    """
    adapter: TypeAdapter[BaseModel] = TypeAdapter(schema.input)
    output_fields = schema.output.model_fields
    image_format = _IMAGE_FORMATS[get_args(output_fields["images"].annotation)[0]]

    def run(job: Job) -> RunnerOutput:
        try:
            fields = dict(load(job.body, adapter))
        except Rejected as rejection:
            return RunnerOutput(rejection.response)
        # The JavaScript client sends a new one with each realtime frame; the picture must not depend on it.
        fields.pop("request_id", None)
        fields = normalise(fields) if normalise else fields
        field = "image_urls" if "image_urls" in fields else "image_url"
        sources = []
        for url in _urls(fields.pop(field, None)):
            try:
                sources.append(job.load_picture(url))
            except UnusableFile as error:
                # fal: `loc` has no list index (live responses); an index there breaks a client.
                return RunnerOutput(
                    model_error(error.error_type, url[:MAX_REPEATED_URL], loc=("body", field), ctx=error.ctx)
                )
        response = image_response(_picture_request(endpoint, fields, sources, job), job, image_format)
        body = {name: response.body[name] for name in output_fields}
        # assumption: the number of steps of models whose input has none.
        steps = fields.get("num_inference_steps", 28)
        return RunnerOutput(replace(response, body=body), steps)

    return run


def _urls(urls: str | list[str] | None) -> list[str]:
    """The URLs of the input pictures, from a list, a single URL or None."""
    if isinstance(urls, list):
        return urls
    return [] if urls is None else [urls]


def _picture_request(endpoint: str, fields: Fields, sources: list[Source | None], job: Job) -> PictureRequest:
    # The seed is derived from the content of the input pictures, since each upload of a picture has another URL.
    seed_input = repr((fields, sources)).encode("utf-8", "surrogatepass")
    source = next((source for source in sources if source), None)  # of several, the first one is drawn
    return PictureRequest(
        endpoint=endpoint,
        # assumption: the prompt in the output of a model without one is empty.
        prompt=fields.get("prompt", ""),
        seed=job.derive_seed(seed_input) if fields["seed"] is None else fields["seed"],
        size=_size(fields, source),
        num_images=fields.get("num_images", 1),
        # assumption: models whose input has no format return a JPEG, as most others do by default.
        format=fields.get("output_format") or fields.get("format", "jpeg"),
        inline=fields["sync_mode"],
        checked=fields.get("enable_safety_checker", True),
        source=source,
    )


def _size(fields: Fields, source: Source | None) -> tuple[int, int]:
    """Width and height of the result: the requested size, else that of the input picture."""
    requested = fields.get("image_size")
    if requested is not None:
        return (requested.width, requested.height) if isinstance(requested, ImageSize) else PRESETS[requested]
    # assumption: the result has the size of the input picture; one on another host counts as landscape_4_3.
    width, height = (source.width, source.height) if source else PRESETS["landscape_4_3"]
    if "aspect_ratio" in fields:
        return _size_of_ratio(fields["aspect_ratio"] or f"{width}:{height}", fields.get("megapixels", 1))
    longest = max(width, height)
    allowed = min(longest, MAX_SIDE)
    return max(1, width * allowed // longest), max(1, height * allowed // longest)


def _size_of_ratio(ratio: str, megapixels: int) -> tuple[int, int]:
    # assumption: an aspect ratio sets the size to this many megapixels, in steps of 16 pixels; the limits of the ratio.
    match = re.fullmatch(r"([1-9]\d{0,5}):([1-9]\d{0,5})", ratio)
    # assumption: an invalid aspect ratio counts as 16:9 where the schema accepts any text.
    width, height = map(int, match.groups()) if match else (16, 9)
    root, side = math.sqrt(min(max(width / height, 9 / 21), 21 / 9)), 64 * math.sqrt(megapixels)
    return round(side * root) * 16, round(side / root) * 16
