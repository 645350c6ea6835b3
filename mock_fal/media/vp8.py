"""VP8: the key frame of a WebP picture, and frames that copy it and move the progress bar (RFC 6386)."""

from __future__ import annotations

import zlib
from base64 import b85decode
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# Copying further than this needs a longer motion vector than there is.
MAX_COPY: Final = 254


def key_frame(webp: bytes) -> bytes:
    """The key frame in a lossy WebP file: the content of its chunk "VP8 "."""
    start = webp.index(b"VP8 ", 12) + 8
    return webp[start : start + int.from_bytes(webp[start - 4 : start], "little")]


@dataclass(frozen=True, slots=True)
class Coder:
    """The boolean entropy encoder (7.3), as a value: what is coded so far can be continued in several ways.

    `low` has `shift` bits behind the eight of `span`.
    """

    low: int = 0
    span: int = 255
    shift: int = 0

    def coded(self, bits: list[tuple[int, int]]) -> Coder:
        """With more bits, each behind the probability (of 256) that it is 0."""
        low, span, shift = self.low, self.span, self.shift
        for probability, bit in bits:
            split = 1 + ((span - 1) * probability >> 8)
            if bit:
                low += split
                span -= split
            else:
                span = split
            if span < 128:
                step = 8 - span.bit_length()
                low <<= step
                span <<= step
                shift += step
        return Coder(low, span, shift)

    def finished(self) -> bytes:
        length = self.shift + 8
        return (self.low << -length % 8).to_bytes((length + 7) // 8, "big")


def later_frame(columns: int, rows: int, first: int, last: int, distance: int) -> bytes:
    """A frame that copies the one before. In the last row of macroblocks, columns `first` up to, not including,
    `last` copy pixels from `distance` further left; an even number up to 254, and more than one row.
    """
    bits: list[tuple[int, int]] = []
    for column in range(columns):
        moved_left = first < column <= last
        # The modes of the neighbours tell how likely each mode is (16.3): above nothing moves, but to the left may be.
        zero, nearest = (60, 64) if moved_left else (234, 1) if column else (135, 1)
        if first <= column < last:
            bits += (*_COPY, (zero, 1), (nearest, 1), (1, 1), (143, 0), *_vector(distance))
        else:
            bits += (*_COPY, (zero, 0))
    body = _but_last_row(columns, rows).coded(bits).finished() + bytes(1)
    # Not a key frame, version 0, shown; then an empty partition of coefficients.
    return (len(body) << 5 | 1 << 4 | 1).to_bytes(3, "little") + body + bytes(2)


@lru_cache(maxsize=16)
def still_frame(columns: int, rows: int) -> bytes:
    """A frame that copies the one before."""
    return later_frame(columns, rows, 0, 0, 0)


# No coefficients; not intra; reference is the last frame.
_COPY: Final = ((1, 1), (1, 1), (255, 0))


@lru_cache(maxsize=16)
def _but_last_row(columns: int, rows: int) -> Coder:
    bits = [*_HEADER]
    for row in range(rows - 1):
        for column in range(columns):
            # How likely "zero vector" is depends on how many neighbours have it (16.3): above and left count 2.
            seen = 2 * (row > 0) + 2 * (column > 0) + (row > 0 and column > 0)
            bits += (*_COPY, (_ZERO_VECTOR[seen], 0))
    return Coder().coded(bits)


_ZERO_VECTOR: Final = (7, 14, 135, 60, 159, 234)


def _literal(value: int, width: int) -> list[tuple[int, int]]:
    return [(128, value >> bit & 1) for bit in reversed(range(width))]


def _vector(distance: int) -> list[tuple[int, int]]:
    """A motion vector to the left, in quarters of a pixel, 8 and longer (17.2)."""
    value = 4 * distance
    order = (0, 1, 2, 9, 8, 7, 6, 5, 4, *((3,) if value > 15 else ()))
    return [
        *((162, 0), (225, 0), (146, 0), (172, 0)),  # vertical: short, zero
        (164, 1),  # long
        *((_LONG_BITS[bit], value >> bit & 1) for bit in order),
        (128, 1),  # negative
    ]


_LONG_BITS: Final = (128, 130, 130, 74, 148, 180, 203, 236, 254, 254)

# The probabilities that a probability of coefficients stays as it is (13.4), 1056 bytes.
_COEFFICIENTS: Final = zlib.decompress(
    b85decode(
        "c-pO#u@1s83`GC`Z<zTLri!&fpomhMICfxY?mW0EmGJa>iXHpnwzd<e891ccF{?tJppIr8)s>i`J``vT*cPBT)dkbU"
        "!V0GSqfoc@dt8XunsiMbODekF&T0dDxGR}c<oITK^4>TAxyD__{`v#ZixUs{a26zvGWAT6r*>P}<jp;c(g^oL7G7<^"
        "JR40OY5lLU5Q|mA6K5FAKVT+S<APe{W-!amET9)rY3kQi)YZ@_u1WT?1v^*vCXTKC0J*Rj@&"
    )
)
# The same for motion vectors (17.2).
_VECTORS: Final = (
    *(237, 246, 253, 253, *(254,) * 10, 250, 250, 252, 254, 254),
    *(231, 243, 245, 253, *(254,) * 10, 251, 251, 254, 254, 254),
)

# Everything in front of the macroblocks (9.7 to 9.11, 19.2).
_HEADER: Final = (
    *_literal(0, 1),  # no segments
    *_literal(0, 10),  # filter type, level 0, sharpness
    *_literal(0, 1),  # no adjustments of it
    *_literal(0, 2),  # one partition
    *_literal(0, 7 + 5),  # quantiser
    *_literal(0, 2 + 4 + 2),  # golden and altref stay, no sign bias
    *_literal(0b11, 2),  # probabilities stay, this is the next reference
    *((probability, 0) for probability in _COEFFICIENTS),
    *_literal(1, 1),  # macroblocks may be without coefficients
    *(*_literal(1, 8), *_literal(1, 8), *_literal(255, 8), *_literal(128, 8)),
    *_literal(0, 2),  # intra modes stay
    *((probability, 0) for probability in _VECTORS),
)
