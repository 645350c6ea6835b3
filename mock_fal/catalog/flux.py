"""FLUX.1: text to image, in the turbo mode `schnell` and the full one `dev`."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field, TypeAdapter

from mock_fal.catalog import Job, Runner, Work
from mock_fal.catalog.framework import Rejected, load
from mock_fal.catalog.images import Order, answer
from mock_fal.outcome import Answer

Preset = Literal["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]
Acceleration = Literal["none", "regular", "high"]

# fal: the sizes of the presets (fal SDK, toolkit; landscape_4_3 and square seen live).
PRESETS: Final[dict[str, tuple[int, int]]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}


class ImageSize(BaseModel):
    """A size in pixels. fal: the limits are those of the published schema."""

    width: int = Field(512, gt=0, le=14142)
    height: int = Field(512, gt=0, le=14142)


# fal: errors come in the order of the published schema's fields, which puts the steps before the prompt.
# fal: unverified, whether presets and formats are literals or enums (the type of their error would differ).
class SchnellInput(BaseModel):
    """What `schnell` accepts: fal's `FluxSchnellInput`."""

    num_inference_steps: int = Field(4, ge=1, le=12)
    prompt: str
    image_size: ImageSize | Preset = "landscape_4_3"
    seed: int | None = None
    guidance_scale: float = Field(3.5, ge=1, le=20)
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png"] = "jpeg"
    acceleration: Acceleration = "none"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        # fal: unverified, live sizes may be rounded to a multiple of 16; we keep to what was asked for.
        if isinstance(self.image_size, ImageSize):
            return self.image_size.width, self.image_size.height
        return PRESETS[self.image_size]


class DevInput(SchnellInput):
    """What `dev` accepts: the same with more steps. fal: `FluxDevInput`."""

    num_inference_steps: int = Field(28, ge=1, le=50)


# fal: unverified, flux-1 is accelerated by default (its model page; the schema was not seen whole).
class Flux1SchnellInput(SchnellInput):
    """The sibling app's `schnell`."""

    acceleration: Acceleration = "regular"


class Flux1DevInput(DevInput):
    """The sibling app's `dev`."""

    acceleration: Acceleration = "regular"


def text_to_image(endpoint: str, model: type[SchnellInput]) -> Runner:
    """The runner of one endpoint."""
    adapter: TypeAdapter[SchnellInput] = TypeAdapter(model)

    def run(job: Job) -> Work:
        try:
            its = load(job.body, adapter)
        except Rejected as rejection:
            return Work(rejection.answer)
        return Work(_answer(endpoint, its, job), its.num_inference_steps)

    return run


def _answer(endpoint: str, its: SchnellInput, job: Job) -> Answer:
    # A prompt may hold half a surrogate pair: JSON can write it, UTF-8 alone can't.
    seed = job.draw_seed(repr(vars(its)).encode("utf-8", "surrogatepass")) if its.seed is None else its.seed
    order = Order(
        endpoint=endpoint,
        prompt=its.prompt,
        seed=seed,
        size=its.size,
        num_images=its.num_images,
        format=its.output_format,
        inline=its.sync_mode,
        checked=its.enable_safety_checker,
    )
    return answer(order, job)


RUNNERS: Final[dict[str, Runner]] = {
    endpoint: text_to_image(endpoint, model)
    for endpoint, model in {
        "fal-ai/flux/schnell": SchnellInput,
        "fal-ai/flux/dev": DevInput,
        "fal-ai/flux-1/schnell": Flux1SchnellInput,
        "fal-ai/flux-1/dev": Flux1DevInput,
    }.items()
}
