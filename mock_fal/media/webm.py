"""WebM files: VP8, and Opus if there is a sound (RFC 8794, RFC 9559)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from struct import pack
from typing import Final

from mock_fal.media import opus

CLUSTER_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Block:
    """A frame of a track: 1 is video, 2 sound."""

    milliseconds: int
    track: int
    key: bool
    data: bytes


def webm(
    width: int, height: int, rate: Fraction, frames: Sequence[bytes], sound: Sequence[bytes] = ()
) -> bytes:
    """A file of VP8 frames, the first of which is a key frame, and of packets of Opus."""
    blocks = [Block(round(1000 * number / rate), 1, not number, frame) for number, frame in enumerate(frames)]
    blocks += (Block(20 * number, 2, True, packet) for number, packet in enumerate(sound))
    blocks.sort(key=lambda block: (block.milliseconds, block.track))
    duration = 1000 * len(frames) / float(rate)
    info = _element(0x1549A966, _uint(0x2AD7B1, 1_000_000), _element(0x4489, pack(">d", duration)), *_APP)
    tracks = _element(0x1654AE6B, _video(width, height, rate), *([_audio()] if sound else []))
    clusters = _clusters(blocks)
    cue = _cues(0)
    seek = _seek_head(0, 0, 0)
    starts = (len(seek), len(seek) + len(info), len(seek) + len(info) + len(tracks))
    parts = [_seek_head(*starts), info, tracks, _cues(starts[2] + len(cue)), *clusters]
    return _element(0x1A45DFA3, *_EBML) + _element(0x18538067, *parts)


def _element(number: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return _number(number) + (len(body) | 1 << 56).to_bytes(8, "big") + body


def _number(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _uint(number: int, value: int) -> bytes:
    return _element(number, value.to_bytes(8, "big"))


_APP: Final = (_element(0x4D80, b"mock-fal"), _element(0x5741, b"mock-fal"))
_EBML: Final = (
    *(_uint(0x4286, 1), _uint(0x42F7, 1), _uint(0x42F2, 4), _uint(0x42F3, 8)),
    *(_element(0x4282, b"webm"), _uint(0x4287, 4), _uint(0x4285, 2)),
)


def _video(width: int, height: int, rate: Fraction) -> bytes:
    size = _element(0xE0, _uint(0xB0, width), _uint(0xBA, height))
    duration = _uint(0x23E383, round(1_000_000_000 / rate))
    return _element(
        0xAE, _uint(0xD7, 1), _uint(0x73C5, 1), _uint(0x83, 1), _element(0x86, b"V_VP8"), duration, size
    )


def _audio() -> bytes:
    sound = _element(0xE1, _element(0xB5, pack(">d", opus.RATE)), _uint(0x9F, 1))
    delays = (_uint(0x56AA, opus.PRE_SKIP * 1_000_000_000 // opus.RATE), _uint(0x56BB, 80_000_000))
    codec = (_element(0x86, b"A_OPUS"), _element(0x63A2, opus.head()), *delays)
    return _element(0xAE, _uint(0xD7, 2), _uint(0x73C5, 2), _uint(0x83, 2), *codec, sound)


def _clusters(blocks: Sequence[Block]) -> list[bytes]:
    by_start: dict[int, list[bytes]] = {}
    for block in blocks:
        start, offset = block.milliseconds // CLUSTER_MS * CLUSTER_MS, block.milliseconds % CLUSTER_MS
        head = bytes([0x80 | block.track]) + pack(">hB", offset, 0x80 if block.key else 0)
        by_start.setdefault(start, []).append(_element(0xA3, head, block.data))
    return [_element(0x1F43B675, _uint(0xE7, start), *content) for start, content in by_start.items()]


def _cues(position: int) -> bytes:
    """The only key frame is the first, in the cluster at this position."""
    place = _element(0xB7, _uint(0xF7, 1), _uint(0xF1, position))
    return _element(0x1C53BB6B, _element(0xBB, _uint(0xB3, 0), place))


def _seek_head(info: int, tracks: int, cues: int) -> bytes:
    entries = ((0x1549A966, info), (0x1654AE6B, tracks), (0x1C53BB6B, cues))
    seeks = (_element(0x4DBB, _element(0x53AB, _number(number)), _uint(0x53AC, at)) for number, at in entries)
    return _element(0x114D9B74, *seeks)
