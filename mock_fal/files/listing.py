"""The list of files on the media host: uploads and files of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

from mock_fal.files.storage import Storage
from mock_fal.hosts import RESULT_HOST
from mock_fal.store import Store


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file. Times are of the emulated clock; `expires_at` is infinite for a file that does not expire.

    `request_id` is set for files of results; their `size_bytes` is None, because they are rendered on download.
    """

    url: str
    content_type: str
    owner: str
    size_bytes: int | None
    expires_at: float
    request_id: str | None = None
    created_at: float = 0.0


def files(store: Store, storage: Storage, now: float) -> list[StoredFile]:
    """All files that exist at `now`, oldest first."""
    return in_order(existing(store, storage, now))


def in_order(found: Iterable[StoredFile]) -> list[StoredFile]:
    """Files, oldest first."""
    return sorted(found, key=attrgetter("created_at"))


def existing(store: Store, storage: Storage, now: float) -> Iterator[StoredFile]:
    """All files that exist at `now`, one by one: the uploads, then the files of results."""
    return (file for file in chain(_uploads(storage), _results(store, now)) if now < file.expires_at)


def _uploads(storage: Storage) -> Iterator[StoredFile]:
    for upload in storage.file_store.uploads:
        yield StoredFile(
            f"https://{RESULT_HOST}{upload.path}",
            upload.content_type,
            upload.owner,
            upload.size,
            upload.expires_at,
            created_at=upload.created_at,
        )


def _results(store: Store, now: float) -> Iterator[StoredFile]:
    # A copy: a test's thread may read while the server's thread writes.
    for result in list(store.files.values()):
        if result.request.schedule.ends_at <= now:
            yield StoredFile(
                f"https://{RESULT_HOST}{result.file.path}",
                result.file.recipe.content_type,
                result.owner,
                None,
                result.expires_at,
                result.request.id,
                result.request.schedule.ends_at,
            )
