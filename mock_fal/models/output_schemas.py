"""Output models that families of endpoints share, as in their published schemas."""

from __future__ import annotations

from pydantic import BaseModel


class Image(BaseModel):
    """A picture in the output of FLUX.1 and similar models."""

    url: str
    width: int
    height: int
    content_type: str | None = "image/jpeg"


class ImageFile(BaseModel):
    """A picture in the output of newer models."""

    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None
    width: int | None = None
    height: int | None = None


class RawImage(BaseModel):
    """A picture in the output of realtime models: the bytes of the file."""

    content: bytes
    content_type: str = "image/jpeg"
    height: int
    width: int


class Output(BaseModel):
    """The output of most image models: five fields, with four keys for each picture."""

    images: list[Image]
    timings: dict[str, float]
    seed: int
    has_nsfw_concepts: list[bool]
    prompt: str


class FileOutput(BaseModel):
    """The same five fields, with six keys for each picture."""

    images: list[ImageFile]
    timings: dict[str, float]
    seed: int
    has_nsfw_concepts: list[bool]
    prompt: str
