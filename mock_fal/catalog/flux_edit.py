"""FLUX and its kin with a picture to start from: image to image, redux, kontext, edit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Literal

from pydantic import BaseModel, Field, TypeAdapter

from mock_fal.catalog import Job, Runner, Work
from mock_fal.catalog.flux import PRESETS, Acceleration, ImageSize, Preset
from mock_fal.catalog.framework import Rejected, load
from mock_fal.catalog.images import Order, answer, four_keys, six_keys
from mock_fal.errors import JSON, UnusableFile
from mock_fal.outcome import Picture, model_error
from mock_fal.recipe import Source

Ratio = Literal["21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21"]

# The longest side that the schemas let anybody ask for; a picture that is given may be longer.
LONGEST_SIDE: Final = 14142

# How much of an address an error repeats: a data URI may be of any length.
# fal: unverified, whether the live service repeats all of it.
REPEATED: Final = 1000


# fal: the fields, limits and defaults of all models here are those of the published schemas (2026-06 to 2026-08).
# fal: unverified, their order, in which errors come.
class ImageToImageInput(BaseModel):
    """What `fal-ai/flux/dev/image-to-image` accepts."""

    prompt: str
    image_url: str
    strength: float = Field(0.95, ge=0.01, le=1)
    num_inference_steps: int = Field(40, ge=10, le=50)
    seed: int | None = None
    guidance_scale: float = Field(3.5, ge=1, le=20)
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png"] = "jpeg"
    acceleration: Acceleration = "none"


class ReduxInput(BaseModel):
    """What `fal-ai/flux/schnell/redux` accepts: no prompt, but a size of its own."""

    image_url: str
    num_inference_steps: int = Field(4, ge=1, le=12)
    image_size: ImageSize | Preset = "landscape_4_3"
    seed: int | None = None
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png"] = "jpeg"
    acceleration: Acceleration = "none"


class KontextInput(BaseModel):
    """What `fal-ai/flux-pro/kontext` and `…/max` accept."""

    prompt: str
    image_url: str = Field(min_length=1)
    seed: int | None = None
    guidance_scale: float = Field(3.5, ge=1, le=20)
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    output_format: Literal["jpeg", "png"] = "jpeg"
    safety_tolerance: Literal["1", "2", "3", "4", "5", "6"] = "2"
    enhance_prompt: bool = False
    aspect_ratio: Ratio | None = None


class Flux2EditInput(BaseModel):
    """What `fal-ai/flux-2/edit` accepts."""

    prompt: str
    image_urls: list[str]
    guidance_scale: float = Field(2.5, ge=0, le=20)
    seed: int | None = None
    num_inference_steps: int = Field(28, ge=4, le=50)
    image_size: ImageSize | Preset | None = None
    num_images: int = Field(1, ge=1, le=4)
    acceleration: Acceleration = "regular"
    enable_prompt_expansion: bool = False
    sync_mode: bool = False
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png", "webp"] = "png"


class FastSdxlInput(BaseModel):
    """What `fal-ai/fast-sdxl/image-to-image` accepts."""

    image_url: str
    prompt: str
    strength: float = Field(0.95, ge=0.05, le=1)
    negative_prompt: str = ""
    image_size: ImageSize | Preset | None = "square_hd"
    num_inference_steps: int = Field(25, ge=1, le=65)
    seed: int | None = None
    guidance_scale: float = Field(7.5, ge=0, le=20)
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=8)
    loras: list[dict[str, Any]] = []
    embeddings: list[dict[str, Any]] = []
    enable_safety_checker: bool = True
    expand_prompt: bool = False
    format: Literal["jpeg", "png"] = "jpeg"
    preserve_aspect_ratio: bool = False
    crop_output: bool = False


def editing(endpoint: str, model: type[BaseModel], image: Callable[[Picture], JSON]) -> Runner:
    """The runner of one endpoint. It reads the fields by their names: the schemas agree about these."""
    adapter: TypeAdapter[BaseModel] = TypeAdapter(model)

    def run(job: Job) -> Work:
        try:
            its = dict(load(job.body, adapter))
        except Rejected as rejection:
            return Work(rejection.answer)
        field = "image_urls" if "image_urls" in its else "image_url"
        named = its.pop(field)
        sources = []
        for url in [named] if isinstance(named, str) else named:
            try:
                sources.append(job.open(url))
            except UnusableFile as error:
                # fal: places are names, also within a list (live answers); numbers there break a client.
                return Work(model_error(error.error_type, url[:REPEATED], loc=("body", field), ctx=error.ctx))
        # fal: unverified, the steps of models that let nobody ask for them.
        steps = its.get("num_inference_steps", 28)
        return Work(answer(_order(endpoint, its, sources, job), job, image), steps)

    return run


def _order(endpoint: str, its: dict[str, Any], sources: list[Source | None], job: Job) -> Order:
    # What is asked for is the same with every upload of a picture, whose address isn't.
    asked = repr((its, sources)).encode("utf-8", "surrogatepass")
    source = next((source for source in sources if source), None)  # of several, the first one shows
    return Order(
        endpoint=endpoint,
        # fal: unverified, what a model without a prompt says there.
        prompt=its.get("prompt", ""),
        seed=job.draw_seed(asked) if its["seed"] is None else its["seed"],
        size=_size(its, source),
        num_images=its["num_images"],
        format=its.get("output_format") or its["format"],
        inline=its["sync_mode"],
        checked=its.get("enable_safety_checker", True),
        source=source,
    )


def _size(its: dict[str, Any], source: Source | None) -> tuple[int, int]:
    """Width and height of the result: as asked for, else those of the picture."""
    asked = its.get("image_size")
    if asked is not None:
        return (asked.width, asked.height) if isinstance(asked, ImageSize) else PRESETS[asked]
    # fal: unverified, that the picture's size is kept; of one that we don't see, we take it to be landscape_4_3.
    wide, high = (source.width, source.height) if source else PRESETS["landscape_4_3"]
    if "aspect_ratio" in its:
        return _megapixel(*map(int, (its["aspect_ratio"] or f"{wide}:{high}").split(":")))
    longest = max(wide, high)
    allowed = min(longest, LONGEST_SIDE)
    return max(1, wide * allowed // longest), max(1, high * allowed // longest)


def _megapixel(wide: int, high: int) -> tuple[int, int]:
    # fal: unverified; a megapixel, in steps of 16 pixels, no narrower than the narrowest that can be asked for.
    root = math.sqrt(min(max(wide / high, 9 / 21), 21 / 9))
    return round(64 * root) * 16, round(64 / root) * 16


_MODELS: Final[list[tuple[str, type[BaseModel], Callable[[Picture], JSON]]]] = [
    ("fal-ai/flux/dev/image-to-image", ImageToImageInput, four_keys),
    ("fal-ai/flux/schnell/redux", ReduxInput, four_keys),
    ("fal-ai/flux-pro/kontext", KontextInput, six_keys),
    ("fal-ai/flux-pro/kontext/max", KontextInput, six_keys),
    ("fal-ai/flux-2/edit", Flux2EditInput, six_keys),
    ("fal-ai/fast-sdxl/image-to-image", FastSdxlInput, four_keys),
]

RUNNERS: Final[dict[str, Runner]] = {
    endpoint: editing(endpoint, model, image) for endpoint, model, image in _MODELS
}
