"""Picture files from bands: JPEG strips joined into one, PNG written as it comes. Bytes in, bytes out."""

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
    """One baseline JPEG from strips of one width and quality, top to bottom.

    Every strip but the last has a multiple of eight MCU rows, and a restart marker after each row. A restart starts
    the entropy coder afresh, so strips join without being decoded; and as markers count from RST0 to RST7 round and
    round, a strip of 8n rows ends just before an RST7 and the next one begins with RST0: nothing is renumbered.
    """
    head, scans = b"", []
    for strip in strips:
        start = _segment(strip, START_OF_SCAN)
        start += 2 + int.from_bytes(strip[start + 2 : start + 4], "big")
        head = head or strip[:start]
        scans.append(strip[start : -len(END_OF_IMAGE)])
    at = _segment(head, START_OF_FRAME) + 5  # after the marker, the length and the precision
    head = head[:at] + height.to_bytes(2, "big") + head[at + 2 :]
    return head + LAST_RESTART.join(scans) + END_OF_IMAGE


def _segment(file: bytes, marker: int) -> int:
    """Where the first segment of a kind begins; each says how long it is."""
    at = 2  # after SOI
    while file[at + 1] != marker:
        at += 2 + int.from_bytes(file[at + 2 : at + 4], "big")
    return at


def png(width: int, height: int, bands: Iterable[bytes]) -> bytes:
    """One 8-bit RGB PNG from bands of whole rows to which the filter "Up" has been applied."""
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    parts += (_chunk(b"IDAT", data) for data in _deflated(width, bands) if data)
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _deflated(width: int, bands: Iterable[bytes]) -> Iterator[bytes]:
    press, row = zlib.compressobj(PNG_LEVEL), 3 * width
    for band in bands:
        yield press.compress(b"".join(PNG_UP + band[at : at + row] for at in range(0, len(band), row)))
    yield press.flush()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))
