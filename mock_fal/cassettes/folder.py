"""A folder of cassettes on the disk: read whole at the start, or written exchange by exchange."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from mock_fal.cassettes.cassette import (
    Body,
    Cassette,
    FileBody,
    TextBody,
    file_name,
    read,
    readable,
    written,
)
from mock_fal.cassettes.redaction import REDACTED, Redaction
from mock_fal.errors import DiskFull, SettingsError
from mock_fal.files.blobs import READ_BYTES
from mock_fal.files.file_name import extension

# A longer text stays a file.
_MAX_TEXT: Final = 16 << 20

_TEXTS: Final = ("text/", "application/x-ndjson", "application/xml", "image/svg")
_EXTENSIONS: Final = {"jpeg": "jpg", "svg+xml": "svg", "mpeg": "mp3", "plain": "txt"}


class Tape:
    """A body on its way to the disk, in a file that has no place yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._digest = sha256()
        self._file = path.open("wb")

    def write(self, piece: bytes) -> None:
        """Raises DiskFull."""
        self._digest.update(piece)
        self.size += len(piece)
        try:
            self._file.write(piece)
        except OSError as error:
            raise DiskFull(error.strerror or str(error)) from None

    def close(self) -> str:
        """End the file; its SHA-256."""
        self._file.close()
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Nobody needs it."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Slot:
    """The place of one exchange in a folder. What is kept by it gets the cassette's name."""

    def __init__(self, folder: Path, number: int, name: str, redaction: Redaction) -> None:
        self.name = name
        self._folder = folder
        self._stem = f"{number:04}"
        self._redaction = redaction

    def keep(self, tape: Tape, content_type: str, *, request: bool = False, plain: bool = True) -> Body:
        """What was written to a tape, as a body: a file beside the cassette, or (if `plain`) text where it is some."""
        digest = tape.close()
        if plain and content_type.startswith(_TEXTS) and tape.size <= _MAX_TEXT:
            text = readable(tape.path.read_bytes())
            if text is not None:
                tape.discard()
                return TextBody(self._redaction.lines(text))
        if not tape.size:
            tape.discard()
            return TextBody("")
        name = f"{self._stem}{'.request' if request else ''}.{_extension(content_type)}"
        _overwrite(tape.path, self._redaction)
        tape.path.rename(self._folder / name)
        return FileBody(name, digest)

    def write(self, cassette: Cassette) -> None:
        """Bring the cassette to the disk, whole or not at all."""
        path = self._folder / self.name
        draft = path.with_suffix(".part")
        draft.write_text(written(cassette), "utf-8")
        draft.rename(path)


class CassetteFolder:
    """A folder that is recorded to. Raises SettingsError when there are cassettes in it, or none can be written."""

    def __init__(self, folder: str, redaction: Redaction) -> None:
        self.redaction = redaction
        self._folder = Path(folder)
        self._number = self._tapes = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            known = len(list(self._folder.glob("*.json")))
            writable = os.access(self._folder, os.W_OK)
        except OSError as error:
            raise SettingsError(f"record: {folder}: {error.strerror}") from None
        if known:
            raise SettingsError(f"record: {folder} holds {known} cassettes; expected a folder without any")
        if not writable:
            raise SettingsError(f"record: {folder}: nothing can be written there")

    def tape(self) -> Tape:
        """A file for a body that comes."""
        self._tapes += 1
        return Tape(self._folder / f"{self._tapes}.part")

    def slot(self, method: str, url: str) -> Slot:
        """The next place."""
        self._number += 1
        name = file_name(self._number, method, url)
        return Slot(self._folder, self._number, name, self.redaction)


def cassettes(folder: str) -> dict[str, Cassette]:
    """All cassettes of a folder, by file name, in the order of their numbers. Raises SettingsError."""
    home = Path(folder)
    if not home.is_dir():
        raise SettingsError(f"replay: {folder}: expected a folder with cassettes; --record makes one")
    known = {path.name: _read(path) for path in sorted(home.glob("*.json"), key=_place)}
    if not known:
        raise SettingsError(f"replay: {folder}: no cassette in it; --record makes some")
    return known


def pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file. Blocks for as long as the disk does."""
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            yield piece


def _place(path: Path) -> tuple[int, str]:
    number = path.name.partition("-")[0]
    return (int(number) if number.isdecimal() else 0, path.name)


def _read(path: Path) -> Cassette:
    try:
        cassette = read(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: no cassette: {error}") from None
    if isinstance(cassette.response, FileBody) and not (path.parent / cassette.response.name).is_file():
        raise SettingsError(f"{path}: its file {cassette.response.name} is missing")
    return cassette


def _overwrite(path: Path, redaction: Redaction) -> None:
    """Take known secrets out of a file, without a change of its length."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        for secret in map(str.encode, redaction.secrets):
            at = data.find(secret)
            while at >= 0:
                data[at : at + len(secret)] = (REDACTED * len(secret)).encode()[: len(secret)]
                at = data.find(secret, at + len(secret))


def _extension(content_type: str) -> str:
    subtype = content_type.partition("/")[2].partition(";")[0].strip()
    return _EXTENSIONS.get(subtype) or extension(content_type.partition(";")[0].strip())
