"""Immutable files on disk: written once in pieces, and read in byte ranges."""

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
    """An immutable file; `etag` is its MD5."""

    path: Path
    size: int
    etag: str


class BlobWriter:
    """Writes a blob. Its methods block on disk I/O."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = 0
        self._digest = md5(usedforsecurity=False)
        self._file = path.open("xb", buffering=0)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write bytes to disk. Raises DiskFull if the disk is full."""
        try:
            for piece in pieces:
                self._digest.update(piece)
                remaining = memoryview(piece)
                while remaining:
                    remaining = remaining[self._file.write(remaining) :]
                self._size += len(piece)
        except OSError as error:
            raise DiskFull(error.strerror or str(error)) from None

    def close(self) -> Blob:
        """Close the file; the blob of the bytes written so far."""
        self._file.close()
        return Blob(self.path, self._size, self._digest.hexdigest())


def read(blobs: Iterable[Blob], byte_range: range) -> Iterator[bytes]:
    """The bytes of a range of the concatenated blobs, in pieces. Blocks on disk I/O."""
    start = 0
    for blob in blobs:
        first, last = max(byte_range.start, start), min(byte_range.stop, start + blob.size)
        if first < last:
            yield from _read(blob.path, first - start, last - first)
        start += blob.size


def remove(path: Path) -> None:
    """Remove a blob, unless the system forbids it because the file is being read (Windows)."""
    try:
        os.unlink(path)
    except OSError:
        pass  # removed with its folder


def _read(path: Path, start: int, size: int) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while size > 0 and (piece := file.read(min(size, READ_BYTES))):
            size -= len(piece)
            yield piece
