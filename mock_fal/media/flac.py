"""FLAC files that play a score: verbatim subframes, one frame for each tone (RFC 9639)."""

from __future__ import annotations

from functools import lru_cache
from hashlib import md5
from struct import pack
from typing import Final

from mock_fal.media.pcm import big_endian, sequence
from mock_fal.media.score import Score
from mock_fal.media.wav import pcm


def flac(score: Score, rate: int, channels: int, samples: int) -> bytes:
    """A file of so many samples per channel; one or two channels, which are the same."""
    plan = sequence(score, rate, samples)
    last = samples - (len(plan.blocks) - 1) * plan.length
    frames = []
    for number, tone in enumerate(plan.blocks):
        length = plan.length if number + 1 < len(plan.blocks) else last
        body = big_endian(score.style, tone, rate, plan.length)[: 2 * length]
        frames.append(_frame(number, body, rate, channels))
    digest = md5(usedforsecurity=False)
    for block in pcm(score, rate, channels, samples):
        digest.update(block)
    sizes = [len(frame) for frame in frames]
    info = (
        pack(">HH", plan.length, plan.length) + min(sizes).to_bytes(3, "big") + max(sizes).to_bytes(3, "big")
    )
    info += (rate << 44 | (channels - 1) << 41 | 15 << 36 | samples).to_bytes(8, "big") + digest.digest()
    return b"".join([b"fLaC\x80", len(info).to_bytes(3, "big"), info, *frames])


def _frame(number: int, body: bytes, rate: int, channels: int) -> bytes:
    """A frame of verbatim samples. In stereo, the second channel is the difference from the first: constant zero."""
    # Sync code and fixed block size; 16 bits of block size and of sample rate in the header; mono or left/side.
    head = b"\xff\xf8\x7d" + bytes([8 << 4 | 4 << 1 if channels == 2 else 4 << 1])
    head += _utf8(number) + pack(">HH", len(body) // 2 - 1, rate)
    head += bytes([_crc8(head)]) + b"\x02"  # verbatim
    # Type constant, and a value of 17 bits.
    tail = b"\x00" + bytes(3) if channels == 2 else b""
    crc = _appended(_appended(_crc16(head), body), tail)
    return head + body + tail + crc.to_bytes(2, "big")


def _utf8(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF
        table.append(crc)
    return tuple(table)


_TABLE: Final = _table()


def _crc16(data: bytes, crc: int = 0) -> int:
    table = _TABLE
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ table[crc >> 8 ^ byte]
    return crc


def _appended(crc: int, body: bytes) -> int:
    """The CRC after a body. A CRC is linear: it is that of the body alone, plus that of `crc` before as many zeros.

    So a body that comes again and again is read once.
    """
    shift = _shift(len(body))
    moved = 0
    for bit in range(16):
        if crc >> bit & 1:
            moved ^= shift[bit]
    return moved ^ _body_crc(body)


@lru_cache(maxsize=64)
def _body_crc(body: bytes) -> int:
    return _crc16(body)


@lru_cache(maxsize=64)
def _shift(count: int) -> tuple[int, ...]:
    """What becomes of each bit of a CRC after so many zero bytes."""
    powers = [1 << bit for bit in range(16)]
    step = [_crc16(b"\0", power) for power in powers]
    while count:
        if count & 1:
            powers = [_image(step, power) for power in powers]
        step = [_image(step, image) for image in step]
        count >>= 1
    return tuple(powers)


def _image(matrix: list[int], value: int) -> int:
    image = 0
    for bit in range(16):
        if value >> bit & 1:
            image ^= matrix[bit]
    return image
