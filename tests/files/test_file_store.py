from __future__ import annotations

import math
import os
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.accounts.acl import PUBLIC, Terms
from mock_fal.clock import EPOCH
from mock_fal.errors import BadUpload, DiskFull, FileMissing, UploadTooLarge
from mock_fal.files.blobs import read
from mock_fal.files.file_store import MAX_PARTS, FileStore, Upload


@pytest.fixture
def file_store() -> Iterator[FileStore]:
    with SmallVault() as file_store:
        yield file_store


class SmallVault(FileStore):
    def __init__(self, max_upload: int = 1000, max_disk: int = 2000, max_uploads: int = 100) -> None:
        super().__init__(max_upload=max_upload, max_disk=max_disk, max_uploads=max_uploads)

    def __enter__(self) -> FileStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def promise(
    file_store: FileStore, path: str = "/a", *, in_parts: bool = False, lives_s: float = math.inf
) -> Upload:
    return file_store.promise(path, "ana", "text/plain", Terms(lives_s, PUBLIC), EPOCH, in_parts=in_parts)


def put(
    file_store: FileStore, upload: Upload, data: bytes, part: int | None = None, now: float = EPOCH
) -> str:
    writer = file_store.begin(upload, now, part=part)
    try:
        writer.reserve(len(data))
        writer.write([data])
    except BaseException:
        file_store.discard(writer)
        raise
    return file_store.keep(writer, now)


def contents(file_store: FileStore, path: str = "/a", now: float = EPOCH) -> bytes:
    upload = file_store.complete_at(path, now)
    return b"".join(read(upload.blobs or (), range(upload.size)))


def folder(file_store: FileStore) -> Path:
    return file_store._home()


def test_a_file_is_read_as_it_was_written(file_store: FileStore) -> None:
    upload = promise(file_store)
    etag = put(file_store, upload, b"hello")
    assert contents(file_store) == b"hello"
    assert etag == upload.etag == md5(b"hello").hexdigest()
    assert (upload.size, file_store.used) == (5, 5)


def test_a_promise_is_no_file(file_store: FileStore) -> None:
    upload = promise(file_store)
    assert file_store.find("/a", EPOCH) is upload
    with pytest.raises(FileMissing):
        file_store.complete_at("/a", EPOCH)


def test_a_second_upload_takes_the_first_ones_place(file_store: FileStore) -> None:
    upload = promise(file_store)
    put(file_store, upload, b"first")
    put(file_store, upload, b"the second")
    assert (contents(file_store), file_store.used) == (b"the second", 10)
    assert len(list(folder(file_store).iterdir())) == 1


def test_an_empty_file_is_a_file(file_store: FileStore) -> None:
    put(file_store, promise(file_store), b"")
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
def test_parts_come_in_any_order_and_the_last_of_a_number_counts(
    given: tuple[list[bytes], list[int], list[int]], earlier: list[tuple[int, bytes]]
) -> None:
    parts, sent, listed = given
    with SmallVault() as file_store:
        upload = promise(file_store, in_parts=True)
        for at, data in earlier:
            if at < len(parts):
                put(file_store, upload, data, at + 1)
        etags = {at: put(file_store, upload, parts[at], at + 1) for at in sent}
        file_store.complete(upload, [(at + 1, etags[at]) for at in listed], EPOCH)
        whole = b"".join(parts)
        assert contents(file_store) == whole
        assert (upload.size, file_store.used, upload.taken) == (len(whole), len(whole), len(whole))
        assert upload.etag.endswith(f"-{len(parts)}")


@given(st.lists(st.binary(max_size=12), max_size=6), st.integers(0, 40), st.integers(0, 40))
def test_any_range_is_read_across_parts(parts: list[bytes], start: int, length: int) -> None:
    with SmallVault() as file_store:
        upload = promise(file_store, in_parts=True)
        etags = [(at, put(file_store, upload, data, at)) for at, data in enumerate([b"x", *parts], 1)]
        file_store.complete(upload, etags, EPOCH)
        whole = b"".join([b"x", *parts])
        wanted = range(start, start + length)
        assert b"".join(read(upload.blobs or (), wanted)) == whole[start : start + length]


def test_numbers_may_be_left_out(file_store: FileStore) -> None:
    upload = promise(file_store, in_parts=True)
    last, first = put(file_store, upload, b"b", 9), put(file_store, upload, b"a", 2)
    file_store.complete(upload, [(9, f'"{last}"'), (2, f'W/"{first.upper()}"')], EPOCH)
    assert contents(file_store) == b"ab"


WRONG_LISTS = {
    "empty": ([], "the list of parts is empty"),
    "one that never came": ([(1, "A"), (2, "B"), (3, "B")], "part 3 was not uploaded"),
    "one left out": ([(1, "A")], "part 2 was uploaded and is not listed"),
    "another's etag": ([(1, "A"), (2, "A")], "the etag of part 2"),
    "one twice": ([(1, "A"), (2, "B"), (2, "B")], "a part is listed twice"),
}


@pytest.mark.parametrize("name", WRONG_LISTS)
def test_a_wrong_list_changes_nothing(file_store: FileStore, name: str) -> None:
    listed, reason = WRONG_LISTS[name]
    upload = promise(file_store, in_parts=True)
    etags = {"A": put(file_store, upload, b"a", 1), "B": put(file_store, upload, b"b", 2)}
    with pytest.raises(BadUpload, match=reason):
        file_store.complete(upload, [(number, etags[letter]) for number, letter in listed], EPOCH)
    with pytest.raises(FileMissing):
        file_store.complete_at("/a", EPOCH)
    file_store.complete(upload, [(1, etags["A"]), (2, etags["B"])], EPOCH)
    assert contents(file_store) == b"ab"


def test_to_complete_twice_is_to_complete_once(file_store: FileStore) -> None:
    """The answer to the first may have been lost; the Python client asks again."""
    upload = promise(file_store, in_parts=True, lives_s=10)
    etag = put(file_store, upload, b"a", 1)
    file_store.complete(upload, [(1, etag)], EPOCH)
    file_store.complete(upload, [(1, etag)], EPOCH + 5)
    assert upload.expires_at == EPOCH + 10
    with pytest.raises(BadUpload, match="etag of part 1"):
        file_store.complete(upload, [(1, "0")], EPOCH)
    assert contents(file_store) == b"a"


def test_a_complete_file_takes_no_more_parts(file_store: FileStore) -> None:
    upload = promise(file_store, in_parts=True)
    late = file_store.begin(upload, EPOCH, part=1)
    file_store.complete(upload, [(1, put(file_store, upload, b"a", 1))], EPOCH)
    with pytest.raises(BadUpload, match="is complete"):
        file_store.begin(upload, EPOCH, part=1)
    late.reserve(4)
    late.write([b"late"])
    with pytest.raises(BadUpload, match="is complete"):
        file_store.keep(late, EPOCH)
    assert (contents(file_store), file_store.used) == (b"a", 1)


@pytest.mark.parametrize("number", [0, MAX_PARTS + 1])
def test_the_numbers_of_parts_have_bounds(file_store: FileStore, number: int) -> None:
    with pytest.raises(BadUpload, match=f"is {number}, expected 1 to {MAX_PARTS}"):
        file_store.begin(promise(file_store, in_parts=True), EPOCH, part=number)


def test_a_file_comes_by_the_way_that_was_promised(file_store: FileStore) -> None:
    whole, in_parts = promise(file_store), promise(file_store, "/b", in_parts=True)
    with pytest.raises(BadUpload, match="is not uploaded in parts"):
        file_store.begin(whole, EPOCH, part=1)
    with pytest.raises(BadUpload, match="is not uploaded in parts"):
        file_store.complete(whole, [], EPOCH)
    with pytest.raises(BadUpload, match="is uploaded in parts"):
        file_store.begin(in_parts, EPOCH)


# -- what breaks off


def test_what_breaks_off_leaves_no_trace(file_store: FileStore) -> None:
    upload = promise(file_store)
    put(file_store, upload, b"whole")
    writer = file_store.begin(upload, EPOCH)
    writer.reserve(10)
    writer.write([b"half"])
    file_store.discard(writer)
    assert (contents(file_store), file_store.used, upload.taken) == (b"whole", 5, 5)
    assert len(list(folder(file_store).iterdir())) == 1


def test_what_comes_after_a_reset_leaves_no_trace(file_store: FileStore) -> None:
    writer = file_store.begin(promise(file_store), EPOCH)
    writer.reserve(4)
    writer.write([b"late"])
    file_store.clear()
    promise(file_store)  # of the same name again
    with pytest.raises(FileMissing):
        file_store.keep(writer, EPOCH)
    assert (file_store.used, list(folder(file_store).iterdir())) == (0, [])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is always full")
def test_a_disk_that_is_full_says_so(file_store: FileStore) -> None:
    writer = file_store.begin(promise(file_store), EPOCH)
    writer._blob._file.close()
    writer._blob._file = open("/dev/full", "wb", buffering=0)
    with pytest.raises(DiskFull, match="No space left on device"):
        writer.write([b"x"])
    file_store.discard(writer)


# -- limits


def test_an_upload_has_a_limit() -> None:
    with SmallVault(max_upload=10) as file_store:
        upload = promise(file_store, in_parts=True)
        put(file_store, upload, b"123456", 1)
        with pytest.raises(UploadTooLarge) as refusal:
            put(file_store, upload, b"12345", 2)
        put(file_store, upload, b"1234567890", 1)  # in the place of the six
        assert (refusal.value.status, upload.taken) == (413, 10)


def test_what_is_announced_is_refused_beforehand() -> None:
    with SmallVault(max_upload=10) as file_store, pytest.raises(UploadTooLarge):
        file_store.begin(promise(file_store), EPOCH, announced=11)


def test_all_uploads_together_have_a_limit() -> None:
    with SmallVault(max_disk=10) as file_store:
        put(file_store, promise(file_store), b"123456")
        with pytest.raises(DiskFull) as refusal:
            put(file_store, promise(file_store, "/b"), b"12345")
        assert (refusal.value.status, file_store.used, contents(file_store)) == (507, 6, b"123456")


def test_what_has_expired_makes_room() -> None:
    with SmallVault(max_disk=10) as file_store:
        put(file_store, promise(file_store, lives_s=60), b"123456")
        put(file_store, promise(file_store, "/b"), b"12345", now=EPOCH + 60)
        assert file_store.used == 5


def test_promises_that_nobody_kept_are_forgotten_first() -> None:
    with SmallVault(max_uploads=2) as file_store:
        put(file_store, promise(file_store, "/kept"), b"")
        promise(file_store, "/old")
        put(file_store, promise(file_store, "/new"), b"x")
        assert not file_store.holds("/old")
        with pytest.raises(DiskFull, match="2 files are kept at most"):
            promise(file_store, "/one too many")
        assert contents(file_store, "/kept") == b""


def test_what_has_expired_makes_room_for_another() -> None:
    with SmallVault(max_uploads=1) as file_store:
        put(file_store, promise(file_store, lives_s=60), b"x")
        file_store.promise("/b", "ana", "text/plain", Terms(), EPOCH + 60)
        assert [file_store.holds(path) for path in ("/a", "/b")] == [False, True]


# -- the end


def test_a_file_that_can_not_be_removed_now_goes_at_the_end(
    file_store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows keeps what is being read."""

    def refuse(path: Path) -> None:
        raise PermissionError(path)

    put(file_store, promise(file_store), b"x")
    home = folder(file_store)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        file_store.clear()
    assert (file_store.used, len(list(home.iterdir()))) == (0, 1)
    file_store.close()
    assert not home.exists()


def test_a_file_expires_by_the_clock(file_store: FileStore) -> None:
    put(file_store, promise(file_store, lives_s=60), b"x", now=EPOCH + 5)
    assert contents(file_store, now=EPOCH + 64.9) == b"x"
    with pytest.raises(FileMissing):
        file_store.find("/a", EPOCH + 65)
    assert (file_store.used, file_store.holds("/a")) == (0, False)


def test_one_owner_is_forgotten_and_the_other_is_not(file_store: FileStore) -> None:
    put(file_store, promise(file_store), b"ana's")
    bobs = file_store.promise("/b", "bob", "text/plain", Terms(), EPOCH)
    put(file_store, bobs, b"bob's")
    file_store.clear("ana")
    assert (file_store.holds("/a"), contents(file_store, "/b"), file_store.used) == (False, b"bob's", 5)


def test_the_folder_is_private_and_goes_at_the_end() -> None:
    file_store = SmallVault()
    file_store.close()
    put(file_store, promise(file_store), b"x")
    home = folder(file_store)
    assert os.name == "nt" or home.stat().st_mode & 0o777 == 0o700
    file_store.close()
    assert (home.exists(), file_store.used) == (False, 0)


def test_it_can_be_used_again_after_the_end(file_store: FileStore) -> None:
    file_store.close()
    put(file_store, promise(file_store), b"x")
    assert contents(file_store) == b"x"
