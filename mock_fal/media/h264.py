"""A small H.264 encoder: one still picture at a quarter of its resolution, sharp regions, and frames that copy it.

The stream is Constrained Baseline with CAVLC (ITU-T H.264, 2021; section numbers below are its own). A key frame
codes each macroblock as Intra_16x16 with DC prediction and DC coefficients alone: sixteen grey values and four colours
for 16 x 16 pixels. The decoder's deblocking filter softens the steps. Macroblocks that must stay sharp, such as a
caption and the strongest edges, are I_PCM. Later frames skip every macroblock but a few: these copy pixels from their
left, or are I_PCM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from mock_fal.media.cavlc import CHROMA_DC, FEW, MANY, residual

# The quantiser: levels are 0.625 values apart in luma and 0.3125 in chroma (8.5.10, 8.5.11.2). So a difference between
# flat macroblocks is exact after decoding; a picture has few different ones, and their codes come from a cache.
QP: Final = 24
CHROMA_QP_OFFSET: Final = -12

# The samples of one macroblock: 256 luma, 64 Cb, 64 Cr.
Pixels: TypeAlias = bytes
PIXELS: Final = 384

Blocks: TypeAlias = tuple[int, ...]
Sums: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Planes:
    """A picture in blocks of 4 x 4 samples: rows of block means, each a byte.

    A macroblock has 4 x 4 blocks in `luma`, and 2 x 2 in `cb` and `cr`.
    """

    columns: int  # macroblocks
    rows: int
    luma: bytes
    cb: bytes
    cr: bytes


def ue(value: int) -> str:
    """An unsigned Exp-Golomb code (9.1).

    >>> ue(0), ue(3)
    ('1', '00100')
    """
    bits = bin(value + 1)[2:]
    return "0" * (len(bits) - 1) + bits


def se(value: int) -> str:
    """A signed Exp-Golomb code (9.1.1)."""
    return ue(2 * value - 1 if value > 0 else -2 * value)


def nal(kind: int, payload: bytes, *, importance: int = 3) -> bytes:
    """A NAL unit without start code: header, then the payload with emulation prevention (7.3.1)."""
    return bytes([importance << 5 | kind]) + _ESCAPE.sub(b"\x00\x00\x03", payload)


_ESCAPE: Final = re.compile(rb"\x00\x00(?=[\x00-\x03])")


def _bytes(bits: str) -> bytes:
    """A string of 0 and 1 as bytes, with zeros behind it up to a whole byte."""
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big")


def _closed(bits: str) -> bytes:
    """With the stop bit and the zeros behind it (7.3.2.11)."""
    return _bytes(bits + "1")


LEVELS: Final = (  # level_idc, macroblocks a frame, macroblocks a second (Table A-1)
    (30, 1620, 40500),
    (31, 3600, 108000),
    (32, 5120, 216000),
    (40, 8192, 245760),
    (42, 8704, 522240),
    (50, 22080, 589824),
    (51, 36864, 983040),
    (52, 36864, 2073600),
    (62, 139264, 16711680),
)


def sequence_parameters(width: int, height: int, fps: float) -> bytes:
    """The SPS of a video of even width and height; what is missing to whole macroblocks is cropped."""
    columns, rows = (width + 15) // 16, (height + 15) // 16
    count = columns * rows
    level = next((idc for idc, frame, second in LEVELS if count <= frame and count * fps <= second), 62)
    right, bottom = (columns * 16 - width) // 2, (rows * 16 - height) // 2
    bits = f"{66:08b}{0b11000000:08b}{level:08b}"  # Constrained Baseline
    bits += (
        ue(0) + ue(0) + ue(2) + ue(1) + "0"
    )  # id, 4 bits of frame_num, output in decoding order, one reference
    bits += ue(columns - 1) + ue(rows - 1) + "11"  # frames only, direct 8x8 inference
    bits += "1" + ue(0) + ue(right) + ue(0) + ue(bottom) if right or bottom else "0"
    # VUI: full range, primaries of BT.709, transfer of sRGB, matrix of BT.601 (all as in a JPEG).
    bits += "1" + "0" + "0" + "1" + "101" + "1" + "1" + f"{1:08b}{13:08b}{6:08b}" + "00000"
    bits += "11" + ue(0) + ue(0) + ue(16) + ue(16) + ue(0) + ue(1)  # no reordering
    return nal(7, _closed(bits))


def picture_parameters() -> bytes:
    bits = (
        ue(0)
        + ue(0)
        + "00"
        + ue(0)
        + ue(0)
        + ue(0)
        + "000"
        + se(QP - 26)
        + se(0)
        + se(CHROMA_QP_OFFSET)
        + "100"
    )
    return nal(8, _closed(bits))


def key_slice(planes: Planes, sharp: Mapping[int, Pixels], first_row: int, last_row: int) -> bytes:
    """A slice of an IDR picture: the rows of macroblocks from `first_row` up to, not including, `last_row`.

    `sharp` has the samples of some macroblocks, by their number in raster order.
    """
    parts: list[bytes] = []
    # Type I, frame_num 0, idr_pic_id 0; the deblocking filter takes steps as for a quantiser of 36.
    bits = [
        ue(first_row * planes.columns) + ue(7) + ue(0) + "0000" + ue(0) + "00" + se(0) + ue(0) + se(6) + se(6)
    ]
    above: list[int | None] = [None] * planes.columns
    above_cb: list[Sums | None] = [None] * planes.columns
    above_cr: list[Sums | None] = [None] * planes.columns
    above_pcm = [False] * planes.columns
    for row in range(first_row, last_row):
        left: int | None = None
        left_cb: Sums | None = None
        left_cr: Sums | None = None
        left_pcm = False
        number = row * planes.columns
        for column, (luma, cb, cr) in enumerate(_macroblocks(planes, row)):
            pcm = sharp.get(number + column)
            if pcm is not None:
                parts += (_bytes("".join(bits) + _MB_PCM), pcm)
                bits = []
                left, above[column] = sum(pcm[15:256:16]), sum(pcm[240:256])
                left_cb, above_cb[column] = _edges(pcm[256:320])
                left_cr, above_cr[column] = _edges(pcm[320:384])
                left_pcm = above_pcm[column] = True
                continue
            # nC is 0, but 8 and more beside I_PCM (9.2.1): blocks without AC coefficients count none.
            context = MANY if left_pcm or above_pcm[column] else FEW
            predicted = _prediction(above[column], left)
            if luma.count(luma[0]) == 16:
                code = _flat(luma[0] - predicted, context)
                left = above[column] = 16 * luma[0]
            else:
                code, left, above[column] = _luma(luma, predicted, context)
            cb_code, left_cb, above_cb[column] = _chroma(cb, above_cb[column], left_cb)
            cr_code, left_cr, above_cr[column] = _chroma(cr, above_cr[column], left_cr)
            if cb_code == cr_code == _NO_CHROMA:
                bits.append(_MB_GREY + code)
            else:
                bits.append(_MB_COLOUR + code + cb_code + cr_code)
            left_pcm = above_pcm[column] = False
    parts.append(_closed("".join(bits)))
    return nal(5, b"".join(parts))


# mb_type Intra_16x16 with DC prediction, without and with chroma DC; intra_chroma_pred_mode DC; mb_qp_delta 0.
_MB_GREY: Final = ue(1 + 2) + ue(0) + se(0)
_MB_COLOUR: Final = ue(1 + 2 + 4) + ue(0) + se(0)
_MB_PCM: Final = ue(25)
_NO_CHROMA: Final = residual((0, 0, 0, 0), CHROMA_DC)


def _macroblocks(planes: Planes, row: int) -> zip[tuple[Blocks, Blocks, Blocks]]:
    """The blocks of each macroblock in a row: sixteen of luma, four of Cb, four of Cr."""
    luma = _blocks(planes.luma, 4 * planes.columns, 4, row)
    cb = _blocks(planes.cb, 2 * planes.columns, 2, row)
    return zip(luma, cb, _blocks(planes.cr, 2 * planes.columns, 2, row), strict=True)


def _blocks(plane: bytes, width: int, side: int, row: int) -> zip[Blocks]:
    lines = (plane[y * width : (y + 1) * width] for y in range(side * row, side * row + side))
    return zip(*(line[x::side] for line in lines for x in range(side)), strict=True)


def _prediction(above: int | None, left: int | None) -> int:
    """Intra_16x16 DC prediction (8.3.3.3), from sums of sixteen samples."""
    if above is None:
        return 128 if left is None else (left + 8) >> 4
    return (above + 8) >> 4 if left is None else (above + left + 16) >> 5


@lru_cache(maxsize=1024)
def _flat(difference: int, context: int) -> str:
    """The code of a macroblock of one grey value, so much above the predicted one."""
    return residual((_quantised(16 * difference, 10), *_NO_AC), context)


_NO_AC: Final = (0,) * 15


def _luma(b: Blocks, predicted: int, context: int) -> tuple[str, int, int]:
    """The code of sixteen DC coefficients, and the sums of the right and the bottom edge after decoding.

    The transform is a Hadamard transform of rows and columns, written out: it runs a thousand times in a picture.
    """
    b00, b01, b02, b03, b10, b11, b12, b13, b20, b21, b22, b23, b30, b31, b32, b33 = b
    e, f, g, h = b00 + b10, b20 + b30, b00 - b10, b20 - b30
    p0, q0, r0, s0 = e + f - 4 * predicted, e - f, g - h, g + h
    e, f, g, h = b01 + b11, b21 + b31, b01 - b11, b21 - b31
    p1, q1, r1, s1 = e + f - 4 * predicted, e - f, g - h, g + h
    e, f, g, h = b02 + b12, b22 + b32, b02 - b12, b22 - b32
    p2, q2, r2, s2 = e + f - 4 * predicted, e - f, g - h, g + h
    e, f, g, h = b03 + b13, b23 + b33, b03 - b13, b23 - b33
    p3, q3, r3, s3 = e + f - 4 * predicted, e - f, g - h, g + h
    q0123, r0123, s0123 = q0 + q1 - q2 - q3, r0 + r1 - r2 - r3, s0 + s1 - s2 - s3
    zigzag = (
        *(
            p0 + p1 + p2 + p3,
            p0 + p1 - p2 - p3,
            q0 + q1 + q2 + q3,
            r0 + r1 + r2 + r3,
            q0123,
            p0 - p1 - p2 + p3,
        ),
        *(p0 - p1 + p2 - p3, q0 - q1 - q2 + q3, r0123, s0 + s1 + s2 + s3, s0123, r0 - r1 - r2 + r3),
        *(q0 - q1 + q2 - q3, r0 - r1 + r2 - r3, s0 - s1 - s2 + s3, s0 - s1 + s2 - s3),
    )
    # A dead zone: levels are rounded up from 0.6.
    levels = tuple([(y + 4) // 10 if y >= 0 else -((4 - y) // 10) for y in zigzag])
    l00, l01, l10, l20, l11, l02, l03, l12, l21, l30, l31, l22, l13, l23, l32, l33 = levels
    right = _column(
        l00 - l01 + l02 - l03, l10 - l11 + l12 - l13, l20 - l21 + l22 - l23, l30 - l31 + l32 - l33
    )
    below = _column(
        l00 - l10 + l20 - l30, l01 - l11 + l21 - l31, l02 - l12 + l22 - l32, l03 - l13 + l23 - l33
    )
    return residual(levels, context), _sum(predicted, right), _sum(predicted, below)


def _column(p: int, q: int, r: int, s: int) -> tuple[int, int, int, int]:
    """Four blocks of an edge, above the predicted value (8.5.10)."""
    e, f, g, h = p + q, r + s, p - q, r - s
    return (
        (40 * (e + f) + 32) >> 6,
        (40 * (e - f) + 32) >> 6,
        (40 * (g - h) + 32) >> 6,
        (40 * (g + h) + 32) >> 6,
    )


def _sum(predicted: int, change: tuple[int, int, int, int]) -> int:
    """The sum of the sixteen samples of an edge, clipped to bytes."""
    if predicted + min(change) >= 0 and predicted + max(change) <= 255:
        return 16 * predicted + 4 * sum(change)
    return 4 * sum(min(255, max(0, predicted + c)) for c in change)


def _quantised(value: int, step: int) -> int:
    return (value + step // 2) // step if value >= 0 else -((step // 2 - value) // step)


def _edges(samples: bytes) -> tuple[Sums, Sums]:
    """Sums of four samples along the right and the bottom edge of 8 x 8."""
    right, bottom = samples[7::8], samples[56:]
    return (sum(right[:4]), sum(right[4:])), (sum(bottom[:4]), sum(bottom[4:]))


@lru_cache(maxsize=1 << 15)
def _chroma(blocks: Blocks, above: Sums | None, left: Sums | None) -> tuple[str, Sums, Sums]:
    """The code of four chroma DC coefficients, and the sums along the right and the bottom edge after decoding."""
    p0, p1, p2, p3 = _chroma_prediction(above, left)
    b0, b1, b2, b3 = blocks
    code, (c1, c2, c3) = _chroma_code(b0 - p0, b1 - p1, b2 - p2, b3 - p3)
    bottom_right = 4 * min(255, max(0, p3 + c3))
    return code, (4 * min(255, max(0, p1 + c1)), bottom_right), (4 * min(255, max(0, p2 + c2)), bottom_right)


@lru_cache(maxsize=1 << 14)
def _chroma_code(a: int, b: int, c: int, d: int) -> tuple[str, tuple[int, int, int]]:
    """The code of four differences from the predicted values, and the last three of them after decoding."""
    values = (a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d)
    p, q, r, s = levels = tuple([_quantised(4 * value, 5) for value in values])
    changes = (p - q + r - s, p + q - r - s, p - q - r + s)
    second, third, fourth = ((20 * change + 32) >> 6 for change in changes)
    return residual(levels, CHROMA_DC), (second, third, fourth)


def _chroma_prediction(above: Sums | None, left: Sums | None) -> tuple[int, int, int, int]:
    """DC prediction of the four chroma blocks (8.3.4.1 to 8.3.4.3), from sums of four samples."""
    if above is None:
        if left is None:
            return 128, 128, 128, 128
        first, second = (left[0] + 2) >> 2, (left[1] + 2) >> 2
        return first, first, second, second
    if left is None:
        first, second = (above[0] + 2) >> 2, (above[1] + 2) >> 2
        return first, second, first, second
    both = (above[0] + left[0] + 4) >> 3, (above[1] + left[1] + 4) >> 3
    return both[0], (above[1] + 2) >> 2, (left[1] + 2) >> 2, both[1]


def later_frame(number: int, macroblocks: int, changes: Mapping[int, int | Pixels]) -> bytes:
    """A P picture, the `number`-th after a key frame. `changes` says by macroblock what is not as before.

    A number copies the samples from so many pixels further left; bytes are new samples. What copies has a row above
    it in which nothing changes: then each vector is predicted as zero (8.4.1.1, 8.4.1.3).
    """
    parts: list[bytes] = []
    # Type P, one reference, without deblocking.
    bits = ue(0) + ue(5) + ue(0) + f"{number % 16:04b}" + "000" + se(0) + ue(1)
    at = 0
    for macroblock, change in sorted(changes.items()):
        bits += ue(macroblock - at)
        if isinstance(change, bytes):
            parts += (_bytes(bits + ue(5 + 25)), change)
            bits = ""
        else:
            bits += ue(0) + se(-4 * change) + se(0) + ue(0)  # P_L0_16x16
        at = macroblock + 1
    if at < macroblocks:
        bits += ue(macroblocks - at)
    parts.append(_closed(bits))
    return nal(1, b"".join(parts), importance=2)
