from __future__ import annotations

import math
import os
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.acl import PUBLIC, Terms
from mock_fal.blob import read
from mock_fal.clock import EPOCH
from mock_fal.errors import BadUpload, DiskFull, FileMissing, UploadTooLarge
from mock_fal.vault import MAX_PARTS, Upload, Vault


@pytest.fixture
def vault() -> Iterator[Vault]:
    with SmallVault() as vault:
        yield vault


class SmallVault(Vault):
    def __init__(self, max_upload: int = 1000, max_disk: int = 2000, max_uploads: int = 100) -> None:
        super().__init__(max_upload=max_upload, max_disk=max_disk, max_uploads=max_uploads)

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def promise(vault: Vault, path: str = "/a", *, in_parts: bool = False, lives_s: float = math.inf) -> Upload:
    return vault.promise(path, "ana", "text/plain", Terms(lives_s, PUBLIC), EPOCH, in_parts=in_parts)


def put(vault: Vault, upload: Upload, data: bytes, part: int | None = None, now: float = EPOCH) -> str:
    writing = vault.begin(upload, now, part=part)
    try:
        writing.reserve(len(data))
        writing.write([data])
    except BaseException:
        vault.discard(writing)
        raise
    return vault.keep(writing, now)


def contents(vault: Vault, path: str = "/a", now: float = EPOCH) -> bytes:
    upload = vault.complete_at(path, now)
    return b"".join(read(upload.blobs or (), range(upload.size)))


def folder(vault: Vault) -> Path:
    return vault._home()


def test_a_file_is_read_as_it_was_written(vault: Vault) -> None:
    upload = promise(vault)
    etag = put(vault, upload, b"hello")
    assert contents(vault) == b"hello"
    assert etag == upload.etag == md5(b"hello").hexdigest()
    assert (upload.size, vault.used) == (5, 5)


def test_a_promise_is_no_file(vault: Vault) -> None:
    upload = promise(vault)
    assert vault.find("/a", EPOCH) is upload
    with pytest.raises(FileMissing):
        vault.complete_at("/a", EPOCH)


def test_a_second_upload_takes_the_first_ones_place(vault: Vault) -> None:
    upload = promise(vault)
    put(vault, upload, b"first")
    put(vault, upload, b"the second")
    assert (contents(vault), vault.used) == (b"the second", 10)
    assert len(list(folder(vault).iterdir())) == 1


def test_an_empty_file_is_a_file(vault: Vault) -> None:
    put(vault, promise(vault), b"")
    assert contents(vault) == b""


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
    with SmallVault() as vault:
        upload = promise(vault, in_parts=True)
        for at, data in earlier:
            if at < len(parts):
                put(vault, upload, data, at + 1)
        etags = {at: put(vault, upload, parts[at], at + 1) for at in sent}
        vault.complete(upload, [(at + 1, etags[at]) for at in listed], EPOCH)
        whole = b"".join(parts)
        assert contents(vault) == whole
        assert (upload.size, vault.used, upload.taken) == (len(whole), len(whole), len(whole))
        assert upload.etag.endswith(f"-{len(parts)}")


@given(st.lists(st.binary(max_size=12), max_size=6), st.integers(0, 40), st.integers(0, 40))
def test_any_range_is_read_across_parts(parts: list[bytes], start: int, length: int) -> None:
    with SmallVault() as vault:
        upload = promise(vault, in_parts=True)
        etags = [(at, put(vault, upload, data, at)) for at, data in enumerate([b"x", *parts], 1)]
        vault.complete(upload, etags, EPOCH)
        whole = b"".join([b"x", *parts])
        wanted = range(start, start + length)
        assert b"".join(read(upload.blobs or (), wanted)) == whole[start : start + length]


def test_numbers_may_be_left_out(vault: Vault) -> None:
    upload = promise(vault, in_parts=True)
    last, first = put(vault, upload, b"b", 9), put(vault, upload, b"a", 2)
    vault.complete(upload, [(9, f'"{last}"'), (2, f'W/"{first.upper()}"')], EPOCH)
    assert contents(vault) == b"ab"


WRONG_LISTS = {
    "empty": ([], "the list of parts is empty"),
    "one that never came": ([(1, "A"), (2, "B"), (3, "B")], "part 3 was not uploaded"),
    "one left out": ([(1, "A")], "part 2 was uploaded and is not listed"),
    "another's etag": ([(1, "A"), (2, "A")], "the etag of part 2"),
    "one twice": ([(1, "A"), (2, "B"), (2, "B")], "a part is listed twice"),
}


@pytest.mark.parametrize("name", WRONG_LISTS)
def test_a_wrong_list_changes_nothing(vault: Vault, name: str) -> None:
    listed, reason = WRONG_LISTS[name]
    upload = promise(vault, in_parts=True)
    etags = {"A": put(vault, upload, b"a", 1), "B": put(vault, upload, b"b", 2)}
    with pytest.raises(BadUpload, match=reason):
        vault.complete(upload, [(number, etags[letter]) for number, letter in listed], EPOCH)
    with pytest.raises(FileMissing):
        vault.complete_at("/a", EPOCH)
    vault.complete(upload, [(1, etags["A"]), (2, etags["B"])], EPOCH)
    assert contents(vault) == b"ab"


def test_to_complete_twice_is_to_complete_once(vault: Vault) -> None:
    """The answer to the first may have been lost; the Python client asks again."""
    upload = promise(vault, in_parts=True, lives_s=10)
    etag = put(vault, upload, b"a", 1)
    vault.complete(upload, [(1, etag)], EPOCH)
    vault.complete(upload, [(1, etag)], EPOCH + 5)
    assert upload.expires_at == EPOCH + 10
    with pytest.raises(BadUpload, match="etag of part 1"):
        vault.complete(upload, [(1, "0")], EPOCH)
    assert contents(vault) == b"a"


def test_a_complete_file_takes_no_more_parts(vault: Vault) -> None:
    upload = promise(vault, in_parts=True)
    late = vault.begin(upload, EPOCH, part=1)
    vault.complete(upload, [(1, put(vault, upload, b"a", 1))], EPOCH)
    with pytest.raises(BadUpload, match="is complete"):
        vault.begin(upload, EPOCH, part=1)
    late.reserve(4)
    late.write([b"late"])
    with pytest.raises(BadUpload, match="is complete"):
        vault.keep(late, EPOCH)
    assert (contents(vault), vault.used) == (b"a", 1)


@pytest.mark.parametrize("number", [0, MAX_PARTS + 1])
def test_the_numbers_of_parts_have_bounds(vault: Vault, number: int) -> None:
    with pytest.raises(BadUpload, match=f"is {number}, expected 1 to {MAX_PARTS}"):
        vault.begin(promise(vault, in_parts=True), EPOCH, part=number)


def test_a_file_comes_by_the_way_that_was_promised(vault: Vault) -> None:
    whole, in_parts = promise(vault), promise(vault, "/b", in_parts=True)
    with pytest.raises(BadUpload, match="is not uploaded in parts"):
        vault.begin(whole, EPOCH, part=1)
    with pytest.raises(BadUpload, match="is not uploaded in parts"):
        vault.complete(whole, [], EPOCH)
    with pytest.raises(BadUpload, match="is uploaded in parts"):
        vault.begin(in_parts, EPOCH)


# -- what breaks off


def test_what_breaks_off_leaves_no_trace(vault: Vault) -> None:
    upload = promise(vault)
    put(vault, upload, b"whole")
    writing = vault.begin(upload, EPOCH)
    writing.reserve(10)
    writing.write([b"half"])
    vault.discard(writing)
    assert (contents(vault), vault.used, upload.taken) == (b"whole", 5, 5)
    assert len(list(folder(vault).iterdir())) == 1


def test_what_comes_after_a_reset_leaves_no_trace(vault: Vault) -> None:
    writing = vault.begin(promise(vault), EPOCH)
    writing.reserve(4)
    writing.write([b"late"])
    vault.clear()
    promise(vault)  # of the same name again
    with pytest.raises(FileMissing):
        vault.keep(writing, EPOCH)
    assert (vault.used, list(folder(vault).iterdir())) == (0, [])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is always full")
def test_a_disk_that_is_full_says_so(vault: Vault) -> None:
    writing = vault.begin(promise(vault), EPOCH)
    writing._blob._file.close()
    writing._blob._file = open("/dev/full", "wb", buffering=0)
    with pytest.raises(DiskFull, match="No space left on device"):
        writing.write([b"x"])
    vault.discard(writing)


# -- limits


def test_an_upload_has_a_limit() -> None:
    with SmallVault(max_upload=10) as vault:
        upload = promise(vault, in_parts=True)
        put(vault, upload, b"123456", 1)
        with pytest.raises(UploadTooLarge) as refusal:
            put(vault, upload, b"12345", 2)
        put(vault, upload, b"1234567890", 1)  # in the place of the six
        assert (refusal.value.status, upload.taken) == (413, 10)


def test_what_is_announced_is_refused_beforehand() -> None:
    with SmallVault(max_upload=10) as vault, pytest.raises(UploadTooLarge):
        vault.begin(promise(vault), EPOCH, announced=11)


def test_all_uploads_together_have_a_limit() -> None:
    with SmallVault(max_disk=10) as vault:
        put(vault, promise(vault), b"123456")
        with pytest.raises(DiskFull) as refusal:
            put(vault, promise(vault, "/b"), b"12345")
        assert (refusal.value.status, vault.used, contents(vault)) == (507, 6, b"123456")


def test_what_has_expired_makes_room() -> None:
    with SmallVault(max_disk=10) as vault:
        put(vault, promise(vault, lives_s=60), b"123456")
        put(vault, promise(vault, "/b"), b"12345", now=EPOCH + 60)
        assert vault.used == 5


def test_promises_that_nobody_kept_are_forgotten_first() -> None:
    with SmallVault(max_uploads=2) as vault:
        put(vault, promise(vault, "/kept"), b"")
        promise(vault, "/old")
        put(vault, promise(vault, "/new"), b"x")
        assert not vault.holds("/old")
        with pytest.raises(DiskFull, match="2 files are kept at most"):
            promise(vault, "/one too many")
        assert contents(vault, "/kept") == b""


def test_what_has_expired_makes_room_for_another() -> None:
    with SmallVault(max_uploads=1) as vault:
        put(vault, promise(vault, lives_s=60), b"x")
        vault.promise("/b", "ana", "text/plain", Terms(), EPOCH + 60)
        assert [vault.holds(path) for path in ("/a", "/b")] == [False, True]


# -- the end


def test_a_file_that_can_not_be_removed_now_goes_at_the_end(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows keeps what is being read."""

    def refuse(path: Path) -> None:
        raise PermissionError(path)

    put(vault, promise(vault), b"x")
    home = folder(vault)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        vault.clear()
    assert (vault.used, len(list(home.iterdir()))) == (0, 1)
    vault.close()
    assert not home.exists()


def test_a_file_expires_by_the_clock(vault: Vault) -> None:
    put(vault, promise(vault, lives_s=60), b"x", now=EPOCH + 5)
    assert contents(vault, now=EPOCH + 64.9) == b"x"
    with pytest.raises(FileMissing):
        vault.find("/a", EPOCH + 65)
    assert (vault.used, vault.holds("/a")) == (0, False)


def test_one_owner_is_forgotten_and_the_other_is_not(vault: Vault) -> None:
    put(vault, promise(vault), b"ana's")
    bobs = vault.promise("/b", "bob", "text/plain", Terms(), EPOCH)
    put(vault, bobs, b"bob's")
    vault.clear("ana")
    assert (vault.holds("/a"), contents(vault, "/b"), vault.used) == (False, b"bob's", 5)


def test_the_folder_is_private_and_goes_at_the_end() -> None:
    vault = SmallVault()
    vault.close()
    put(vault, promise(vault), b"x")
    home = folder(vault)
    assert os.name == "nt" or home.stat().st_mode & 0o777 == 0o700
    vault.close()
    assert (home.exists(), vault.used) == (False, 0)


def test_it_can_be_used_again_after_the_end(vault: Vault) -> None:
    vault.close()
    put(vault, promise(vault), b"x")
    assert contents(vault) == b"x"
