"""Long inputs: data URIs are found without parsing the JSON, and read in pieces.

One call of `json.loads` or `b64decode` on 60 MB holds the interpreter for 50 to 250 ms, in any thread. So a data URI is
taken out of a long input first, as a range of bytes; a short text stands in its place, and what remains is short
enough to be parsed on the event loop.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from mock_fal.errors import InputTooLong, UnusableFile

# Up to this size an input is parsed on the event loop as it is: at most 5 ms, whatever it contains.
LONG_BYTES: Final = 64 << 10

# deviation: without its data URIs, an input is limited to these sizes; the live limits are unknown. Parsing the
# largest takes 10 ms, and no prompt that a model reads is near them.
MAX_TEXT_BYTES: Final = 4 << 20
MAX_VALUES: Final = 50_000

# Shorter data URIs stay in the text. Far more than a model takes of either.
_LONG_URI_BYTES: Final = 16 << 10
_MAX_CANDIDATES: Final = 10_000
_MAX_QUOTES: Final = 1_000

# The text that stands for a data URI begins like it: an error repeats the first 1000 characters of a URL.
_REPEATED_CHARS: Final = 1000

# The bytes that are decoded at once, in 1 ms or less.
_PIECE_BYTES: Final = 64 << 10

# A piece of a JSON string that does not end within an escape sequence.
_WHOLE_ESCAPES: Final = re.compile(rb"[^\\]*+(?:\\(?:u[0-9a-fA-F]{4}|[^u])[^\\]*+)*+", re.DOTALL)

# One or more percent-encoded bytes.
_ESCAPES: Final = re.compile(rb"(?:%[0-9a-fA-F]{2})+")

# How many bytes of a JSON string are searched for the comma of its data URI.
_HEADER_BYTES: Final = 6 * _REPEATED_CHARS


@dataclass(frozen=True, slots=True)
class DataUri:
    """A data URI in a JSON body: the bytes between its quotes, still escaped."""

    body: bytes
    start: int
    end: int

    def data(self, max_bytes: int) -> bytes:
        """The data, read in pieces, so that other threads can run in between. Raises UnusableFile."""
        # BytesIO grows in place and gives its buffer away; joining 45 MB holds the interpreter for 40 ms.
        data = BytesIO()
        try:
            for piece in self._decoded():
                if data.tell() + len(piece) > max_bytes:
                    raise UnusableFile("file_too_large", max_size=max_bytes)
                data.write(piece)
        except ValueError:
            raise UnusableFile("image_load_error") from None
        return data.getvalue()

    def head(self) -> str:
        """The first 1000 characters."""
        first = _WHOLE_ESCAPES.match(self.body, self.start, min(self.start + _HEADER_BYTES, self.end))
        assert first is not None
        text: str = json.loads(b'"%b"' % first[0].decode("utf-8", "ignore").encode())
        return text[:_REPEATED_CHARS]

    def _decoded(self) -> Iterator[bytes]:
        header, comma, start = b"", b"", self.start
        pieces = self._pieces(start)
        for piece in pieces:
            header, comma, rest = piece.partition(b",")
            break
        if not comma:
            raise ValueError("no comma")
        if not header.lower().endswith(b";base64"):
            yield from _percent_decoded(rest, pieces)
            return
        yield from _base64_decoded(_percent_decoded(rest, pieces))

    def _pieces(self, at: int) -> Iterator[bytes]:
        """The unescaped bytes. Raises ValueError for an invalid escape sequence."""
        while at < self.end:
            piece = self.body[at : min(at + _PIECE_BYTES, self.end)]
            if b"\\" in piece:
                match = _WHOLE_ESCAPES.match(piece)
                piece = match[0] if match else b""
                if not piece:
                    raise ValueError("an invalid escape sequence")
            at += len(piece)
            if b"\\" in piece:
                piece = json.loads(b'"%b"' % piece).encode()
            yield piece


def shortened(body: bytes) -> tuple[bytes, dict[str, DataUri]]:
    """A long input with a short text in place of each long data URI, and the data URIs by these texts.

    Takes milliseconds for any input. Raises InputTooLong if the rest is longer than MAX_TEXT_BYTES or has more values
    than MAX_VALUES.
    """
    # deviation: an error that repeats a long input repeats the first 1000 characters of its data URIs.
    parts: list[bytes] = []
    uris: dict[str, DataUri] = {}
    copied = 0
    view = memoryview(body)
    for uri in _data_uris(body):
        try:
            text = f"{uri.head()}… ({uri.end - uri.start} bytes, file {len(uris) + 1} of this input)"
        except ValueError:
            continue
        uris[text] = uri
        parts += [
            bytes(view[copied : min(uri.start, copied + MAX_TEXT_BYTES + 1)]),
            json.dumps(text)[1:-1].encode(),
        ]
        copied = uri.end
        if sum(map(len, parts)) > MAX_TEXT_BYTES:
            break
    parts.append(bytes(view[copied : copied + MAX_TEXT_BYTES + 1]))
    if (size := sum(map(len, parts))) > MAX_TEXT_BYTES:
        raise InputTooLong(
            f"more than {MAX_TEXT_BYTES} bytes beside its data URIs", f"{MAX_TEXT_BYTES} bytes"
        )
    text_bytes = b"".join(parts) if size else b""
    if sum(text_bytes.count(mark) for mark in b"[{,") > MAX_VALUES:
        raise InputTooLong(f"more than {MAX_VALUES} values", f"{MAX_VALUES} values")
    return text_bytes, uris


def _data_uris(body: bytes) -> Iterator[DataUri]:
    """The long data URIs. A quote without a backslash before it begins or ends a string, wherever it is."""
    at = 0
    for _ in range(_MAX_CANDIDATES):
        # After as many bytes without one, the input is too long in any case.
        at = body.find(b'"data:', at, at + MAX_TEXT_BYTES + 8) + 1
        if not at:
            return
        if body[at - 2 : at - 1] == b"\\":
            continue  # a quote within a string
        end = _end_of_string(body, at)
        if end - at >= _LONG_URI_BYTES:
            yield DataUri(body, at, end)
            at = end


def _end_of_string(body: bytes, start: int) -> int:
    """The position of the quote that ends a string; -1 if it is not found soon."""
    at = start
    for _ in range(_MAX_QUOTES):
        quote = body.find(b'"', at)
        if quote < 0:
            return -1
        before = body[max(start, quote - 64) : quote]
        backslashes = len(before) - len(before.rstrip(b"\\"))
        if backslashes == 64:
            return -1  # no data URI ends so
        if backslashes % 2 == 0:
            return quote
        at = quote + 1
    return -1


def _percent_decoded(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = first
    for piece in pieces:
        rest += piece
        cut = rest.find(b"%", len(rest) - 2)
        cut = len(rest) if cut < 0 else cut  # not within `%41`
        yield percent_decoded(rest[:cut])
        rest = rest[cut:]
    yield percent_decoded(rest)


def percent_decoded(text: bytes) -> bytes:
    """Like `unquote_to_bytes`, which takes 100 times as long and 20 times the memory for a text of escapes only."""
    if b"%" not in text:
        return text
    return _ESCAPES.sub(lambda run: bytes.fromhex(run[0].replace(b"%", b"").decode()), text)


def _base64_decoded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        rest += piece
        cut = (len(rest) - 1) // 4 * 4  # the last group, which may be padded, waits for the end
        if cut > 0:
            if b"=" in rest[:cut]:
                raise ValueError("padding within the data")
            yield b64decode(rest[:cut], validate=True)
            rest = rest[cut:]
    yield b64decode(rest, validate=True)
