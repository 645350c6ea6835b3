"""Reading an input picture: its format, size and a small greyscale copy. Imports Pillow."""

from __future__ import annotations

import io
import warnings
from hashlib import sha256
from typing import Final

from PIL import Image, ImageOps

from mock_fal.errors import UnusableFile
from mock_fal.pictures.recipe import Source

# The greyscale copy of an input picture takes some 20 kB; at this size the picture is still recognisable.
COPY_SIDE: Final = 512
COPY_QUALITY: Final = 80

# fal: the formats listed on its page on model errors. MPO is a JPEG variant that some cameras write.
FORMATS: Final = {"JPEG", "MPO", "PNG", "WEBP"}

# EXIF orientations that swap width and height.
_ORIENTATION: Final = 0x0112
_ROTATED: Final = range(5, 9)


def read_source(data: bytes) -> Source:
    """The picture in a file. Raises UnusableFile if the file is not a picture or not in a supported format."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            supported = image.format in FORMATS
            width, height = image.size
            if image.getexif().get(_ORIENTATION) in _ROTATED:
                width, height = height, width
            tones = _tones(image) if supported else b""
    except Exception:  # a decoder may raise anything on a broken file
        raise UnusableFile("image_load_error") from None
    if not supported:
        raise UnusableFile("unsupported_image_format")
    return Source(sha256(data).hexdigest(), width, height, tones)


def _tones(image: Image.Image) -> bytes:
    image.draft("L", (COPY_SIDE, COPY_SIDE))  # JPEG can be decoded at a reduced size
    image.thumbnail((COPY_SIDE, COPY_SIDE), Image.Resampling.BOX)
    small = ImageOps.exif_transpose(image).convert("RGBA")
    background = Image.new("RGBA", small.size, "white")
    file = io.BytesIO()
    Image.alpha_composite(background, small).convert("L").save(file, "JPEG", quality=COPY_QUALITY)
    return file.getvalue()
