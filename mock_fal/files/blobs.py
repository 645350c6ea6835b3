"""Bytes on disk: written once, piece by piece, and read in any range."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Final

from mock_fal.errors import DiskFull

READ_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that never change, and their MD5."""

    path: Path
    size: int
    etag: str


class BlobWriter:
    """A blob that comes to be. Its methods block for as long as the disk does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = 0
        self._digest = md5(usedforsecurity=False)
        self._file = path.open("xb", buffering=0)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Bring bytes to disk. Raises DiskFull when the disk really is."""
        try:
            for piece in pieces:
                self._digest.update(piece)
                rest = memoryview(piece)
                while rest:
                    rest = rest[self._file.write(rest) :]
                self._size += len(piece)
        except OSError as error:
            raise DiskFull(error.strerror or str(error)) from None

    def close(self) -> Blob:
        """The blob, as far as it was written."""
        self._file.close()
        return Blob(self.path, self._size, self._digest.hexdigest())


def read(blobs: Iterable[Blob], wanted: range) -> Iterator[bytes]:
    """The bytes that stand at `wanted` in a row of blobs, in pieces. Blocks for as long as the disk does."""
    start = 0
    for blob in blobs:
        first, last = max(wanted.start, start), min(wanted.stop, start + blob.size)
        if first < last:
            yield from _read(blob.path, first - start, last - first)
        start += blob.size


def remove(path: Path) -> None:
    """Remove a blob, or leave it where a system forbids that because it is being read."""
    try:
        os.unlink(path)
    except OSError:
        pass  # its folder goes in the end


def _read(path: Path, start: int, size: int) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while size > 0 and (piece := file.read(min(size, READ_BYTES))):
            size -= len(piece)
            yield piece
