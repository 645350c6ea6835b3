"""The recipe of a placeholder picture: everything that determines its bytes, derived from the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Format = Literal["jpeg", "png", "webp", "avif", "gif"]

# The largest input picture: Pillow's own limit, 256 MiB of RGB. Decoding it takes that memory and some seconds.
MAX_SOURCE_PIXELS: Final = 89_478_485


@dataclass(frozen=True, slots=True)
class Source:
    """An input picture: its size in pixels, and `tones`, a small greyscale JPEG of it.

    Two sources with the same `digest` are the same picture.
    """

    digest: str
    width: int
    height: int
    tones: bytes = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that determines the bytes of one picture.

    `width` and `height` are in pixels. `index` is the position among the pictures of one request. `blank` means the
    black picture that the safety checker returns instead of an unsafe one. `source` is an input picture that shows
    through. `noise` is the share of noise in percent, above 0 in previews of a model's earlier steps.
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

    @property
    def extension(self) -> str:
        """Of the file's name."""
        return "jpg" if self.format == "jpeg" else self.format

    @property
    def text(self) -> str:
        """What the file says, as in the recipes of other media."""
        return self.prompt
