"""MP3 files that play a score: MPEG-1 Layer III, mono, one spectral line at a time (ISO/IEC 11172-3).

A tone is one line of the MDCT; its sign follows the phase of a steady tone from granule to granule.
"""

from __future__ import annotations

from functools import lru_cache
from struct import pack
from typing import Final

from mock_fal.media.score import REST, Score
from mock_fal.media.timing import MP3_RATE

RATE: Final = MP3_RATE
GRANULE: Final = 576  # samples
SAMPLES: Final = 2 * GRANULE  # of a frame
BITRATE: Final = 64000
SMALL_BITRATE: Final = 32000  # of the sound of a video; too little for the tag in the first frame of a file
BITRATE_INDEX: Final = {32000: 1, 64000: 5}

# The loudest gain; each step less is 1.5 dB. A note fades by one step a granule, as on a music box.
GAIN: Final = 207
SPEECH_GAIN: Final = 204

# What decoders put before the sound: half of it by the filter bank, half by the overlap (LAME's tag).
DELAY: Final = 1105
DECODER_DELAY: Final = 529

Granule = tuple[int, int, int]  # line, sign, gain; sign 0 is silence
SILENCE: Final = (0, 0, 0)


def mp3(score: Score, samples: int) -> bytes:
    """A file of so many samples; players that read the first frame know it exactly."""
    count = -(-(samples + DELAY) // SAMPLES)
    body = b"".join(frames(score, count))
    return _info(count, len(body), samples) + body


def frames(score: Score, count: int, bitrate: int = BITRATE) -> list[bytes]:
    """`count` frames that play a score."""
    whole, rest = divmod(144 * bitrate, RATE)
    found = []
    granules = [_granule_of(score, number) for number in range(_period(score))]
    padding = 0
    at, period = 0, len(granules)
    for _ in range(count):
        padding += rest
        padded = padding >= RATE
        if padded:
            padding -= RATE
        found.append(_frame(granules[at], granules[at + 1], bitrate, padded))
        at += 2
        if at == period:
            at = 0
    return found


def _period(score: Score) -> int:
    """Granules until the score starts over; a multiple of four, so that phases go on."""
    return max(4, round(len(score.slots) * score.slot_ms * RATE / (1000 * GRANULE * 4)) * 4)


def _granule_of(score: Score, number: int) -> Granule:
    milli = 1000 * GRANULE
    slot = min(number * milli // (score.slot_ms * RATE), len(score.slots) - 1)
    line = score.slots[slot]
    first = -(-slot * score.slot_ms * RATE // milli)
    age, length = number - first, score.slot_ms * RATE // milli
    if line == REST or (score.style == "melody" and age >= length):
        return SILENCE
    sign = (1, 1, -1, -1)[number % 4]  # the phase of a steady tone moves on by a quarter each granule
    return line, sign, GAIN - max(0, age) if score.style == "melody" else SPEECH_GAIN


@lru_cache(maxsize=1 << 13)
def _frame(first: Granule, second: Granule, bitrate: int, padded: bool) -> bytes:
    size = 144 * bitrate // RATE + padded
    header = 0xFFFB << 16 | BITRATE_INDEX[bitrate] << 12 | padded << 9 | 3 << 6 | 1 << 2  # 44.1 kHz, mono
    codes = [_huffman(*granule) for granule in (first, second)]
    bits = "0" * 18  # main_data_begin, private bits, scfsi
    for (code, pairs), (_, _, gain) in zip(codes, (first, second), strict=True):
        # part2_3_length, big_values, global_gain, scalefac_compress, long blocks, table 1 three times, one region
        bits += f"{len(code):012b}{pairs:09b}{gain:08b}00000" + "00001" * 3 + "0111111" + "000"
    bits += "".join(code for code, _ in codes)
    return header.to_bytes(4, "big") + int(bits.ljust(8 * (size - 4), "0"), 2).to_bytes(size - 4, "big")


def _huffman(line: int, sign: int, gain: int) -> tuple[str, int]:
    """The code (table 1) of one line of the value 1 or -1, and the number of pairs."""
    if not sign:
        return "", 0
    return "1" * (line // 2) + ("001" if line % 2 else "01") + ("1" if sign < 0 else "0"), line // 2 + 1


def _info(count: int, body: int, samples: int) -> bytes:
    """The silent first frame with the number of frames and bytes, and what to cut off at both ends (Xing, LAME)."""
    frame = bytearray(_frame(SILENCE, SILENCE, BITRATE, False))
    delay = DELAY - DECODER_DELAY
    padding = count * SAMPLES - samples - delay
    toc = bytes(256 * percent // 100 for percent in range(100))
    tag = b"Info" + pack(">III", 0xF, count, body + len(frame)) + toc + pack(">I", 0)
    tag += (
        b"LAME3.100"
        + bytes(12)
        + (delay << 12 | padding).to_bytes(3, "big")
        + bytes(4)
        + pack(">I", body + len(frame))
    )
    tag += bytes(2)  # CRC of the sound, which nobody checks
    start, end = 21, 21 + len(tag)  # after the header and the side information
    frame[start:end] = tag
    frame[end : end + 2] = _crc16(bytes(frame[:end])).to_bytes(2, "big")
    return bytes(frame)


def _crc16(data: bytes) -> int:
    """CRC-16/ARC."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
