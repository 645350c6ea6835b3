"""What a media file says of itself: kind, duration, size. Reads headers only; garbage gives None, not an error."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from mock_fal.media.recipe import MediaRecipe, Sound, Video
from mock_fal.media.timing import sample_count, sample_rate, video_seconds, video_size
from mock_fal.pictures.recipe import Recipe

Kind = Literal["audio", "video", "image", "other"]

# Boxes, chunks, elements or frames that are looked at in one file.
MAX_PARTS: Final = 20_000
# A longer or larger one is a broken header.
MAX_S: Final = 100 * 3600
MAX_SIDE: Final = 65536
# An Ogg page has at most 65,307 bytes.
MAX_OGG_PAGE: Final = 1 << 17


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known about a file. Two files with the same `digest` are the same file.

    `format` is one of wav, mp3, aac, mp4, webm, ogg, flac and gif, or "" for a file of the kind `other`, which is not
    looked into. `duration_s` is None if unknown; `width` and `height` are 0 if it has no picture.
    """

    kind: Kind
    format: str
    duration_s: float | None = None
    width: int = 0
    height: int = 0
    digest: str = ""


def probe(data: bytes) -> Probe | None:
    """What is known about a file, or None if it is of no kind that we read.

    >>> probe(b"no media") is None
    True
    """
    for fits, read in _READERS:
        if fits(data):
            try:
                return _plausible(read(data))
            except (ValueError, IndexError, ArithmeticError, struct.error):
                return None
    return None


def described(recipe: MediaRecipe) -> Probe | None:
    """What `probe` would find in the file of a recipe, known without rendering; None for a file that it doesn't read.

    >>> described(Sound("a cat", duration_s=2, format="mp3"))
    Probe(kind='audio', format='mp3', duration_s=2.0, width=0, height=0, digest='')
    """
    match recipe:
        case Video():
            kind: Kind = "image" if recipe.format == "gif" else "video"
            return Probe(kind, recipe.format, round(video_seconds(recipe), 3), *video_size(recipe))
        case Sound():
            return Probe("audio", recipe.format, round(sample_count(recipe) / sample_rate(recipe), 3))
        case Recipe(format="gif"):
            return Probe("image", "gif", None, recipe.width, recipe.height)
        case _:
            return None


def _plausible(found: Probe | None) -> Probe | None:
    if not found or max(found.width, found.height) > MAX_SIDE:
        return None
    known = found.duration_s is not None and 0 < found.duration_s <= MAX_S
    duration = round(found.duration_s, 3) if known and found.duration_s else None
    return replace(found, duration_s=duration)


def _big(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size], "big")


def _little(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size], "little")


def _wav(data: bytes) -> Probe:
    at, byte_rate = 12, 0
    for _ in range(MAX_PARTS):
        name, size = data[at : at + 4], _little(data, at + 4, 4)
        if name == b"fmt ":
            byte_rate = _little(data, at + 16, 4)
        elif name == b"data":
            # A stream that was written to a pipe has no size.
            return Probe("audio", "wav", min(size, len(data) - at - 8) / byte_rate)
        at += 8 + size + size % 2
    raise ValueError("no data chunk")


def _flac(data: bytes) -> Probe:
    packed = _big(data, 18, 8)
    return Probe("audio", "flac", (packed & (1 << 36) - 1) / (packed >> 44))


def _gif(data: bytes) -> Probe:
    width, height = _little(data, 6, 2), _little(data, 8, 2)
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    hundredths = frames = 0
    for _ in range(MAX_PARTS):
        block = data[at]
        if block == 0x3B:
            break
        if block == 0x21:
            if data[at + 1] == 0xF9:
                hundredths += _little(data, at + 4, 2)
            at = _after_blocks(data, at + 2)
        elif block == 0x2C:
            frames += 1
            table = data[at + 9]
            at = _after_blocks(data, at + 11 + (3 << (table & 7) + 1 if table & 0x80 else 0))
        else:
            break
    return Probe("image", "gif", hundredths / 100 if frames > 1 else None, width, height)


def _after_blocks(data: bytes, at: int) -> int:
    while size := data[at]:
        at += size + 1
    return at + 1


def _mp3(data: bytes) -> Probe | None:
    start = 0
    if data[:3] == b"ID3":
        start = 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9])
        # Some writers pad behind the tag.
        start = next((at for at in range(start, start + 4096) if _mp3_frame(data, at)), start)
    frame = _mp3_frame(data, start)
    if not frame:
        return None
    after = start + frame.size
    if after < len(data) and not _mp3_frame(data, after):
        return None
    side = start + 4 + frame.side_bytes
    if data[side : side + 4] in (b"Xing", b"Info") and _big(data, side + 4, 4) & 1:
        samples = _big(data, side + 8, 4) * frame.samples
        tag = side + 120
        if data[tag : tag + 4] in (b"LAME", b"Lavc", b"Lavf"):
            cut = _big(data, tag + 21, 3)
            samples -= (cut >> 12) + (cut & 0xFFF)
        return Probe("audio", "mp3", samples / frame.rate)
    if data[start + 36 : start + 40] == b"VBRI":
        return Probe("audio", "mp3", _big(data, start + 50, 4) * frame.samples / frame.rate)
    return Probe("audio", "mp3", (len(data) - start) * 8 / frame.bitrate)


@dataclass(frozen=True, slots=True)
class _Frame:
    size: int
    samples: int
    rate: int
    bitrate: int
    side_bytes: int


_BITRATES: Final = {  # kbit/s by version 1 or not, and by layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mp3_frame(data: bytes, at: int) -> _Frame | None:
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    index, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or rate == 3 or not 0 < index < 15:
        return None
    first = version == 3
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bitrate = 1000 * _BITRATES[first, layer][index - 1]
    samples = 384 if layer == 1 else 576 if layer == 3 and not first else 1152
    size = samples // 8 * bitrate // hertz + (head[2] >> 1 & 1) * (4 if layer == 1 else 1)
    mono = head[3] >> 6 == 3
    side = (17 if mono else 32) if first else (9 if mono else 17)
    return _Frame(size, samples, hertz, bitrate, side)


_AAC_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def _aac(data: bytes) -> Probe | None:
    """AAC in ADTS frames of 1,024 samples. A long file is judged by the mean size of its first frames."""
    at = count = 0
    rate = _AAC_RATES[data[2] >> 2 & 15]
    while count < MAX_PARTS and at + 7 <= len(data):
        if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
            return None
        size = _big(data, at + 3, 3) >> 5 & 0x1FFF
        if size < 7:
            return None
        at, count = at + size, count + 1
    return Probe("audio", "aac", 1024 * count * max(1.0, len(data) / at) / rate)


def _ogg(data: bytes) -> Probe | None:
    """The first page names the codec and its rate, the last one has the time at its end."""
    packet = data[28 : 28 + 80]
    last = data.rfind(b"OggS", max(0, len(data) - MAX_OGG_PAGE))
    granule = _little(data, last + 6, 8)
    if packet.startswith(b"OpusHead"):
        return Probe("audio", "ogg", (granule - _little(packet, 10, 2)) / 48000)
    if packet.startswith(b"\x01vorbis"):
        return Probe("audio", "ogg", granule / _little(packet, 12, 4))
    if packet.startswith(b"\x7fFLAC"):
        return Probe("audio", "ogg", granule / (_big(packet, 27, 3) >> 4))
    if packet.startswith(b"\x80theora"):
        return Probe("video", "ogg", None, _big(packet, 14, 3), _big(packet, 17, 3))
    return None


def _mp4(data: bytes) -> Probe | None:
    """The longest duration, and the size of the first track that has one. A file of one sound track is a sound."""
    moov = next(((start, end) for name, start, end in _boxes(data, 0, len(data)) if name == b"moov"), None)
    if not moov:
        return None
    duration: float | None = None
    width = height = 0
    pictures = False
    for name, start, end in _boxes(data, *moov):
        if name == b"mvhd":
            duration = _mp4_duration(data, start)
        if name == b"trak":
            for inner, at, stop in _boxes(data, start, end):
                if inner == b"tkhd" and not width:
                    width, height = _mp4_size(data, at)
                if inner == b"mdia":
                    pictures |= any(
                        data[s + 8 : s + 12] == b"vide" for n, s, _ in _boxes(data, at, stop) if n == b"hdlr"
                    )
    if pictures:
        return Probe("video", "mp4", duration, width, height)
    return Probe("audio", "mp4", duration)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The name, start and end of the content of each box."""
    for _ in range(MAX_PARTS):
        if start + 8 > min(end, len(data)):
            return
        size, head = _big(data, start, 4), 8
        name = data[start + 4 : start + 8]
        if size == 1:
            size, head = _big(data, start + 8, 8), 16
        elif size == 0:
            size = end - start
        if size < head:
            return
        yield name, start + head, min(start + size, end)
        start += size


def _mp4_duration(data: bytes, at: int) -> float:
    if data[at]:
        return _big(data, at + 24, 8) / _big(data, at + 20, 4)
    return _big(data, at + 16, 4) / _big(data, at + 12, 4)


def _mp4_size(data: bytes, at: int) -> tuple[int, int]:
    at += 88 if data[at] else 76
    width, height = _big(data, at, 4) >> 16, _big(data, at + 4, 4) >> 16
    # A phone turns its videos with the matrix: 0 at its first place means by a quarter.
    turned = _big(data, at - 36, 4) == 0 and _big(data, at - 32, 4) != 0
    return (height, width) if turned else (width, height)


# Elements of Matroska that contain those we look for.
_SEGMENT, _INFO, _TRACKS, _ENTRY, _VIDEO = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0
_SCALE, _DURATION, _WIDTH, _HEIGHT, _CLUSTER, _TIME = 0x2AD7B1, 0x4489, 0xB0, 0xBA, 0x1F43B675, 0xE7


def _webm(data: bytes) -> Probe:
    scale, duration = 1_000_000, 0.0
    width = height = last = 0
    for number, start, end in _elements(data):
        value = data[start:end] if end - start <= 8 else b""
        if number == _SCALE:
            scale = int.from_bytes(value, "big")
        elif number == _DURATION:
            duration = struct.unpack(">d" if len(value) == 8 else ">f", value)[0]
        elif number == _WIDTH:
            width = width or int.from_bytes(value, "big")
        elif number == _HEIGHT:
            height = height or int.from_bytes(value, "big")
        elif number == _TIME:
            last = int.from_bytes(value, "big")
    # A file of a browser's recorder has no duration: the start of its last cluster is the next best.
    seconds = (duration or last) * scale / 1e9
    return Probe("video" if width else "audio", "webm", seconds, width, height)


def _elements(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of elements, flat; the inside of a cluster only up to its time."""
    at = 0
    for _ in range(MAX_PARTS):
        if at + 2 > len(data):
            return
        length = 9 - data[at].bit_length()
        number = _big(data, at, length)
        at += length
        length = 9 - data[at].bit_length()
        size = _big(data, at, length) & (1 << 7 * length) - 1
        unknown = size == (1 << 7 * length) - 1
        at += length
        yield number, at, min(at + size, len(data))
        if number == _CLUSTER and not unknown:
            # The time is its first element.
            if data[at] == _TIME:
                yield _TIME, at + 2, at + 2 + (data[at + 1] & 0x7F)
                if data[at + 1] == 1:  # a length of eight bytes
                    yield _TIME, at + 9, at + 9 + _big(data, at + 2, 7)
            at += size
        elif number not in (_SEGMENT, _INFO, _TRACKS, _ENTRY, _VIDEO, _CLUSTER):
            if unknown:
                return
            at += size


_READERS: Final[tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Probe | None]], ...]] = (
    (lambda data: data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE", _wav),
    (lambda data: data[:4] == b"fLaC", _flac),
    (lambda data: data[:6] in (b"GIF87a", b"GIF89a"), _gif),
    (lambda data: data[:4] == b"OggS", _ogg),
    (lambda data: data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"), _mp4),
    (lambda data: data[:4] == b"\x1aE\xdf\xa3", _webm),
    (lambda data: data[:1] == b"\xff" and len(data) > 7 and data[1] & 0xF6 == 0xF0, _aac),
    (lambda data: data[:3] == b"ID3" or (data[:1] == b"\xff" and len(data) > 4), _mp3),
)
