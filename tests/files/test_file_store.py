from __future__ import annotations

import math
import os
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.accounts.acl import PUBLIC, ObjectLifecycle
from mock_fal.clock import EPOCH
from mock_fal.errors import BadUpload, DiskFull, FileMissing, UploadTooLarge
from mock_fal.files.blobs import read
from mock_fal.files.file_store import MAX_PARTS, FileStore, Upload


@pytest.fixture
def file_store() -> Iterator[FileStore]:
    with SmallStore() as file_store:
        yield file_store


class SmallStore(FileStore):
    def __init__(self, max_upload: int = 1000, max_disk: int = 2000, max_uploads: int = 100) -> None:
        super().__init__(max_upload=max_upload, max_disk=max_disk, max_uploads=max_uploads)

    def __enter__(self) -> FileStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def create(
    file_store: FileStore, path: str = "/a", *, in_parts: bool = False, lifetime_s: float = math.inf
) -> Upload:
    return file_store.create(
        path, "ana", "text/plain", ObjectLifecycle(lifetime_s, PUBLIC), EPOCH, in_parts=in_parts
    )


def put(
    file_store: FileStore, upload: Upload, data: bytes, part: int | None = None, now: float = EPOCH
) -> str:
    writer = file_store.open_writer(upload, now, part=part)
    try:
        writer.reserve(len(data))
        writer.write([data])
    except BaseException:
        file_store.discard(writer)
        raise
    return file_store.commit(writer, now)


def contents(file_store: FileStore, path: str = "/a", now: float = EPOCH) -> bytes:
    upload = file_store.find_complete(path, now)
    return b"".join(read(upload.blobs or (), range(upload.size)))


def folder(file_store: FileStore) -> Path:
    return file_store._folder_path()


def test_a_file_is_read_as_it_was_written(file_store: FileStore) -> None:
    upload = create(file_store)
    etag = put(file_store, upload, b"hello")
    assert contents(file_store) == b"hello"
    assert etag == upload.etag == md5(b"hello").hexdigest()
    assert (upload.size, file_store.used_bytes) == (5, 5)


def test_an_upload_without_bytes_is_not_a_file(file_store: FileStore) -> None:
    upload = create(file_store)
    assert file_store.find("/a", EPOCH) is upload
    with pytest.raises(FileMissing):
        file_store.find_complete("/a", EPOCH)


def test_a_second_upload_replaces_the_first(file_store: FileStore) -> None:
    upload = create(file_store)
    put(file_store, upload, b"first")
    put(file_store, upload, b"the second")
    assert (contents(file_store), file_store.used_bytes) == (b"the second", 10)
    assert len(list(folder(file_store).iterdir())) == 1


def test_a_file_may_be_empty(file_store: FileStore) -> None:
    put(file_store, create(file_store), b"")
    assert contents(file_store) == b""


# -- parts


@given(
    st.lists(st.binary(max_size=20), min_size=1, max_size=8).flatmap(
        lambda parts: st.tuples(
            st.just(parts), st.permutations(range(len(parts))), st.permutations(range(len(parts)))
        )
    ),
    st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=20)), max_size=5),
)
def test_parts_arrive_in_any_order_and_the_last_of_each_number_counts(
    given: tuple[list[bytes], list[int], list[int]], earlier: list[tuple[int, bytes]]
) -> None:
    parts, sent, listed = given
    with SmallStore() as file_store:
        upload = create(file_store, in_parts=True)
        for index, data in earlier:
            if index < len(parts):
                put(file_store, upload, data, index + 1)
        etags = {index: put(file_store, upload, parts[index], index + 1) for index in sent}
        file_store.complete(upload, [(index + 1, etags[index]) for index in listed], EPOCH)
        whole = b"".join(parts)
        assert contents(file_store) == whole
        assert (upload.size, file_store.used_bytes, upload.reserved_bytes) == (
            len(whole),
            len(whole),
            len(whole),
        )
        assert upload.etag.endswith(f"-{len(parts)}")


@given(st.lists(st.binary(max_size=12), max_size=6), st.integers(0, 40), st.integers(0, 40))
def test_any_range_is_read_across_parts(parts: list[bytes], start: int, length: int) -> None:
    with SmallStore() as file_store:
        upload = create(file_store, in_parts=True)
        etags = [
            (number, put(file_store, upload, data, number)) for number, data in enumerate([b"x", *parts], 1)
        ]
        file_store.complete(upload, etags, EPOCH)
        whole = b"".join([b"x", *parts])
        byte_range = range(start, start + length)
        assert b"".join(read(upload.blobs or (), byte_range)) == whole[start : start + length]


def test_part_numbers_may_have_gaps(file_store: FileStore) -> None:
    upload = create(file_store, in_parts=True)
    last, first = put(file_store, upload, b"b", 9), put(file_store, upload, b"a", 2)
    file_store.complete(upload, [(9, f'"{last}"'), (2, f'W/"{first.upper()}"')], EPOCH)
    assert contents(file_store) == b"ab"


WRONG_LISTS = {
    "empty": ([], "the list of parts is empty"),
    "a part that was not uploaded": ([(1, "A"), (2, "B"), (3, "B")], "part 3 was not uploaded"),
    "a part left out": ([(1, "A")], "part 2 was uploaded and is not listed"),
    "the etag of another part": ([(1, "A"), (2, "A")], "the etag of part 2"),
    "a part twice": ([(1, "A"), (2, "B"), (2, "B")], "a part is listed twice"),
}


@pytest.mark.parametrize("name", WRONG_LISTS)
def test_a_wrong_list_of_parts_changes_nothing(file_store: FileStore, name: str) -> None:
    listed, reason = WRONG_LISTS[name]
    upload = create(file_store, in_parts=True)
    etags = {"A": put(file_store, upload, b"a", 1), "B": put(file_store, upload, b"b", 2)}
    with pytest.raises(BadUpload, match=reason):
        file_store.complete(upload, [(number, etags[letter]) for number, letter in listed], EPOCH)
    with pytest.raises(FileMissing):
        file_store.find_complete("/a", EPOCH)
    file_store.complete(upload, [(1, etags["A"]), (2, etags["B"])], EPOCH)
    assert contents(file_store) == b"ab"


def test_completing_twice_has_the_effect_of_once(file_store: FileStore) -> None:
    """The Python client repeats the call when the first response was lost."""
    upload = create(file_store, in_parts=True, lifetime_s=10)
    etag = put(file_store, upload, b"a", 1)
    file_store.complete(upload, [(1, etag)], EPOCH)
    file_store.complete(upload, [(1, etag)], EPOCH + 5)
    assert upload.expires_at == EPOCH + 10
    with pytest.raises(BadUpload, match="etag of part 1"):
        file_store.complete(upload, [(1, "0")], EPOCH)
    assert contents(file_store) == b"a"


def test_a_complete_file_accepts_no_more_parts(file_store: FileStore) -> None:
    upload = create(file_store, in_parts=True)
    late = file_store.open_writer(upload, EPOCH, part=1)
    file_store.complete(upload, [(1, put(file_store, upload, b"a", 1))], EPOCH)
    with pytest.raises(BadUpload, match="is complete"):
        file_store.open_writer(upload, EPOCH, part=1)
    late.reserve(4)
    late.write([b"late"])
    with pytest.raises(BadUpload, match="is complete"):
        file_store.commit(late, EPOCH)
    assert (contents(file_store), file_store.used_bytes) == (b"a", 1)


@pytest.mark.parametrize("number", [0, MAX_PARTS + 1])
def test_part_numbers_have_limits(file_store: FileStore, number: int) -> None:
    with pytest.raises(BadUpload, match=f"is {number}, expected 1 to {MAX_PARTS}"):
        file_store.open_writer(create(file_store, in_parts=True), EPOCH, part=number)


def test_a_file_is_uploaded_in_the_mode_it_was_created_with(file_store: FileStore) -> None:
    whole, in_parts = create(file_store), create(file_store, "/b", in_parts=True)
    with pytest.raises(BadUpload, match="is not uploaded in parts"):
        file_store.open_writer(whole, EPOCH, part=1)
    with pytest.raises(BadUpload, match="is not uploaded in parts"):
        file_store.complete(whole, [], EPOCH)
    with pytest.raises(BadUpload, match="is uploaded in parts"):
        file_store.open_writer(in_parts, EPOCH)


# -- interrupted uploads


def test_an_interrupted_upload_has_no_effect(file_store: FileStore) -> None:
    upload = create(file_store)
    put(file_store, upload, b"whole")
    writer = file_store.open_writer(upload, EPOCH)
    writer.reserve(10)
    writer.write([b"half"])
    file_store.discard(writer)
    assert (contents(file_store), file_store.used_bytes, upload.reserved_bytes) == (b"whole", 5, 5)
    assert len(list(folder(file_store).iterdir())) == 1


def test_an_upload_that_ends_after_a_reset_has_no_effect(file_store: FileStore) -> None:
    writer = file_store.open_writer(create(file_store), EPOCH)
    writer.reserve(4)
    writer.write([b"late"])
    file_store.clear()
    create(file_store)  # the same path again
    with pytest.raises(FileMissing):
        file_store.commit(writer, EPOCH)
    assert (file_store.used_bytes, list(folder(file_store).iterdir())) == (0, [])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_reported(file_store: FileStore) -> None:
    writer = file_store.open_writer(create(file_store), EPOCH)
    writer._blob._file.close()
    writer._blob._file = open("/dev/full", "wb", buffering=0)
    with pytest.raises(DiskFull, match="No space left on device"):
        writer.write([b"x"])
    file_store.discard(writer)


# -- limits


def test_an_upload_has_a_size_limit() -> None:
    with SmallStore(max_upload=10) as file_store:
        upload = create(file_store, in_parts=True)
        put(file_store, upload, b"123456", 1)
        with pytest.raises(UploadTooLarge) as caught:
            put(file_store, upload, b"12345", 2)
        put(file_store, upload, b"1234567890", 1)  # replaces the six bytes
        assert (caught.value.status, upload.reserved_bytes) == (413, 10)


def test_a_content_length_over_the_limit_is_rejected_at_once() -> None:
    with SmallStore(max_upload=10) as file_store, pytest.raises(UploadTooLarge):
        file_store.open_writer(create(file_store), EPOCH, expected_bytes=11)


def test_all_uploads_together_have_a_size_limit() -> None:
    with SmallStore(max_disk=10) as file_store:
        put(file_store, create(file_store), b"123456")
        with pytest.raises(DiskFull) as caught:
            put(file_store, create(file_store, "/b"), b"12345")
        assert (caught.value.status, file_store.used_bytes, contents(file_store)) == (507, 6, b"123456")


def test_expired_files_free_disk_space() -> None:
    with SmallStore(max_disk=10) as file_store:
        put(file_store, create(file_store, lifetime_s=60), b"123456")
        put(file_store, create(file_store, "/b"), b"12345", now=EPOCH + 60)
        assert file_store.used_bytes == 5


def test_uploads_without_bytes_are_removed_first() -> None:
    with SmallStore(max_uploads=2) as file_store:
        put(file_store, create(file_store, "/kept"), b"")
        create(file_store, "/old")
        put(file_store, create(file_store, "/new"), b"x")
        assert not file_store.holds("/old")
        with pytest.raises(DiskFull, match="at most 2 files are stored"):
            create(file_store, "/one too many")
        assert contents(file_store, "/kept") == b""


def test_expired_files_do_not_count_against_the_number_of_files() -> None:
    with SmallStore(max_uploads=1) as file_store:
        put(file_store, create(file_store, lifetime_s=60), b"x")
        file_store.create("/b", "ana", "text/plain", ObjectLifecycle(), EPOCH + 60)
        assert [file_store.holds(path) for path in ("/a", "/b")] == [False, True]


# -- removal and expiry


def test_a_file_that_can_not_be_removed_is_removed_by_close(
    file_store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows does not remove a file that is being read."""

    def forbid(path: Path) -> None:
        raise PermissionError(path)

    put(file_store, create(file_store), b"x")
    directory = folder(file_store)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", forbid)
        file_store.clear()
    assert (file_store.used_bytes, len(list(directory.iterdir()))) == (0, 1)
    file_store.close()
    assert not directory.exists()


def test_a_file_expires_at_the_end_of_its_lifetime(file_store: FileStore) -> None:
    put(file_store, create(file_store, lifetime_s=60), b"x", now=EPOCH + 5)
    assert contents(file_store, now=EPOCH + 64.9) == b"x"
    with pytest.raises(FileMissing):
        file_store.find("/a", EPOCH + 65)
    assert (file_store.used_bytes, file_store.holds("/a")) == (0, False)


def test_clearing_one_owner_keeps_the_files_of_others(file_store: FileStore) -> None:
    put(file_store, create(file_store), b"ana's")
    bobs = file_store.create("/b", "bob", "text/plain", ObjectLifecycle(), EPOCH)
    put(file_store, bobs, b"bob's")
    file_store.clear("ana")
    assert (file_store.holds("/a"), contents(file_store, "/b"), file_store.used_bytes) == (False, b"bob's", 5)


def test_the_folder_is_private_and_removed_by_close() -> None:
    file_store = SmallStore()
    file_store.close()
    put(file_store, create(file_store), b"x")
    directory = folder(file_store)
    assert os.name == "nt" or directory.stat().st_mode & 0o777 == 0o700
    file_store.close()
    assert (directory.exists(), file_store.used_bytes) == (False, 0)


def test_a_closed_store_can_be_used_again(file_store: FileStore) -> None:
    file_store.close()
    put(file_store, create(file_store), b"x")
    assert contents(file_store) == b"x"
