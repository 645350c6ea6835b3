"""FLUX.1 [pro]: text to image, and kontext, which edits a picture. Their inputs have no number of steps."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

from mock_fal.models.catalog import Schema
from mock_fal.models.flux import ImageSize, Preset
from mock_fal.models.image_model import Fields, image_runner
from mock_fal.models.output_schemas import FileOutput, Output

Ratio = Literal["21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21"]
Tolerance = Literal["1", "2", "3", "4", "5", "6"]


# fal: the fields, limits and defaults of all models here are those of the published schemas (2026-06 to 2026-08); their
# order is that of the JavaScript client's types (1.9.3), which keep the schemas' order.
class V11Input(BaseModel):
    """The input of `fal-ai/flux-pro/v1.1`."""

    prompt: str
    image_size: ImageSize | Preset = "landscape_4_3"
    seed: int | None = None
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    output_format: Literal["jpeg", "png"] = "jpeg"
    safety_tolerance: Tolerance = "2"
    enhance_prompt: bool = False


class UltraInput(BaseModel):
    """The input of `fal-ai/flux-pro/v1.1-ultra`: an aspect ratio instead of a size, and an optional picture."""

    prompt: str
    seed: int | None = None
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    output_format: Literal["jpeg", "png"] = "jpeg"
    safety_tolerance: Tolerance = "2"
    enhance_prompt: bool = False
    image_url: str | None = None
    image_prompt_strength: float = Field(0.1, ge=0, le=1)
    aspect_ratio: Ratio | str = "16:9"
    raw: bool = False


class KontextInput(BaseModel):
    """The input of `fal-ai/flux-pro/kontext` and `fal-ai/flux-pro/kontext/max`."""

    prompt: str
    seed: int | None = None
    guidance_scale: float = Field(3.5, ge=1, le=20)
    sync_mode: bool = False
    num_images: int = Field(1, ge=1, le=4)
    output_format: Literal["jpeg", "png"] = "jpeg"
    safety_tolerance: Tolerance = "2"
    enhance_prompt: bool = False
    aspect_ratio: Ratio | None = None
    image_url: str = Field(min_length=1)


def _with_megapixels(fields: Fields) -> Fields:
    return fields | {"megapixels": 4}  # fal: the maximum (model page, 2026)


SCHEMAS: Final = {
    "fal-ai/flux-pro/v1.1": Schema(V11Input, Output),
    "fal-ai/flux-pro/v1.1-ultra": Schema(UltraInput, Output),
    "fal-ai/flux-pro/kontext": Schema(KontextInput, FileOutput),
    "fal-ai/flux-pro/kontext/max": Schema(KontextInput, FileOutput),
}
RUNNERS: Final = {
    endpoint: image_runner(endpoint, schema, _with_megapixels if schema.input is UltraInput else None)
    for endpoint, schema in SCHEMAS.items()
}
