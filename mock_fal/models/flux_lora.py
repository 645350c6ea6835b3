"""FLUX.1 with custom LoRA weights."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

from mock_fal.models.catalog import Schema
from mock_fal.models.flux import ImageSize, Preset
from mock_fal.models.image_model import image_runner
from mock_fal.models.output_schemas import Output


class LoraWeight(BaseModel):
    """The URL of LoRA weights and their strength. The emulator neither downloads nor uses them."""

    path: str
    scale: float = Field(1, ge=0, le=4)


# fal: the order is that of the JavaScript client's types (1.9.3).
# assumption: the position of `acceleration`, which was added later.
class FluxLoraInput(BaseModel):
    """The input of `fal-ai/flux-lora`."""

    prompt: str
    image_size: ImageSize | Preset = "landscape_4_3"
    num_inference_steps: int = Field(28, ge=1, le=50)
    seed: int | None = None
    loras: list[LoraWeight] = []
    guidance_scale: float = Field(3.5, ge=0, le=35)
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png"] = "jpeg"
    acceleration: Literal["none", "regular"] = "none"


SCHEMAS: Final = {"fal-ai/flux-lora": Schema(FluxLoraInput, Output)}
RUNNERS: Final = {endpoint: image_runner(endpoint, schema) for endpoint, schema in SCHEMAS.items()}
