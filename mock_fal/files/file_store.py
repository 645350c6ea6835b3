"""The store of uploaded files: their bytes on disk, from the creation of an upload to its expiry.

    created ── part, part, … ──▶ complete ──▶ expired
            └─ whole file ─────▶

An `UploadWriter` writes one part or a whole file; several may be open at the same time. Its bytes become part of the
upload with `commit`, so a writer that is interrupted, too late or too large has no effect. A multipart upload is stored
as its parts: completing it copies nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from threading import Lock
from typing import Final

from mock_fal.accounts.acl import Acl, ObjectLifecycle
from mock_fal.errors import BadUpload, DiskFull, FileMissing, MemoryFull, UploadTooLarge
from mock_fal.files.blobs import Blob, BlobWriter, remove
from mock_fal.files.temporary_folder import TemporaryFolder
from mock_fal.journal.memory import RESERVED_SHARE, Memory

# Beyond this number, uploads without any bytes are removed first. Their files are on disk; in memory each takes:
MAX_UPLOADS: Final = 50_000
UPLOAD_BYTES: Final = 900
PART_BYTES: Final = 400
# assumption: the limit is 10,000, as in S3-compatible stores.
MAX_PARTS: Final = 10_000

_WHOLE: Final = 0  # the part number that stands for the whole file


@dataclass(slots=True, eq=False)
class Upload:
    """One uploaded file. `blobs` are its bytes in order; None until the upload is complete."""

    path: str
    owner: str
    content_type: str
    object_lifecycle: ObjectLifecycle
    in_parts: bool
    acl: Acl
    etag: str = ""
    expires_at: float = math.inf
    blobs: tuple[Blob, ...] | None = None
    parts: dict[int, Blob] = field(default_factory=dict)
    # The bytes of its parts, including parts that are being written.
    reserved_bytes: int = 0
    # The bytes that it takes in memory.
    counted_bytes: int = 0
    # A time of the emulated clock.
    created_at: float = 0.0

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.blobs or ())


class UploadWriter:
    """Writes a part or a whole file. Call `reserve` before `write`; `write` may run in any thread."""

    def __init__(self, file_store: FileStore, upload: Upload, number: int, path: Path, now: float) -> None:
        self._store = file_store
        self._blob = BlobWriter(path)
        self.upload = upload
        self.number = number
        self.now = now
        self.reserved_bytes = 0

    def reserve(self, size: int) -> None:
        """Reserve space for `size` more bytes. Raises UploadTooLarge or DiskFull."""
        self._store._reserve(self, size)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write bytes to disk. Raises DiskFull if the disk is full."""
        self._blob.write(pieces)

    def close(self) -> Blob:
        """Close the file; the blob of the bytes written so far."""
        return self._blob.close()


class FileStore:
    """All uploads of a server, up to `max_disk` bytes, in a temporary folder that `close` removes."""

    # deviation: uploads are deleted at exit.

    def __init__(
        self,
        *,
        max_upload: int,
        max_disk: int,
        max_uploads: int = MAX_UPLOADS,
        memory: Memory | None = None,
    ) -> None:
        self._memory = memory or Memory()
        # The number of uploads of each owner.
        self._owned: Counter[str] = Counter()
        self._max_upload = max_upload
        self._max_disk = max_disk
        self._max_uploads = max_uploads
        self._uploads: dict[str, Upload] = {}
        self._folder: TemporaryFolder | None = None
        self._writers = 0
        self._used_bytes = 0
        # Uploads arrive in the server's thread; a test that resets its account runs in another one.
        self._lock = Lock()

    @property
    def used_bytes(self) -> int:
        """The bytes on disk, including those being written."""
        return self._used_bytes

    @property
    def uploads(self) -> list[Upload]:
        """The files that are complete, oldest first."""
        with self._lock:
            return [upload for upload in self._uploads.values() if upload.blobs is not None]

    def create(
        self,
        path: str,
        owner: str,
        content_type: str,
        object_lifecycle: ObjectLifecycle,
        now: float,
        *,
        in_parts: bool = False,
    ) -> Upload:
        """Create an upload without any bytes. Raises DiskFull if there are too many uploads, or MemoryFull."""
        readers = object_lifecycle.acl.rules
        size = UPLOAD_BYTES + len(content_type) + sum(UPLOAD_BYTES + len(name) for name, _ in readers)
        with self._lock:
            if not self._has_place(owner):
                self._sweep(now)
                self._drop_empty_upload(owner)
            if not self._memory.make_room(owner, size, now):
                raise MemoryFull(self._memory.limit)
            upload = Upload(path, owner, content_type, object_lifecycle, in_parts, object_lifecycle.acl)
            upload.created_at = now
            self._uploads[path] = upload
            self._owned[owner] += 1
            self._count(upload, size)
            return upload

    def holds(self, path: str) -> bool:
        """Whether there is an upload at a path, complete or not."""
        return path in self._uploads

    def find(self, path: str, now: float) -> Upload:
        """The upload at a path, complete or not. Raises FileMissing if there is none or it has expired."""
        with self._lock:
            upload = self._uploads.get(path)
            if upload is not None and now < upload.expires_at:
                return upload
            if upload is not None:
                self._remove(upload)
            raise FileMissing

    def find_complete(self, path: str, now: float) -> Upload:
        """The complete upload at a path. Raises FileMissing if there is none or it is not complete."""
        upload = self.find(path, now)
        if upload.blobs is None:
            raise FileMissing
        return upload

    def open_writer(
        self, upload: Upload, now: float, *, part: int | None = None, expected_bytes: int = 0
    ) -> UploadWriter:
        """A writer for a part, or for the whole file. Raises BadUpload, UploadTooLarge or DiskFull."""
        number = _WHOLE if part is None else part
        if upload.in_parts != (part is not None):
            mode = "is uploaded in parts" if upload.in_parts else "is not uploaded in parts"
            raise BadUpload(f"this file {mode}")
        if part is not None and not 1 <= part <= MAX_PARTS:
            raise BadUpload(f"the part number is {part}, expected 1 to {MAX_PARTS}")
        if upload.in_parts and upload.blobs is not None:
            raise BadUpload("this upload is complete")
        with self._lock:
            self._check(upload, number, expected_bytes, now)
            self._writers += 1
            return UploadWriter(self, upload, number, self._folder_path() / f"{self._writers}", now)

    def commit(self, writer: UploadWriter, now: float) -> str:
        """Add the written bytes to their upload, replacing an earlier part of that number, and return their ETag.

        Raises FileMissing if the upload was removed meanwhile, BadUpload if it was completed.
        """
        upload, blob = writer.upload, writer.close()
        with self._lock:
            if self._uploads.get(upload.path) is not upload:
                self._discard(writer)
                raise FileMissing
            if upload.in_parts and upload.blobs is not None:
                self._discard(writer)
                raise BadUpload("this upload is complete")
            replaced = upload.parts.get(writer.number)
            upload.parts[writer.number] = blob
            if replaced is not None:
                self._delete(upload, replaced)
            else:
                self._count(upload, PART_BYTES)
            if not upload.in_parts:
                upload.blobs, upload.etag = (blob,), blob.etag
                upload.expires_at = now + upload.object_lifecycle.lifetime_s
            return blob.etag

    def discard(self, writer: UploadWriter) -> None:
        """Discard the bytes of a writer."""
        with self._lock:
            self._discard(writer)

    def complete(self, upload: Upload, parts: list[tuple[int, str]], now: float) -> None:
        """Complete an upload from the list of its part numbers and ETags, in any order. Idempotent.

        Raises BadUpload, and changes nothing, if the list differs from the uploaded parts.
        """
        if not upload.in_parts:
            raise BadUpload("this file is not uploaded in parts")
        with self._lock:
            _check_parts(upload.parts, parts)
            if upload.blobs is None:
                blobs = tuple(upload.parts[number] for number in sorted(upload.parts))
                digests = b"".join(bytes.fromhex(blob.etag) for blob in blobs)
                # assumption: the ETag of a multipart upload is computed as in S3.
                upload.etag = f"{md5(digests, usedforsecurity=False).hexdigest()}-{len(blobs)}"
                upload.blobs = blobs
                upload.expires_at = now + upload.object_lifecycle.lifetime_s

    def clear(self, owner: str | None = None) -> None:
        """Remove the uploads of one owner, or all of them."""
        with self._lock:
            for upload in list(self._uploads.values()):
                if owner in (None, upload.owner):
                    self._remove(upload)

    def close(self) -> None:
        """Remove all uploads and the folder."""
        self.clear()
        with self._lock:
            if self._folder is not None:
                self._folder.close()
                self._folder = None

    # -- internal, called with the lock held (except `_reserve`, which acquires it)

    def _folder_path(self) -> Path:
        if self._folder is None:
            self._folder = TemporaryFolder("uploads")
        return self._folder.path

    def _reserve(self, writer: UploadWriter, size: int) -> None:
        with self._lock:
            self._check(writer.upload, writer.number, size, writer.now)
            writer.reserved_bytes += size
            writer.upload.reserved_bytes += size
            self._used_bytes += size

    def _check(self, upload: Upload, number: int, size: int, now: float) -> None:
        replaced = upload.parts.get(number)
        if upload.reserved_bytes - (replaced.size if replaced else 0) + size > self._max_upload:
            raise UploadTooLarge(self._max_upload)
        if self._used_bytes + size > self._max_disk:
            self._sweep(now)
        if self._used_bytes + size > self._max_disk:
            raise DiskFull(f"the uploads are limited to {self._max_disk} bytes in total")

    def _sweep(self, now: float) -> None:
        for upload in [upload for upload in self._uploads.values() if upload.expires_at <= now]:
            self._remove(upload)

    def _has_place(self, owner: str) -> bool:
        # A share of the places is kept free for other keys.
        own_places = self._max_uploads - self._max_uploads // RESERVED_SHARE
        return len(self._uploads) < self._max_uploads and self._owned[owner] < own_places

    def _drop_empty_upload(self, owner: str) -> None:
        """Remove an upload without any bytes, of the same owner if there is one, unless there is a place."""
        if self._has_place(owner):
            return
        empty = [upload for upload in self._uploads.values() if not upload.parts]
        own = next((upload for upload in empty if upload.owner == owner), None)
        if own is None and (not empty or len(self._uploads) < self._max_uploads):
            raise DiskFull(f"at most {self._max_uploads} files are stored, nine tenths of them of one key")
        self._forget(own or empty[0])

    def _forget(self, upload: Upload) -> None:
        del self._uploads[upload.path]
        self._owned[upload.owner] -= 1
        if not self._owned[upload.owner]:
            del self._owned[upload.owner]
        self._count(upload, -upload.counted_bytes)

    def _count(self, upload: Upload, size: int) -> None:
        upload.counted_bytes += size
        self._memory.add(upload.owner, size, finished=False)

    def _remove(self, upload: Upload) -> None:
        self._forget(upload)
        for blob in upload.parts.values():
            self._delete(upload, blob)

    def _delete(self, upload: Upload, blob: Blob) -> None:
        upload.reserved_bytes -= blob.size
        self._used_bytes -= blob.size
        remove(blob.path)

    def _discard(self, writer: UploadWriter) -> None:
        writer.upload.reserved_bytes -= writer.reserved_bytes
        self._used_bytes -= writer.reserved_bytes
        remove(writer.close().path)


def _check_parts(uploaded: dict[int, Blob], parts: list[tuple[int, str]]) -> None:
    listed = dict(parts)
    if not parts:
        raise BadUpload("the list of parts is empty")
    if len(listed) != len(parts):
        raise BadUpload("a part is listed twice")
    for number, etag in sorted(listed.items()):
        if number not in uploaded:
            raise BadUpload(f"part {number} was not uploaded")
        if _normalised_etag(etag) != uploaded[number].etag:
            raise BadUpload(f"the etag of part {number} is {etag!r}, expected {uploaded[number].etag!r}")
    # assumption: a part that is not listed is an error; other stores silently leave it out of the file.
    if unlisted := sorted(uploaded.keys() - listed.keys()):
        raise BadUpload(f"part {unlisted[0]} was uploaded and is not listed")


def _normalised_etag(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"').lower()
