"""WAV files that play a score: PCM of 16 bits."""

from __future__ import annotations

from struct import pack

from mock_fal.media.pcm import little_endian, sequence
from mock_fal.media.score import Score


def wav(score: Score, rate: int, channels: int, samples: int) -> bytes:
    """A file of so many samples per channel."""
    frame = 2 * channels
    size = samples * frame
    form = pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 16)
    head = pack("<4sI4s", b"RIFF", 4 + len(form) + 8 + size, b"WAVE") + form + pack("<4sI", b"data", size)
    return b"".join([head, *pcm(score, rate, channels, samples)])


def pcm(score: Score, rate: int, channels: int, samples: int) -> list[bytes]:
    """The samples, little-endian, in blocks."""
    plan = sequence(score, rate, samples)
    blocks = [little_endian(score.style, tone, rate, plan.length, channels) for tone in plan.blocks]
    last = samples - (len(blocks) - 1) * plan.length
    return [*blocks[:-1], blocks[-1][: 2 * channels * last]]
