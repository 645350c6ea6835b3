"""MP4 files with the index in front (ISO/IEC 14496-12, -14, -15): video, sound, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from struct import pack
from typing import Final

MATRIX: Final = pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

# The object type of MP3 in MPEG-4 (14496-1, table 5: "Audio ISO/IEC 11172-3"); the codec string is mp4a.6B.
MP3: Final = 0x6B


@dataclass(frozen=True, slots=True)
class Track:
    """Samples of one kind, each `delta` ticks of 1/`timescale` s long. `entry` is its sample description box.

    `keys` are the positions of key frames; () if every sample is one. `per_chunk` samples stand together in the file.
    """

    entry: bytes
    samples: Sequence[bytes]
    timescale: int
    delta: int
    width: int = 0  # 0: sound
    height: int = 0
    keys: Sequence[int] = ()
    per_chunk: int = 1

    @property
    def ticks(self) -> int:
        return len(self.samples) * self.delta

    @property
    def duration_ms(self) -> int:
        return (2000 * self.ticks + self.timescale) // (2 * self.timescale)


def mp4(tracks: Sequence[Track]) -> bytes:
    """The file. The chunks of the tracks follow each other by time."""
    ftyp = box(b"ftyp", b"isom", pack(">I", 512), b"isomiso2avc1mp41")
    chunks = _chunks(tracks)
    starts = [0, *accumulate(len(data) for _, _, data in chunks)]
    offsets = [
        [start for start, (_, at, _) in zip(starts, chunks, strict=False) if at == number]
        for number in range(len(tracks))
    ]
    before = len(ftyp) + len(_moov(tracks, offsets)) + 8
    moved = [[before + offset for offset in track] for track in offsets]
    mdat = pack(">I", starts[-1] + 8) + b"mdat"
    return b"".join([ftyp, _moov(tracks, moved), mdat, *(data for *_, data in chunks)])


def _chunks(tracks: Sequence[Track]) -> list[tuple[float, int, bytes]]:
    """The time, the track and the data of each chunk."""
    found = []
    for number, track in enumerate(tracks):
        for first in range(0, len(track.samples), track.per_chunk):
            data = b"".join(track.samples[first : first + track.per_chunk])
            found.append((first * track.delta / track.timescale, number, data))
    return sorted(found, key=lambda chunk: chunk[:2])


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return pack(">I", len(body) + 8) + kind + body


def full_box(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return box(kind, pack(">I", flags), *parts)


def _moov(tracks: Sequence[Track], offsets: Sequence[Sequence[int]]) -> bytes:
    duration = max(track.duration_ms for track in tracks)
    head = (
        pack(">IIIIIH10x", 0, 0, 1000, duration, 0x10000, 0x100)
        + MATRIX
        + bytes(24)
        + pack(">I", len(tracks) + 1)
    )
    traks = (_trak(number, track, offsets[number]) for number, track in enumerate(tracks))
    return box(b"moov", full_box(b"mvhd", head), *traks)


def _trak(number: int, track: Track, offsets: Sequence[int]) -> bytes:
    sound = not track.width
    handler, name = (b"soun", b"SoundHandler\0") if sound else (b"vide", b"VideoHandler\0")
    tkhd = full_box(
        b"tkhd",
        pack(">IIIII8xHHHH", 0, 0, number + 1, 0, track.duration_ms, 0, int(sound), 0x100 if sound else 0, 0),
        MATRIX,
        pack(">II", track.width << 16, track.height << 16),
        flags=3,  # enabled, in the movie
    )
    mdhd = full_box(b"mdhd", pack(">IIIIHH", 0, 0, track.timescale, track.ticks, 0x55C4, 0))  # language "und"
    hdlr = full_box(b"hdlr", pack(">I", 0), handler, bytes(12), name)
    head = full_box(b"smhd", bytes(4)) if sound else full_box(b"vmhd", bytes(8), flags=1)
    dinf = box(b"dinf", full_box(b"dref", pack(">I", 1), full_box(b"url ", flags=1)))
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, box(b"minf", head, dinf, _stbl(track, offsets))))


def _stbl(track: Track, offsets: Sequence[int]) -> bytes:
    count, keys = len(track.samples), track.keys
    whole, rest = divmod(count, track.per_chunk)
    runs = [(1, track.per_chunk)] if whole else []
    runs += [(whole + 1, rest)] if rest else []
    return box(
        b"stbl",
        full_box(b"stsd", pack(">I", 1), track.entry),
        full_box(b"stts", pack(">III", 1, count, track.delta)),
        full_box(b"stss", pack(f">{1 + len(keys)}I", len(keys), *(key + 1 for key in keys))) if keys else b"",
        full_box(b"stsc", pack(">I", len(runs)), *(pack(">III", first, size, 1) for first, size in runs)),
        full_box(b"stsz", pack(f">{2 + count}I", 0, count, *map(len, track.samples))),
        full_box(b"stco", pack(f">{1 + len(offsets)}I", len(offsets), *offsets)),
    )


def avc1(width: int, height: int, sps: bytes, pps: bytes) -> bytes:
    """The sample description of H.264; its samples are NAL units behind their length in 4 bytes."""
    sets = b"\xe1" + pack(">H", len(sps)) + sps + b"\x01" + pack(">H", len(pps)) + pps
    avcc = box(b"avcC", b"\x01" + sps[1:4] + b"\xff" + sets)
    visual = pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1)
    return box(b"avc1", visual, avcc, box(b"colr", b"nclx", pack(">HHHB", 1, 13, 6, 0x80)))


def mp4a(object_type: int, rate: int, channels: int, bitrate: int) -> bytes:
    """The sample description of MPEG audio."""
    decoder = _descriptor(4, pack(">BBHBII", object_type, 0x15, 0, 0, bitrate, bitrate))
    es = _descriptor(3, pack(">HB", 1, 0) + decoder + _descriptor(6, b"\x02"))
    return box(b"mp4a", pack(">6xH8xHHHHI", 1, channels, 16, 0, 0, rate << 16), full_box(b"esds", es))


def _descriptor(tag: int, body: bytes) -> bytes:
    return bytes([tag, 0x80, 0x80, 0x80, len(body)]) + body
