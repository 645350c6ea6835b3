"""FLUX.1 with an input picture: image to image, redux."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

from mock_fal.models.catalog import Schema
from mock_fal.models.flux import Acceleration, ImageSize, Preset
from mock_fal.models.image_model import image_runner
from mock_fal.models.output_schemas import Output


# fal: the fields, limits and defaults of all models here are those of the published schemas (2026-06 to 2026-08); their
# order is that of the JavaScript client's types (1.9.3), which is the schema's where both are known (flux/schnell).
class ImageToImageInput(BaseModel):
    """The input of `fal-ai/flux/dev/image-to-image`."""

    image_url: str
    strength: float = Field(0.95, ge=0.01, le=1)
    num_inference_steps: int = Field(40, ge=10, le=50)
    prompt: str
    seed: int | None = None
    guidance_scale: float = Field(3.5, ge=1, le=20)
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png"] = "jpeg"
    acceleration: Acceleration = "none"


class ReduxInput(BaseModel):
    """The input of `fal-ai/flux/schnell/redux`: a size, but no prompt."""

    image_url: str
    num_inference_steps: int = Field(4, ge=1, le=12)
    image_size: ImageSize | Preset = "landscape_4_3"
    seed: int | None = None
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png"] = "jpeg"
    acceleration: Acceleration = "none"


SCHEMAS: Final = {
    "fal-ai/flux/dev/image-to-image": Schema(ImageToImageInput, Output),
    "fal-ai/flux/schnell/redux": Schema(ReduxInput, Output),
}
RUNNERS: Final = {endpoint: image_runner(endpoint, schema) for endpoint, schema in SCHEMAS.items()}
