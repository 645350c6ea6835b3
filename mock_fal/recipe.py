"""What a placeholder picture is, before a pixel is drawn: a function of the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Format = Literal["jpeg", "png"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the bytes of one picture.

    `width` and `height` are pixels; `index` tells the pictures of one request apart; `blank` is the black
    picture that the safety checker puts in the place of an unsafe one.
    """

    endpoint: str
    prompt: str
    seed: int
    width: int
    height: int
    index: int = 0
    format: Format = "jpeg"
    blank: bool = False

    @property
    def content_type(self) -> str:
        return f"image/{self.format}"
