"""Encoding a picture in bands: JPEG strips are joined into one file, PNG rows are compressed one band at a time."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

START_OF_FRAME, START_OF_SCAN = 0xC0, 0xDA
LAST_RESTART = b"\xff\xd7"  # RST7
END_OF_IMAGE = b"\xff\xd9"

PNG_LEVEL = 1
PNG_UP = b"\x02"


def jpeg(height: int, strips: Iterable[bytes]) -> bytes:
    """One baseline JPEG from strips of the same width and quality, top to bottom.

    Every strip but the last has a multiple of eight MCU rows, with a restart marker after each row. A restart marker
    resets the entropy coder, so strips are joined without being decoded. Markers count from RST0 to RST7 and start
    over, so a strip of 8n rows ends just before an RST7, the next one begins with RST0, and no marker is renumbered.
    """
    header, scans = b"", []
    for strip in strips:
        start = _segment(strip, START_OF_SCAN)
        start += 2 + int.from_bytes(strip[start + 2 : start + 4], "big")
        header = header or strip[:start]
        scans.append(strip[start : -len(END_OF_IMAGE)])
    height_offset = _segment(header, START_OF_FRAME) + 5  # after the marker, the length and the precision
    header = header[:height_offset] + height.to_bytes(2, "big") + header[height_offset + 2 :]
    return header + LAST_RESTART.join(scans) + END_OF_IMAGE


def _segment(file: bytes, marker: int) -> int:
    """The offset of the first segment with this marker."""
    offset = 2  # after SOI
    while file[offset + 1] != marker:
        offset += 2 + int.from_bytes(file[offset + 2 : offset + 4], "big")
    return offset


def png(width: int, height: int, bands: Iterable[bytes]) -> bytes:
    """One 8-bit RGB PNG from bands of whole rows, already filtered with "Up"."""
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    parts += (_chunk(b"IDAT", data) for data in _compressed(width, bands) if data)
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _compressed(width: int, bands: Iterable[bytes]) -> Iterator[bytes]:
    compressor, row = zlib.compressobj(PNG_LEVEL), 3 * width
    for band in bands:
        rows = (PNG_UP + band[start : start + row] for start in range(0, len(band), row))
        yield compressor.compress(b"".join(rows))
    yield compressor.flush()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))
