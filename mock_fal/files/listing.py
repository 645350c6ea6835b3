"""What files there are at the media host: those that were uploaded, and those of results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mock_fal.files.storage import Storage
from mock_fal.hosts import RESULT_HOST
from mock_fal.store import Store


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file. `expires_at` is a moment of the emulated clock, infinite for one that stays.

    A file of a result names its request; its `size_bytes` is None, for it is drawn when somebody asks for it.
    """

    url: str
    content_type: str
    owner: str
    size_bytes: int | None
    expires_at: float
    request_id: str | None = None


def files(store: Store, storage: Storage, now: float) -> list[StoredFile]:
    """All files that could be read at `now`, oldest first: the uploads, then those of results."""
    return [file for file in (*_uploads(storage), *_results(store, now)) if now < file.expires_at]


def _uploads(storage: Storage) -> Iterator[StoredFile]:
    for upload in storage.file_store.uploads:
        yield StoredFile(
            f"https://{RESULT_HOST}{upload.path}",
            upload.content_type,
            upload.owner,
            upload.size,
            upload.expires_at,
        )


def _results(store: Store, now: float) -> Iterator[StoredFile]:
    # A copy: a test's thread may read while the server writes.
    for result in list(store.files.values()):
        if result.request.schedule.ends_at <= now:
            yield StoredFile(
                f"https://{RESULT_HOST}{result.picture.path}",
                result.picture.recipe.content_type,
                result.owner,
                None,
                result.expires_at,
                result.request.id,
            )
