"""Stable Diffusion XL and its faster variants: fast-sdxl with image to image, LCM, turbo."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from mock_fal.models.catalog import Schema
from mock_fal.models.flux import ImageSize, Preset
from mock_fal.models.flux_lora import LoraWeight
from mock_fal.models.image_model import image_runner
from mock_fal.models.output_schemas import Image, Output


class Embedding(BaseModel):
    """The URL of a textual inversion and its tokens. The emulator neither downloads nor uses them."""

    path: str
    tokens: list[str] = ["<s0>", "<s1>"]


# fal: the fields and defaults of all models here, and their order, are those of the JavaScript client's types, which
# keep the schemas' order (1.9.3; turbo: 1.4.0); the limits are those of the published schemas (2026-06 to 2026-08).
class FastSdxlInput(BaseModel):
    """The input of `fal-ai/fast-sdxl`."""

    prompt: str
    negative_prompt: str = ""
    image_size: ImageSize | Preset = "square_hd"
    num_inference_steps: int = Field(25, ge=1, le=50)
    seed: int | None = None
    guidance_scale: float = Field(7.5, ge=0, le=20)
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=8)
    loras: list[LoraWeight] = []
    embeddings: list[Embedding] = []
    enable_safety_checker: bool = True
    safety_checker_version: Literal["v1", "v2"] = "v1"
    expand_prompt: bool = False
    format: Literal["jpeg", "png"] = "jpeg"
    request_id: str = ""


class ImageToImageInput(BaseModel):
    """The input of `fal-ai/fast-sdxl/image-to-image`."""

    image_url: str
    prompt: str
    negative_prompt: str = ""
    image_size: ImageSize | Preset | None = "square_hd"
    num_inference_steps: int = Field(25, ge=1, le=65)
    guidance_scale: float = Field(7.5, ge=0, le=20)
    strength: float = Field(0.95, ge=0.05, le=1)
    seed: int | None = None
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=8)
    loras: list[LoraWeight] = []
    embeddings: list[Embedding] = []
    enable_safety_checker: bool = True
    safety_checker_version: Literal["v1", "v2"] = "v1"
    expand_prompt: bool = False
    format: Literal["jpeg", "png"] = "jpeg"
    request_id: str = ""
    preserve_aspect_ratio: bool = False
    crop_output: bool = False


class FastLcmInput(BaseModel):
    """The input of `fal-ai/fast-lcm-diffusion`. `sync_mode` is on by default: pictures are data URIs."""

    model_name: Literal["stabilityai/stable-diffusion-xl-base-1.0", "runwayml/stable-diffusion-v1-5"] = (
        "stabilityai/stable-diffusion-xl-base-1.0"
    )
    prompt: str
    negative_prompt: str = ""
    image_size: ImageSize | Preset = "square_hd"
    num_inference_steps: int = Field(6, ge=1, le=32)
    seed: int | None = None
    guidance_scale: float = Field(1.5, ge=0, le=20)
    sync_mode: bool = True
    num_images: int = Field(1, ge=1, le=8)
    enable_safety_checker: bool = True
    safety_checker_version: Literal["v1", "v2"] = "v1"
    expand_prompt: bool = False
    format: Literal["jpeg", "png"] = "jpeg"
    guidance_rescale: float = Field(0, ge=0, le=1)
    request_id: str = ""


# assumption: the limits of turbo, and that its safety checker is off by default: the types state no default for it,
# and they omit defaults of false.
class FastTurboInput(BaseModel):
    """The input of `fal-ai/fast-turbo-diffusion`. `sync_mode` is on by default here too."""

    model_name: Literal["stabilityai/sdxl-turbo", "stabilityai/sd-turbo"] = "stabilityai/sdxl-turbo"
    prompt: str
    negative_prompt: str = ""
    image_size: ImageSize | Preset = "square"
    num_inference_steps: int = Field(2, ge=1, le=12)
    seed: int | None = None
    guidance_scale: float = Field(1, ge=0, le=20)
    sync_mode: bool = True
    num_images: int = Field(1, ge=1, le=8)
    enable_safety_checker: bool = False
    expand_prompt: bool = False


class FastTurboOutput(BaseModel):
    """The output of turbo: four fields, without the prompt."""

    images: list[Image]
    timings: dict[str, Any]
    seed: int
    has_nsfw_concepts: list[bool]


SCHEMAS: Final = {
    "fal-ai/fast-sdxl": Schema(FastSdxlInput, Output),
    "fal-ai/fast-sdxl/image-to-image": Schema(ImageToImageInput, Output),
    "fal-ai/fast-lcm-diffusion": Schema(FastLcmInput, Output),
    "fal-ai/fast-turbo-diffusion": Schema(FastTurboInput, FastTurboOutput),
}
RUNNERS: Final = {endpoint: image_runner(endpoint, schema) for endpoint, schema in SCHEMAS.items()}
