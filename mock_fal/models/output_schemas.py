"""What the models answer, as their published schemas describe it: the shapes of output that families share."""

from __future__ import annotations

from pydantic import BaseModel


class Image(BaseModel):
    """A picture, as FLUX.1 and its kin answer it."""

    url: str
    width: int
    height: int
    content_type: str | None = "image/jpeg"


class ImageFile(BaseModel):
    """A picture, as newer models answer it."""

    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None
    width: int | None = None
    height: int | None = None


class RawImage(BaseModel):
    """A picture, as realtime models answer it: the file itself."""

    content: bytes
    content_type: str = "image/jpeg"
    height: int
    width: int


class Output(BaseModel):
    """The five fields of most image models, with their pictures in four keys."""

    images: list[Image]
    timings: dict[str, float]
    seed: int
    has_nsfw_concepts: list[bool]
    prompt: str


class FileOutput(BaseModel):
    """The same five fields, with the pictures in six keys."""

    images: list[ImageFile]
    timings: dict[str, float]
    seed: int
    has_nsfw_concepts: list[bool]
    prompt: str
