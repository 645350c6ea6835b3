"""Opus packets that play a score, and Ogg files of them (RFC 6716, 7845, 3533).

A packet of a steady tone, repeated, plays that tone: CELT predicts loudness from packet to packet, so it rises within
a few of them by itself. The packets below were made once with libopus 1.5 (16 kbit/s, mono, 20 ms, constant bitrate)
from sines whose periods divide 20 ms, and picked by how pure they are when repeated.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from struct import pack
from typing import Final

from mock_fal.media.score import MELODY_TONES, REST, SPEECH_TONES, Score
from mock_fal.media.timing import OPUS_RATE

RATE: Final = OPUS_RATE
SAMPLES: Final = 960  # of a packet
PRE_SKIP: Final = 312  # what libopus' decoder puts before the sound

SILENCE: Final = bytes.fromhex("f8fffe")

_MELODY: Final = (  # 800, 900, 1000, 1200, 1350 and 1600 Hz: the intervals of the other formats, a little lower
    "f8a8cf4ad5192026e4080cf52159d2709940bdfc8cad029ea1a1adb459938e521da46b121ee6f7fd",
    "f8a9208950b6ab26f0d5e9a10a7ca0ec9db8e7ba117b34add14958b61b2d1ff96add392f6d3d8ff6",
    "f8a920150221328c893d7fee8cb8652f9ae8bfaffc470fa1cc89df7f6370aaa243b18d32ea8933f1",
    "f8a9411d8ca63f6161a9a6ce99819f80dacab524c5e9da9ba43c9d61813ead62502b1ab982390fe9",
    "f8a940a7cf74bf374d7fdf8f2d76c3367590a64ce0722e2c1f51db5e819a75c05b086981056b8be5",
    "f8940076907efe1731b92b03a2881cdfebf09e783533d8e8f03ef9f1c532b47ae639a6f1c7b113ff",
)
_SPEECH: Final = (  # 250, 300, 350, 400 and 450 Hz
    "98c0fb893ceb348f12dd09a1ed6aa8fe4051bfbc46d551ae96e59178be746527644185f349176f41",
    "98c0fb893cecd27346fcc387a080b787eeccdd75e5ecd1d2a22b05940a64a0e4acbc19bb8d94c7a1",
    "98c2fa1a48a1abc7c3dee7e2bc671c5a1e9493d6e03ed291a2487f5af4921029296cb771dde82f8a",
    "98ada5a6c383fd74c75d2b41551115a8a6c01f10955a026e0c23f3bfb49068ba58bf455e7cbc9df9",
    "98ad6d4bd7fa5750dbce85d30e5f00125d8e4fab0d63a802df4a0e36473a3201142c4bc7912ec1ec",
)
PACKETS: Final = {REST: SILENCE} | {
    tone: bytes.fromhex(packet)
    for tone, packet in zip(MELODY_TONES + SPEECH_TONES, _MELODY + _SPEECH, strict=True)
}


def packets(score: Score, count: int) -> list[bytes]:
    """`count` packets that play a score. The last packet of a note of a melody is silent, so that notes stand apart."""
    found = []
    slots, slot_ms = score.slots, score.slot_ms
    gap = 20 if score.style == "melody" else 0
    for number in range(count):
        slot, age = divmod(20 * number, slot_ms)
        found.append(SILENCE if age + gap >= slot_ms else PACKETS[slots[slot % len(slots)]])
    return found


def head(channels: int = 1) -> bytes:
    """The identification header (RFC 7845, 5.1)."""
    return b"OpusHead" + pack("<BBHIhB", 1, channels, PRE_SKIP, RATE, 0, 0)


def ogg(score: Score, samples: int) -> bytes:
    """A file of so many samples at 48 kHz, mono."""
    count = -(-(samples + PRE_SKIP) // SAMPLES)
    sound = packets(score, count)
    vendor = b"mock-fal"
    tags = b"OpusTags" + pack("<I", len(vendor)) + vendor + pack("<I", 0)
    pages = [_page([head()], 0, 0, flags=2), _page([tags], 0, 1)]
    for first in range(0, count, PER_PAGE):
        last = first + PER_PAGE >= count
        granule = samples + PRE_SKIP if last else (first + PER_PAGE) * SAMPLES
        pages.append(_page(sound[first : first + PER_PAGE], granule, len(pages), flags=4 if last else 0))
    return b"".join(pages)


PER_PAGE: Final = 50  # one second
SERIAL: Final = 0x6D6F636B


def _page(content: Sequence[bytes], granule: int, number: int, *, flags: int = 0) -> bytes:
    """A page of whole packets, each shorter than 255 bytes; flags 2 for the first page and 4 for the last."""
    before = pack("<4sBBqII", b"OggS", 0, flags, granule, SERIAL, number)
    after = bytes([len(content), *map(len, content)]) + b"".join(content)
    return before + pack("<I", _crc(before + bytes(4) + after)) + after


_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _crc(data: bytes) -> int:
    """Ogg's CRC-32. It is that of zlib with the bits of each byte reversed, and without the inversions."""
    crc = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)
