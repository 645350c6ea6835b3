"""Placeholder documents: subtitles, JSON, CSV, text, SVG, ZIP and safetensors."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Final

from mock_fal.media.recipe import Document
from mock_fal.pictures.caption import legible, wrap
from mock_fal.pictures.palette import palette
from mock_fal.pictures.random_stream import RandomStream

CHUNK_WORDS: Final = 8
MAX_SIDE: Final = 16384  # of an SVG, in pixels


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a transcript, in seconds."""

    start: float
    end: float
    text: str


def render(document: Document) -> bytes:
    """The file of a document. The same document gives the same bytes.

    >>> render(Document("txt", "a cat"))
    b'a cat\\n'
    """
    text, seed = document.text, document.seed
    match document.format:
        case "srt":
            return srt(chunks(text, document.duration_s))
        case "vtt":
            return vtt(chunks(text, document.duration_s))
        case "txt":
            return plain(text)
        case "json":
            return plain(document.data) if document.data else json_file({"text": text, "seed": seed})
        case "csv":
            return csv_file([("text", "seed"), (text, seed)])
        case "zip":
            return zip_file({"placeholder.txt": plain(text)})
        case "safetensors":
            return safetensors(text, seed)
        case "svg":
            width, height = (min(max(side, 1), MAX_SIDE) for side in (document.width, document.height))
            return svg(text, seed, width, height)


def chunks(text: str, duration_s: float) -> tuple[Chunk, ...]:
    """A text in pieces of up to eight words or a sentence, each as long as its share of the text.

    >>> chunks("One two. Three four.", 4)
    (Chunk(start=0.0, end=1.8, text='One two.'), Chunk(start=1.8, end=4.0, text='Three four.'))
    """
    pieces: list[list[str]] = [[]]
    for word in text.split():
        pieces[-1].append(word)
        if len(pieces[-1]) == CHUNK_WORDS or word[-1] in ".!?。":
            pieces.append([])
    lines = [" ".join(piece) for piece in pieces if piece]
    total, spoken, found = sum(map(len, lines)), 0, []
    for line in lines:
        start, spoken = spoken, spoken + len(line)
        times = [round(duration_s * part / total, 2) for part in (start, spoken)]
        found.append(Chunk(times[0], times[1], line))
    return tuple(found)


def srt(chunks: Sequence[Chunk]) -> bytes:
    """SubRip subtitles.

    >>> print(srt([Chunk(0, 1.5, "Hello.")]).decode(), end="")
    1
    00:00:00,000 --> 00:00:01,500
    Hello.
    """
    cues = (
        f"{number}\n{_time(chunk.start, ',')} --> {_time(chunk.end, ',')}\n{_cue(chunk.text)}\n"
        for number, chunk in enumerate(chunks, 1)
    )
    return "\n".join(cues).encode()


def vtt(chunks: Sequence[Chunk]) -> bytes:
    """WebVTT subtitles."""
    cues = (
        f"{_time(chunk.start, '.')} --> {_time(chunk.end, '.')}\n{_escaped(_cue(chunk.text))}\n"
        for chunk in chunks
    )
    return "\n".join(["WEBVTT\n", *cues]).encode()


def _time(seconds: float, point: str) -> str:
    minutes, milliseconds = divmod(round(max(0.0, seconds) * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _cue(text: str) -> str:
    """A blank line would end a cue, and `-->` would begin one."""
    return _encodable("\n".join(line for line in text.splitlines() if line.strip()).replace("-->", "->"))


def _encodable(text: str) -> str:
    """Without the lone surrogates that JSON may bring."""
    return text.encode("utf-8", "replace").decode()


def _escaped(text: str) -> str:
    """For XML, without the control characters that it forbids."""
    kept = "".join(c for c in _encodable(text) if c >= " " or c in "\n\t")
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def plain(text: str) -> bytes:
    return (_encodable(text).rstrip("\n") + "\n").encode()


def json_file(value: object) -> bytes:
    """JSON, with the keys in their order."""
    return (json.dumps(value, ensure_ascii=True, indent=2) + "\n").encode()


def csv_file(rows: Sequence[Sequence[object]]) -> bytes:
    """CSV as in RFC 4180."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\r\n").writerows(rows)
    return _encodable(file.getvalue()).encode()


def zip_file(files: Mapping[str, bytes], *, alignment: int = 1) -> bytes:
    """A stored ZIP: no compression and no dates, so that the bytes are the same everywhere.

    The data of each file begins at a multiple of `alignment`, as USDZ asks for.
    """
    parts: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for name, data in files.items():
        path = name.encode()
        # Padding stands in an extra field, which takes 4 bytes itself (as in the USDZ specification).
        gap = -(offset + 30 + len(path)) % alignment
        gap += alignment if 0 < gap < 4 else 0
        extra = pack("<HH", 0x1986, gap - 4) + bytes(gap - 4) if gap else b""
        facts = pack(
            "<HHHHHIIIHH",
            20,
            0x800,
            0,
            0,
            DATE,
            zlib.crc32(data),
            len(data),
            len(data),
            len(path),
            len(extra),
        )
        parts += (b"PK\x03\x04", facts, path, extra, data)
        directory.append(
            b"PK\x01\x02" + pack("<H", 20) + facts[:-2] + pack("<HHHHII", 0, 0, 0, 0, 0, offset) + path
        )
        offset += 30 + len(path) + len(extra) + len(data)
    listing = b"".join(directory)
    end = pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, len(directory), len(directory), len(listing), offset, 0)
    return b"".join(parts) + listing + end


DATE: Final = 1 << 5 | 1  # 1 January 1980, the first that a ZIP can have


def safetensors(text: str, seed: int = 0, *, rank: int = 4, width: int = 64) -> bytes:
    """The weights of a LoRA in the layout of Diffusers: a few small tensors of half precision."""
    names = [
        f"transformer.single_transformer_blocks.{block}.attn.to_{part}" for block in (0, 1) for part in "qkv"
    ]
    shapes = {
        f"{name}.lora_{side}.weight": shape
        for name in names
        for side, shape in (("A", (rank, width)), ("B", (width, rank)))
    }
    header: dict[str, object] = {"__metadata__": {"format": "pt", "generator": "mock-fal"}}
    data, offset = [], 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * shape[1]
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        random = RandomStream("weights", text, seed, name).bytes(size)
        # Sign and fraction at random, exponents that give values between 2**-7 and 2**-6.
        data.append(bytes(byte & 0x83 | 0x20 if number % 2 else byte for number, byte in enumerate(random)))
        offset += size
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([len(head).to_bytes(8, "little"), head, *data])


def svg(text: str, seed: int, width: int, height: int) -> bytes:
    """A picture of a few discs in the colours of a palette, with the text as its caption."""
    random = RandomStream("svg", text, seed)
    tones = palette(random)
    colours = [f"#{tones[at : at + 3].hex()}" for at in range(0, len(tones), 3)]
    discs = []
    for _ in range(7):
        x, y, radius = (
            random.integer(width),
            random.integer(height),
            (1 + random.integer(9)) * min(width, height) // 40,
        )
        discs.append(f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colours[2 + random.integer(5)]}"/>')
    size = max(9, round((width * height) ** 0.5 * 0.031))
    lines = wrap(legible(text[:600]), size, width - 3 * size, 3)
    words = [
        f'<text x="{1.5 * size:g}" y="{height - size * (1.2 * (len(lines) - number)):g}">{_escaped(line)}</text>'
        for number, line in enumerate(lines)
    ]
    top = height - 5 * size
    shade = f'<rect y="{top}" width="{width}" height="{5 * size}" fill="{colours[8]}" fill-opacity="0.8"/>'
    sides = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    title = _escaped(text[:600].replace("\n", " "))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {sides}>',
            f"<title>{title}</title>",
            f'<rect width="{width}" height="{height}" fill="{colours[1]}"/>',
            *discs,
            shade,
            f'<g font-family="sans-serif" font-size="{size}" fill="{colours[0]}">',
            *words,
            "</g>",
            "</svg>\n",
        ]
    ).encode()
