"""A look at a picture that somebody gives: whether it is one, how large, and what is in it. Imports Pillow."""

from __future__ import annotations

import io
import warnings
from hashlib import sha256
from typing import Final

from PIL import Image, ImageOps

from mock_fal.errors import UnusableFile
from mock_fal.pictures.recipe import Source

# What is kept of a picture: its light and dark, in some 20 kB. It is known again at this size.
KEPT_SIDE: Final = 512
KEPT_QUALITY: Final = 80

# fal: the formats that its page on model errors names. MPO is what some cameras make of JPEG.
FORMATS: Final = {"JPEG", "MPO", "PNG", "WEBP"}

# EXIF: the picture lies on its side.
_ORIENTATION: Final = 0x0112
_ON_ITS_SIDE: Final = range(5, 9)


def look(data: bytes) -> Source:
    """The picture in a file. Raises UnusableFile for what is none, or none that a model reads."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            known = image.format in FORMATS
            width, height = image.size
            if image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE:
                width, height = height, width
            tones = _tones(image) if known else b""
    except Exception:  # a broken file may raise whatever its decoder stumbles over
        raise UnusableFile("image_load_error") from None
    if not known:
        raise UnusableFile("unsupported_image_format")
    return Source(sha256(data).hexdigest(), width, height, tones)


def _tones(image: Image.Image) -> bytes:
    image.draft("L", (KEPT_SIDE, KEPT_SIDE))  # JPEG can be read small at once
    image.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.BOX)
    small = ImageOps.exif_transpose(image).convert("RGBA")
    paper = Image.new("RGBA", small.size, "white")
    file = io.BytesIO()
    Image.alpha_composite(paper, small).convert("L").save(file, "JPEG", quality=KEPT_QUALITY)
    return file.getvalue()
