"""A folder of cassettes: read at startup, or written exchange by exchange."""

from __future__ import annotations

import mmap
import os
import stat
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from mock_fal.cassettes.cassette import (
    Body,
    Cassette,
    FileBody,
    TextBody,
    decode_text,
    file_name,
    format_cassette,
    parse_cassette,
)
from mock_fal.cassettes.redaction import REDACTED, Redaction
from mock_fal.errors import DiskFull, SettingsError
from mock_fal.files.blobs import READ_BYTES
from mock_fal.files.file_name import extension
from mock_fal.regular_file import read_regular_file

# The largest cassette: twice the longest text in it, for escapes.
_MAX_CASSETTE_BYTES: Final = 32 << 20

_GZIP: Final = b"\x1f\x8b"
# The content of compressed bodies that is searched for secrets: a file of some kilobytes may have gigabytes.
_MAX_UNPACKED_BYTES: Final = 32 << 20

# A longer text is saved as a file.
_MAX_TEXT_BYTES: Final = 16 << 20

_TEXT_TYPES: Final = ("text/", "application/x-ndjson", "application/xml", "image/svg")
_EXTENSIONS: Final = {"jpeg": "jpg", "svg+xml": "svg", "mpeg": "mp3", "plain": "txt"}


class BodyWriter:
    """Writes a body to a temporary file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._digest = sha256()
        self._file = path.open("wb")

    def write(self, chunk: bytes) -> None:
        """Raises DiskFull."""
        self._digest.update(chunk)
        self.size += len(chunk)
        try:
            self._file.write(chunk)
        except OSError as error:
            raise DiskFull(error.strerror or str(error)) from None

    def close(self) -> str:
        """Close the file and return its SHA-256."""
        self._file.close()
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Delete the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class CassetteWriter:
    """Writes one cassette and its files, which have the same number."""

    def __init__(self, folder: Path, number: int, name: str, redaction: Redaction) -> None:
        self.name = name
        self._folder = folder
        self._number = f"{number:04}"
        self._redaction = redaction

    def save_body(
        self, body: BodyWriter, content_type: str, *, request: bool = False, allow_text: bool = True
    ) -> Body:
        """The written body, as a file next to the cassette, or as text if it is text and `allow_text`."""
        digest = body.close()
        if allow_text and content_type.startswith(_TEXT_TYPES) and body.size <= _MAX_TEXT_BYTES:
            text = decode_text(body.path.read_bytes())
            if text is not None:
                body.discard()
                return TextBody(self._redaction.lines(text))
        if not body.size:
            body.discard()
            return TextBody("")
        name = f"{self._number}{'.request' if request else ''}.{_extension(content_type)}"
        _overwrite_secrets(body.path, self._redaction)
        body.path.rename(self._folder / name)
        return FileBody(name, digest)

    def write(self, cassette: Cassette) -> None:
        """Write the cassette to the disk, atomically."""
        path = self._folder / self.name
        partial = path.with_suffix(".part")
        partial.write_text(format_cassette(cassette), "utf-8")
        partial.rename(path)


class CassetteFolder:
    """The folder of a recording. Raises SettingsError if it contains cassettes or is not writable."""

    def __init__(self, folder: str, redaction: Redaction) -> None:
        self.redaction = redaction
        self._folder = Path(folder)
        self._number = self._body_number = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            count = len(list(self._folder.glob("*.json")))
            writable = os.access(self._folder, os.W_OK)
        except OSError as error:
            raise SettingsError(f"record: {folder}: {error.strerror}") from None
        if count:
            raise SettingsError(
                f"record: {folder} contains {count} cassettes, expected a folder without cassettes"
            )
        if not writable:
            raise SettingsError(f"record: {folder} is not writable")

    def body_writer(self) -> BodyWriter:
        """A writer for a body."""
        self._body_number += 1
        return BodyWriter(self._folder / f"{self._body_number}.part")

    def cassette_writer(self, method: str, url: str) -> CassetteWriter:
        """A writer for the next cassette."""
        self._number += 1
        name = file_name(self._number, method, url)
        return CassetteWriter(self._folder, self._number, name, self.redaction)


def read_cassettes(folder: str) -> dict[str, Cassette]:
    """All cassettes of a folder by file name, in the order of their numbers. Raises SettingsError."""
    path = Path(folder)
    if not path.is_dir():
        raise SettingsError(f"replay: {folder}: expected a folder with cassettes; --record creates one")
    cassettes = {file.name: _read(file) for file in sorted(path.glob("*.json"), key=_sort_key)}
    if not cassettes:
        raise SettingsError(f"replay: {folder} contains no cassettes; --record creates them")
    return cassettes


def file_chunks(path: Path) -> Iterator[bytes]:
    """The chunks of a file. Blocks while the disk does. Raises OSError if it has become a link."""
    with open(
        os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)), "rb"
    ) as file:
        while chunk := file.read(READ_BYTES):
            yield chunk


def _sort_key(path: Path) -> tuple[int, str]:
    number = path.name.partition("-")[0]
    return (int(number) if number.isdecimal() else 0, path.name)


def _read(path: Path) -> Cassette:
    try:
        cassette = parse_cassette(read_regular_file(path, _MAX_CASSETTE_BYTES).decode(), str(path))
        if isinstance(cassette.response_body, FileBody):
            _check_file(path.parent / cassette.response_body.name)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: invalid cassette: {error}") from None
    return cassette


def _check_file(path: Path) -> None:
    """Raises OSError unless it is a regular file in its folder; a link could lead to any file of this machine."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        raise OSError(f"the file {path.name} is missing") from None
    if not stat.S_ISREG(mode):
        raise OSError(f"{path.name} is not a regular file; links are not followed")


def _overwrite_secrets(path: Path, redaction: Redaction, *, in_gzip: bool = True) -> bool:
    """Overwrite known secrets in a file without a change of its length, also `in_gzip`. Whether there were any."""
    found = False
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        if in_gzip and data[:2] == _GZIP:
            return _overwrite_in_gzip(path, redaction)
        for secret in map(str.encode, redaction.secrets):
            at = data.find(secret)
            while at >= 0:
                found = True
                data[at : at + len(secret)] = (REDACTED * len(secret)).encode()[: len(secret)]
                at = data.find(secret, at + len(secret))
    return found


def _overwrite_in_gzip(path: Path, redaction: Redaction) -> bool:
    """The same for a gzip file, which is compressed again. At most _MAX_UNPACKED_BYTES of its content are searched."""
    import gzip  # compressed bodies are rare

    content = path.with_name(path.name + ".content")
    try:
        try:
            with gzip.open(path) as packed, content.open("wb") as unpacked:
                while unpacked.tell() < _MAX_UNPACKED_BYTES and (chunk := packed.read(READ_BYTES)):
                    unpacked.write(chunk)
        except (OSError, EOFError, zlib.error):
            pass  # not gzip, or only the beginning of it
        if not content.stat().st_size or not _overwrite_secrets(content, redaction, in_gzip=False):
            return False
        with content.open("rb") as unpacked, gzip.open(path, "wb") as packed:
            while chunk := unpacked.read(READ_BYTES):
                packed.write(chunk)
        return True
    finally:
        content.unlink(missing_ok=True)


def _extension(content_type: str) -> str:
    subtype = content_type.partition("/")[2].partition(";")[0].strip()
    return _EXTENSIONS.get(subtype) or extension(content_type.partition(";")[0].strip())
