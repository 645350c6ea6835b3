"""FLUX.2: text to image, edit, pro, and klein, which edits frames in real time."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

from mock_fal.models.catalog import Schema
from mock_fal.models.flux import Acceleration, ImageSize, Preset
from mock_fal.models.image_model import Fields, image_runner
from mock_fal.models.output_schemas import FileOutput, ImageFile, RawImage


# fal: the fields, limits and defaults of all models here are those of the published schemas (2026-06 to 2026-08); the
# order of flux-2, its edit and pro is that of the JavaScript client's types (1.9.3), which keep the schemas' order.
class _Common(BaseModel):
    prompt: str
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


class Flux2Input(_Common):
    """The input of `fal-ai/flux-2`."""

    image_size: ImageSize | Preset = "landscape_4_3"


class Flux2EditInput(_Common):
    """The input of `fal-ai/flux-2/edit`; the default size is that of the input picture."""

    image_urls: list[str]


class Flux2ProInput(BaseModel):
    """The input of `fal-ai/flux-2-pro`."""

    prompt: str
    image_size: ImageSize | Preset = "landscape_4_3"
    seed: int | None = None
    safety_tolerance: Literal["1", "2", "3", "4", "5"] = "2"
    enable_safety_checker: bool = True
    output_format: Literal["jpeg", "png"] = "jpeg"
    sync_mode: bool = False


class Flux2ProOutput(BaseModel):
    """The pictures and the seed."""

    images: list[ImageFile]
    seed: int


# fal: the fields and defaults are those of the JavaScript client's types (1.10.1, `RealtimeEditInput`).
# assumption: their order, and all limits; a user's program names eight steps as the maximum (2026-06).
class KleinInput(BaseModel):
    """The input of `fal-ai/flux-2/klein/realtime`."""

    image_url: str
    prompt: str = 'Turn this into "Living oil painting, melting gold and sapphire"'
    seed: int = 35
    num_inference_steps: int = Field(3, ge=1, le=8)
    image_size: Literal["square", "square_hd"] = "square"
    schedule_mu: float = 2.3
    output_feedback_strength: float = Field(1, ge=0, le=1)
    enable_interpolation: bool = False


class KleinOutput(BaseModel):
    """The frame as bytes, with interpolation preceded by one between the previous frame and this one."""

    images: list[RawImage]
    seed: int


def _normalised(fields: Fields) -> Fields:
    # fal: `square` is larger than with the other models (JavaScript client's types, 1.10.1).
    side = 768 if fields["image_size"] == "square" else 1024
    frames = 2 if fields["enable_interpolation"] else 1
    return fields | {
        "image_size": ImageSize(width=side, height=side),
        "num_images": frames,
        "sync_mode": True,
    }


SCHEMAS: Final = {
    "fal-ai/flux-2": Schema(Flux2Input, FileOutput),
    "fal-ai/flux-2/edit": Schema(Flux2EditInput, FileOutput),
    "fal-ai/flux-2-pro": Schema(Flux2ProInput, Flux2ProOutput),
    # assumption: it also accepts direct requests (programs send some, 2026), and responds with data URIs.
    "fal-ai/flux-2/klein/realtime": Schema(KleinInput, KleinOutput),
}
RUNNERS: Final = {
    endpoint: image_runner(endpoint, schema, _normalised if schema.input is KleinInput else None)
    for endpoint, schema in SCHEMAS.items()
}
