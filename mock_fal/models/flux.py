"""FLUX.1 text to image: `schnell` with few steps, `dev` with more."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mock_fal.errors import JSON
from mock_fal.models.catalog import Job, Runner, RunnerOutput, Schema
from mock_fal.models.image_output import PictureRequest, four_keys, image_response
from mock_fal.models.output_schemas import Output
from mock_fal.models.validation import Rejected, load
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile, RunnerResponse, media_files

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


# The maximum number of previews in a stream, and the length of their longer side in pixels.
MAX_PREVIEWS: Final = 4
PREVIEW_SIDE: Final = 1024


class ImageSize(BaseModel):
    """A size in pixels. fal: the limits are those of the published schema."""

    width: int = Field(512, gt=0, le=14142)
    height: int = Field(512, gt=0, le=14142)


# fal: errors are in the order of the published schema's fields, which has the steps before the prompt.
# assumption: whether presets and formats are literals or enums (the type of their error would differ).
class SchnellInput(BaseModel):
    """The input of `schnell`: fal's `FluxSchnellInput`."""

    model_config = ConfigDict(title="SchnellTextToImageInput")

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
        # assumption: sizes are used as requested; the live service may round them to a multiple of 16.
        if isinstance(self.image_size, ImageSize):
            return self.image_size.width, self.image_size.height
        return PRESETS[self.image_size]


class _PromptFirst(BaseModel):
    prompt: str
    image_size: ImageSize | Preset = "landscape_4_3"


# fal: here the steps follow the prompt and the size (JavaScript client's types, 1.9.3, in the schemas' order).
class DevInput(SchnellInput, _PromptFirst):
    """The input of `dev`: the same with more steps. fal: `FluxDevInput`."""

    # assumption: this title, by analogy with that of `schnell`.
    model_config = ConfigDict(title="DevTextToImageInput")

    num_inference_steps: int = Field(28, ge=1, le=50)


# assumption: flux-1 is accelerated by default (its model page; its complete schema is not known).
class Flux1SchnellInput(SchnellInput):
    """The input of `fal-ai/flux-1/schnell`."""

    acceleration: Acceleration = "regular"


class Flux1DevInput(DevInput):
    """The input of `fal-ai/flux-1/dev`."""

    acceleration: Acceleration = "regular"


def text_to_image(endpoint: str, model: type[SchnellInput]) -> Runner:
    """A runner for one endpoint."""
    adapter: TypeAdapter[SchnellInput] = TypeAdapter(model)

    def run(job: Job) -> RunnerOutput:
        try:
            arguments = load(job.body, adapter)
        except Rejected as rejection:
            return RunnerOutput(rejection.response)
        response = _response(endpoint, arguments, job)
        previews = _previews(response, arguments) if job.streamed else ()
        return RunnerOutput(response, arguments.num_inference_steps, previews)

    return run


def _response(endpoint: str, arguments: SchnellInput, job: Job) -> RunnerResponse:
    seed = arguments.seed
    if seed is None:
        # JSON can escape a lone surrogate in a prompt, which strict UTF-8 can't encode.
        seed = job.derive_seed(repr(vars(arguments)).encode("utf-8", "surrogatepass"))
    picture_request = PictureRequest(
        endpoint=endpoint,
        prompt=arguments.prompt,
        seed=seed,
        size=arguments.size,
        num_images=arguments.num_images,
        format=arguments.output_format,
        inline=arguments.sync_mode,
        checked=arguments.enable_safety_checker,
    )
    return image_response(picture_request, job)


def _previews(response: RunnerResponse, arguments: SchnellInput) -> tuple[JSON, ...]:
    """The partial results of a stream: the final output with noise over its pictures, less in each event."""
    # assumption: each event is a complete output with pictures of at most 1,024 pixels, and there are at most four.
    count = min(arguments.num_inference_steps - 1, MAX_PREVIEWS)
    pictures = list(media_files(response.body))
    previews = []
    for number in range(1, count + 1):
        noise = 100 - 100 * number // (count + 1)
        images = [four_keys(_preview(picture.recipe, noise)) for picture in pictures]
        previews.append({**response.body, "images": images, "timings": {}})
    return tuple(previews)


def _preview(recipe: Recipe, noise: int) -> MediaFile:
    longest = max(recipe.width, recipe.height, PREVIEW_SIDE)
    width, height = (max(1, side * PREVIEW_SIDE // longest) for side in (recipe.width, recipe.height))
    return MediaFile(replace(recipe, width=width, height=height, noise=noise), "", inline=True)


_INPUTS: Final[dict[str, type[SchnellInput]]] = {
    "fal-ai/flux/schnell": SchnellInput,
    "fal-ai/flux/dev": DevInput,
    "fal-ai/flux-1/schnell": Flux1SchnellInput,
    "fal-ai/flux-1/dev": Flux1DevInput,
}

RUNNERS: Final[dict[str, Runner]] = {
    endpoint: text_to_image(endpoint, model) for endpoint, model in _INPUTS.items()
}
SCHEMAS: Final = {endpoint: Schema(model, Output) for endpoint, model in _INPUTS.items()}
