"""Reading an input picture: its format, size and a small greyscale copy. Imports Pillow."""

from __future__ import annotations

import io
import warnings
from hashlib import sha256
from threading import Lock
from typing import Final

from PIL import Image, ImageFile, ImageOps

from mock_fal.errors import UnusableFile
from mock_fal.pictures.recipe import MAX_SOURCE_PIXELS, Source

# The greyscale copy of an input picture takes some 20 kB; at this size the picture is still recognisable.
COPY_SIDE: Final = 512
COPY_QUALITY: Final = 80

# fal: the formats listed on its page on model errors. MPO is a JPEG variant that some cameras write.
FORMATS: Final = {"JPEG", "MPO", "PNG", "WEBP"}

# EXIF orientations that swap width and height.
_ORIENTATION: Final = 0x0112
_ROTATED: Final = range(5, 9)

# How much of a file Pillow decodes at once. It holds the interpreter meanwhile, and deflate expands a thousandfold:
# with Pillow's own 64 kB, other threads would wait for 60 ms.
_DECODED_BYTES: Final = 4096

# `catch_warnings` changes filters of the whole process, so two threads must not do it at the same time.
_filters = Lock()


def read_size(data: bytes) -> tuple[int, int]:
    """Width and height of the picture in a file, from its header. Raises UnusableFile, as `read_source` does."""
    try:
        image = _open(data)
    except Exception:  # a decoder may raise anything on a broken file
        raise UnusableFile("image_load_error") from None
    _check(image)
    return image.size


def read_source(data: bytes) -> Source:
    """The picture in a file.

    Raises UnusableFile if the file is not a picture, not in a supported format or larger than MAX_SOURCE_PIXELS.
    """
    read_size(data)
    try:
        image = _open(data)
        if isinstance(image, ImageFile.ImageFile):
            image.decodermaxblock = _DECODED_BYTES
        width, height = image.size
        if image.getexif().get(_ORIENTATION) in _ROTATED:
            width, height = height, width
        tones = _tones(image)
    except Exception:  # a decoder may raise anything on a broken file
        raise UnusableFile("image_load_error") from None
    return Source(sha256(data).hexdigest(), width, height, tones)


def _open(data: bytes) -> Image.Image:
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `_check` has the limit
        return Image.open(io.BytesIO(data))


def _check(image: Image.Image) -> None:
    if image.format not in FORMATS:
        raise UnusableFile("unsupported_image_format")
    if image.width * image.height > MAX_SOURCE_PIXELS:
        raise UnusableFile("image_load_error")


def _tones(image: Image.Image) -> bytes:
    image.draft("L", (COPY_SIDE, COPY_SIDE))  # JPEG can be decoded at a reduced size
    image.thumbnail((COPY_SIDE, COPY_SIDE), Image.Resampling.BOX)
    small = ImageOps.exif_transpose(image).convert("RGBA")
    background = Image.new("RGBA", small.size, "white")
    file = io.BytesIO()
    Image.alpha_composite(background, small).convert("L").save(file, "JPEG", quality=COPY_QUALITY)
    return file.getvalue()
