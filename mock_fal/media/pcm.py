"""Samples of a score: 16 bits, built of one block for each tone. Integer arithmetic, the same on every machine."""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi
from typing import Final

from mock_fal.media.recipe import Style
from mock_fal.media.score import REST, Score, frequency

AMPLITUDE: Final = 11000
# What is left after each 1/76.6 s (a granule of MP3) of a note of a melody, in 1/65536: 1.5 dB less.
FADE: Final = 55109
FADE_HZ: Final = 44100 / 576


@dataclass(frozen=True, slots=True)
class Sequence:
    """Blocks of `length` samples, mono; the last one may be cut off."""

    blocks: tuple[int, ...]  # tones
    length: int
    samples: int


def sequence(score: Score, rate: int, samples: int) -> Sequence:
    length = max(16, score.slot_ms * rate // 1000)
    count = -(-samples // length)
    whole, rest = divmod(count, len(score.slots))
    return Sequence(score.slots * whole + score.slots[:rest], length, samples)


@lru_cache(maxsize=64)
def block(style: Style, tone: int, rate: int, length: int) -> array[int]:
    """The samples of one tone, which begins and ends at zero."""
    if tone == REST:
        return array("h", bytes(2 * length))
    # A sine by recurrence: y[n] = 2 cos(w) y[n - 1] - y[n - 2], in steps of 2**-28.
    angle = 2 * pi * frequency(tone) / rate
    factor = round(2 * cos(angle) * (1 << 28))
    before, now = 0, round(cos(pi / 2 - angle) * (1 << 28))
    rise = max(1, rate // 250)
    fade = round((FADE / 65536) ** (FADE_HZ / rate) * (1 << 32)) if style == "melody" else 1 << 32
    loudness, last = AMPLITUDE << 32, length - rise
    samples = array("h")
    for number in range(length):
        level = now * (loudness >> 32) >> 28
        if number < rise:
            level = level * number // rise
        elif number > last:
            level = level * (length - 1 - number) // rise
        samples.append(level)
        loudness = loudness * fade >> 32
        before, now = now, (factor * now >> 28) - before
    return samples


@lru_cache(maxsize=64)
def little_endian(style: Style, tone: int, rate: int, length: int, channels: int) -> bytes:
    """A block as in a WAV file; all channels are the same."""
    mono = block(style, tone, rate, length)
    samples = array("h", bytes(2 * len(mono) * channels))
    for channel in range(channels):
        samples[channel::channels] = mono
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


@lru_cache(maxsize=64)
def big_endian(style: Style, tone: int, rate: int, length: int) -> bytes:
    """A block as in a FLAC file, mono."""
    samples = array("h", block(style, tone, rate, length))
    if sys.byteorder == "little":
        samples.byteswap()
    return samples.tobytes()
