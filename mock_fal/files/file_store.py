"""The files that were uploaded: their bytes on disk, what was promised for them, and how they come to be whole.

    promised ── part, part, … ──▶ complete ──▶ expired
             └─ the whole file ─▶

Bytes come as *writings*, many at a time. A writing belongs to nobody until it is kept, so one that breaks off,
comes too late or is too large leaves no trace. A file of parts stays in its parts: to complete it copies nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final

from mock_fal.accounts.acl import Acl, Terms
from mock_fal.errors import BadUpload, DiskFull, FileMissing, UploadTooLarge
from mock_fal.files.blobs import Blob, BlobWriter, remove

# Each costs about a kilobyte of memory; when there are more, promises that nobody kept are forgotten first.
MAX_UPLOADS: Final = 50_000
# assumption: the stores behind such interfaces count to 10,000.
MAX_PARTS: Final = 10_000

_WHOLE: Final = 0  # the number of the part that is the whole file


@dataclass(slots=True, eq=False)
class Upload:
    """One file, from its promise on. `blobs` are its bytes in their order; None until it is complete."""

    path: str
    owner: str
    content_type: str
    terms: Terms
    in_parts: bool
    acl: Acl
    etag: str = ""
    expires_at: float = math.inf
    blobs: tuple[Blob, ...] | None = None
    parts: dict[int, Blob] = field(default_factory=dict)
    # What its parts hold, those included that are still being written.
    taken: int = 0

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.blobs or ())


class UploadWriter:
    """Bytes on their way to disk. `reserve` first, then `write`, which may happen in any thread."""

    def __init__(self, file_store: FileStore, upload: Upload, number: int, path: Path, now: float) -> None:
        self._store = file_store
        self._blob = BlobWriter(path)
        self.upload = upload
        self.number = number
        self.now = now
        self.reserved = 0

    def reserve(self, size: int) -> None:
        """Make sure of the room for `size` more bytes. Raises UploadTooLarge or DiskFull."""
        self._store._reserve(self, size)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Bring bytes to disk. Raises DiskFull when the disk really is."""
        self._blob.write(pieces)

    def close(self) -> Blob:
        """What was written, as far as it came."""
        return self._blob.close()


class FileStore:
    """All uploads of a server, up to `max_disk` bytes. Its folder is made with the first, and gone with `close`."""

    # deviation: uploads are forgotten at exit.

    def __init__(self, *, max_upload: int, max_disk: int, max_uploads: int = MAX_UPLOADS) -> None:
        self._max_upload = max_upload
        self._max_disk = max_disk
        self._max_uploads = max_uploads
        self._uploads: dict[str, Upload] = {}
        self._folder: TemporaryDirectory[str] | None = None
        self._written = 0
        self._used = 0
        # Uploads come by one thread, but a test that resets its account lives in another.
        self._lock = Lock()

    @property
    def used(self) -> int:
        """The bytes on disk, those included that are on their way."""
        return self._used

    @property
    def uploads(self) -> list[Upload]:
        """The files that are complete, oldest first."""
        with self._lock:
            return [upload for upload in self._uploads.values() if upload.blobs is not None]

    def promise(
        self, path: str, owner: str, content_type: str, terms: Terms, now: float, *, in_parts: bool = False
    ) -> Upload:
        """A place for a file that is to come. Raises DiskFull when there are too many."""
        with self._lock:
            if len(self._uploads) >= self._max_uploads:
                self._sweep(now)
                self._drop_a_promise()
            upload = Upload(path, owner, content_type, terms, in_parts, terms.acl)
            self._uploads[path] = upload
            return upload

    def holds(self, path: str) -> bool:
        """Whether there is, or was promised, a file at a path."""
        return path in self._uploads

    def find(self, path: str, now: float) -> Upload:
        """The upload at a path, complete or not. Raises FileMissing, also for one that has expired."""
        with self._lock:
            upload = self._uploads.get(path)
            if upload is not None and now < upload.expires_at:
                return upload
            if upload is not None:
                self._forget(upload)
            raise FileMissing

    def complete_at(self, path: str, now: float) -> Upload:
        """The file at a path. Raises FileMissing for what isn't there, or isn't complete."""
        upload = self.find(path, now)
        if upload.blobs is None:
            raise FileMissing
        return upload

    def begin(
        self, upload: Upload, now: float, *, part: int | None = None, announced: int = 0
    ) -> UploadWriter:
        """Begin to write a part, or the whole file. Raises what can be known of beforehand, as `reserve` does."""
        number = _WHOLE if part is None else part
        if upload.in_parts != (part is not None):
            way = "is uploaded in parts" if upload.in_parts else "is not uploaded in parts"
            raise BadUpload(f"this file {way}")
        if part is not None and not 1 <= part <= MAX_PARTS:
            raise BadUpload(f"the number of a part is {part}, expected 1 to {MAX_PARTS}")
        if upload.in_parts and upload.blobs is not None:
            raise BadUpload("this upload is complete")
        with self._lock:
            self._check(upload, number, announced, now)
            self._written += 1
            return UploadWriter(self, upload, number, self._home() / f"{self._written}", now)

    def keep(self, writer: UploadWriter, now: float) -> str:
        """Make what was written part of its file, in the place of an earlier one, and return its ETag.

        Raises FileMissing when the file was forgotten meanwhile, BadUpload when it was completed.
        """
        upload, blob = writer.upload, writer.close()
        with self._lock:
            if self._uploads.get(upload.path) is not upload:
                self._unwrite(writer)
                raise FileMissing
            if upload.in_parts and upload.blobs is not None:
                self._unwrite(writer)
                raise BadUpload("this upload is complete")
            replaced = upload.parts.get(writer.number)
            upload.parts[writer.number] = blob
            if replaced is not None:
                self._delete(upload, replaced)
            if not upload.in_parts:
                upload.blobs, upload.etag = (blob,), blob.etag
                upload.expires_at = now + upload.terms.lives_s
            return blob.etag

    def discard(self, writer: UploadWriter) -> None:
        """Give a writing up."""
        with self._lock:
            self._unwrite(writer)

    def complete(self, upload: Upload, parts: list[tuple[int, str]], now: float) -> None:
        """Make a file of all its parts, named in any order with their ETags. Told again, it is complete already.

        Raises BadUpload when the list is not that of the parts that came; nothing has changed then.
        """
        if not upload.in_parts:
            raise BadUpload("this file is not uploaded in parts")
        with self._lock:
            _check_parts(upload.parts, parts)
            if upload.blobs is None:
                blobs = tuple(upload.parts[number] for number in sorted(upload.parts))
                digests = b"".join(bytes.fromhex(blob.etag) for blob in blobs)
                # assumption: the usual ETag of a file that came in parts.
                upload.etag = f"{md5(digests, usedforsecurity=False).hexdigest()}-{len(blobs)}"
                upload.blobs = blobs
                upload.expires_at = now + upload.terms.lives_s

    def clear(self, owner: str | None = None) -> None:
        """Forget one owner's files, or all of them."""
        with self._lock:
            for upload in list(self._uploads.values()):
                if owner in (None, upload.owner):
                    self._forget(upload)

    def close(self) -> None:
        """Forget everything, and remove the folder."""
        self.clear()
        with self._lock:
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    # -- inside, with the lock held

    def _home(self) -> Path:
        if self._folder is None:
            # Readable by nobody else (mkdtemp); goes with the process even when nobody closes us.
            self._folder = TemporaryDirectory(prefix="mock-fal-uploads-", ignore_cleanup_errors=True)
        return Path(self._folder.name)

    def _reserve(self, writer: UploadWriter, size: int) -> None:
        with self._lock:
            self._check(writer.upload, writer.number, size, writer.now)
            writer.reserved += size
            writer.upload.taken += size
            self._used += size

    def _check(self, upload: Upload, number: int, size: int, now: float) -> None:
        replaced = upload.parts.get(number)
        if upload.taken - (replaced.size if replaced else 0) + size > self._max_upload:
            raise UploadTooLarge(self._max_upload)
        if self._used + size > self._max_disk:
            self._sweep(now)
        if self._used + size > self._max_disk:
            raise DiskFull(f"all uploads together may take {self._max_disk} bytes")

    def _sweep(self, now: float) -> None:
        for upload in [upload for upload in self._uploads.values() if upload.expires_at <= now]:
            self._forget(upload)

    def _drop_a_promise(self) -> None:
        if len(self._uploads) >= self._max_uploads:
            empty = next((upload for upload in self._uploads.values() if not upload.parts), None)
            if empty is None:
                raise DiskFull(f"{self._max_uploads} files are kept at most")
            del self._uploads[empty.path]

    def _forget(self, upload: Upload) -> None:
        del self._uploads[upload.path]
        for blob in upload.parts.values():
            self._delete(upload, blob)

    def _delete(self, upload: Upload, blob: Blob) -> None:
        upload.taken -= blob.size
        self._used -= blob.size
        remove(blob.path)

    def _unwrite(self, writer: UploadWriter) -> None:
        writer.upload.taken -= writer.reserved
        self._used -= writer.reserved
        remove(writer.close().path)


def _check_parts(held: dict[int, Blob], parts: list[tuple[int, str]]) -> None:
    named = dict(parts)
    if not parts:
        raise BadUpload("the list of parts is empty")
    if len(named) != len(parts):
        raise BadUpload("a part is listed twice")
    for number, etag in sorted(named.items()):
        if number not in held:
            raise BadUpload(f"part {number} was not uploaded")
        if _bare(etag) != held[number].etag:
            raise BadUpload(f"the etag of part {number} is {etag!r}, expected {held[number].etag!r}")
    # assumption: what other stores leave out of the file without a word is here a mistake in the list.
    if left_out := sorted(held.keys() - named.keys()):
        raise BadUpload(f"part {left_out[0]} was uploaded and is not listed")


def _bare(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"').lower()
