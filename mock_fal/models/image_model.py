"""An image model at work: any of those whose fields have the names that fal's schemas agree about."""

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

# The longest side that the schemas let anybody ask for; a picture that is given may be longer.
LONGEST_SIDE: Final = 14142

# How much of an address an error repeats: a data URI may be of any length.
# assumption: whether the live service repeats all of it.
REPEATED: Final = 1000

_FORMS: Final = {Image: four_keys, ImageFile: six_keys, RawImage: raw_keys}


def painting(endpoint: str, schema: Schema, amend: Callable[[Fields], Fields] | None = None) -> Runner:
    """The runner of one endpoint: it answers the fields that its schema has, with pictures in the schema's form.

    `amend` puts an input of other habits into the common names.
    """
    adapter: TypeAdapter[BaseModel] = TypeAdapter(schema.input)
    shown = schema.output.model_fields
    form = _FORMS[get_args(shown["images"].annotation)[0]]

    def run(job: Job) -> RunnerOutput:
        try:
            its = dict(load(job.body, adapter))
        except Rejected as rejection:
            return RunnerOutput(rejection.response)
        # The JavaScript client makes one for each frame in realtime: the picture must not hang on it.
        its.pop("request_id", None)
        its = amend(its) if amend else its
        field = "image_urls" if "image_urls" in its else "image_url"
        sources = []
        for url in _named(its.pop(field, None)):
            try:
                sources.append(job.open(url))
            except UnusableFile as error:
                # fal: places are names, also within a list (live answers); numbers there break a client.
                return RunnerOutput(
                    model_error(error.error_type, url[:REPEATED], loc=("body", field), ctx=error.ctx)
                )
        whole = image_response(_order(endpoint, its, sources, job), job, form)
        result = replace(whole, body={name: whole.body[name] for name in shown})
        # assumption: the steps of models that let nobody ask for them.
        steps = its.get("num_inference_steps", 28)
        return RunnerOutput(result, steps)

    return run


def _named(urls: str | list[str] | None) -> list[str]:
    """The pictures that an input names: in a list, alone, or none."""
    if isinstance(urls, list):
        return urls
    return [] if urls is None else [urls]


def _order(endpoint: str, its: Fields, sources: list[Source | None], job: Job) -> PictureRequest:
    # What is asked for is the same with every upload of a picture, whose address isn't.
    asked = repr((its, sources)).encode("utf-8", "surrogatepass")
    source = next((source for source in sources if source), None)  # of several, the first one shows
    return PictureRequest(
        endpoint=endpoint,
        # assumption: what a model without a prompt says there.
        prompt=its.get("prompt", ""),
        seed=job.draw_seed(asked) if its["seed"] is None else its["seed"],
        size=_size(its, source),
        num_images=its.get("num_images", 1),
        # assumption: what comes where nobody can ask for a format; most models make a JPEG.
        format=its.get("output_format") or its.get("format", "jpeg"),
        inline=its["sync_mode"],
        checked=its.get("enable_safety_checker", True),
        source=source,
    )


def _size(its: Fields, source: Source | None) -> tuple[int, int]:
    """Width and height of the result: as asked for, else those of the picture."""
    asked = its.get("image_size")
    if asked is not None:
        return (asked.width, asked.height) if isinstance(asked, ImageSize) else PRESETS[asked]
    # assumption: that the picture's size is kept; of one that we don't see, we take it to be landscape_4_3.
    wide, high = (source.width, source.height) if source else PRESETS["landscape_4_3"]
    if "aspect_ratio" in its:
        return _of_ratio(its["aspect_ratio"] or f"{wide}:{high}", its.get("megapixels", 1))
    longest = max(wide, high)
    allowed = min(longest, LONGEST_SIDE)
    return max(1, wide * allowed // longest), max(1, high * allowed // longest)


def _of_ratio(ratio: str, megapixels: int) -> tuple[int, int]:
    # assumption: that a ratio means so many megapixels, in steps of 16 pixels, and its limits.
    named = re.fullmatch(r"([1-9]\d{0,5}):([1-9]\d{0,5})", ratio)
    # assumption: what becomes of a ratio that is none, where the schema takes any text.
    wide, high = map(int, named.groups()) if named else (16, 9)
    root, side = math.sqrt(min(max(wide / high, 9 / 21), 21 / 9)), 64 * math.sqrt(megapixels)
    return round(side * root) * 16, round(side / root) * 16
