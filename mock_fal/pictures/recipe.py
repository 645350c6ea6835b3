"""What a placeholder picture is, before a pixel is drawn: a function of the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Format = Literal["jpeg", "png", "webp"]


@dataclass(frozen=True, slots=True)
class Source:
    """A picture that was given to start from: its size in pixels, and `tones`, a small grey JPEG of it.

    `digest` stands for the picture: two of the same digest are one.
    """

    digest: str
    width: int
    height: int
    tones: bytes = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the bytes of one picture.

    `width` and `height` are pixels; `index` tells the pictures of one request apart; `blank` is the black
    picture that the safety checker puts in the place of an unsafe one; `source` shows through where there is one.
    `noise` is how much of it (percent) is still noise, as in a model that is not at its last step.
    """

    endpoint: str
    prompt: str
    seed: int
    width: int
    height: int
    index: int = 0
    format: Format = "jpeg"
    blank: bool = False
    source: Source | None = None
    noise: int = 0

    @property
    def content_type(self) -> str:
        return f"image/{self.format}"
