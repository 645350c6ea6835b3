from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal import ids as module
from mock_fal.clock import EPOCH
from mock_fal.ids import Ids
from tests.strategies import moments

# RFC 9562: 48 bits of milliseconds, the version, 12 bits, the variant 10, 62 bits.
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def milliseconds(request_id: str) -> int:
    return int(request_id.replace("-", "")[:12], 16)


@given(st.integers(0), st.text(), moments())
def test_a_request_id_is_a_uuid_of_version_7(seed: int, tenant: str, now: float) -> None:
    assert UUID7.fullmatch(Ids(seed, tenant).request_id(now))


@given(moments())
def test_a_request_id_contains_its_moment(now: float) -> None:
    assert milliseconds(Ids(0).request_id(now)) == int(now * 1000)


@given(st.lists(moments(), max_size=50))
def test_request_ids_sort_in_order_of_creation(times: list[float]) -> None:
    ids = Ids(0)
    created = [ids.request_id(now) for now in sorted(times)]
    assert created == sorted(set(created))


def test_request_ids_sort_across_a_wrap_of_the_counter() -> None:
    ids = Ids(0)
    created = [ids.request_id(EPOCH) for _ in range(3 * 4096)]
    assert created == sorted(set(created))


def test_on_a_still_clock_ids_advance_by_a_millisecond_every_4096() -> None:
    ids = Ids(0)
    created = [ids.request_id(EPOCH) for _ in range(3 * 4096)]
    assert milliseconds(created[-1]) - milliseconds(created[0]) == 2


def path(ids: Ids, number: int = 0) -> str:
    return ids.file_path(number, "a cat", "jpg")


@given(st.integers(0), st.text(), st.lists(moments(), max_size=5))
def test_the_same_seed_repeats_every_identifier(seed: int, tenant: str, times: list[float]) -> None:
    one, other = Ids(seed, tenant), Ids(seed, tenant)
    assert [one.request_id(now) for now in times] == [other.request_id(now) for now in times]
    assert [path(one, n) for n, _ in enumerate(times)] == [path(other, n) for n, _ in enumerate(times)]
    assert [one.seed_for(b"a cat") for _ in times] == [other.seed_for(b"a cat") for _ in times]


def test_another_seed_or_tenant_gives_other_identifiers() -> None:
    assert len({ids.request_id(EPOCH) for ids in (Ids(0), Ids(1), Ids(0, "alice"), Ids(0, "bob"))}) == 4


def test_a_tenant_may_have_half_a_surrogate_pair_in_its_name() -> None:
    assert UUID7.fullmatch(Ids(0, "\ud800").request_id(EPOCH))


@given(st.integers(0))
def test_a_file_has_a_folder_of_eight_hex_digits_and_a_nanoid(seed: int) -> None:
    assert re.fullmatch(r"/files/b/[0-9a-f]{8}/[A-Za-z0-9_-]{21}\.jpg", path(Ids(seed)))


def test_file_names_are_unique() -> None:
    ids = Ids(0)
    assert len({path(ids, number) for number in range(10_000)}) == 10_000


def test_upload_names_have_the_format_of_result_names_and_differ_from_them() -> None:
    ids = Ids(0)
    results = {path(ids, number)[len("/files/b/") : -len(".jpg")] for number in range(1000)}
    uploads = {"/".join(ids.upload_name()) for _ in range(1000)}
    assert len(results | uploads) == 2000
    assert all(re.fullmatch(r"0aa[0-9a-f]{5}/[A-Za-z0-9_-]{21}", name) for name in uploads)


def test_uploads_do_not_change_result_names() -> None:
    alone, busy = Ids(0), Ids(0)
    busy.upload_name()
    assert path(busy) == path(alone)


@given(st.binary(), st.integers(0))
def test_a_seed_is_an_unsigned_32_bit_number(recipe: bytes, seed: int) -> None:
    assert 0 <= Ids(seed).seed_for(recipe) < 2**32


def test_a_seed_depends_on_its_input_only() -> None:
    alone, busy = Ids(0), Ids(0)
    busy.seed_for(b"a dog")
    busy.request_id(EPOCH)
    busy.take_file_numbers(1)
    assert busy.seed_for(b"a cat") == alone.seed_for(b"a cat")


def test_a_repeated_input_gets_another_seed() -> None:
    ids = Ids(0)
    assert len({ids.seed_for(b"a cat") for _ in range(100)}) == 100


def test_an_input_counts_as_new_after_many_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_INPUTS_REMEMBERED", 2)
    ids = Ids(0)
    first = ids.seed_for(b"a cat")
    ids.seed_for(b"a dog")
    ids.seed_for(b"a fox")
    assert ids.seed_for(b"a cat") == first


def test_a_recent_input_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_INPUTS_REMEMBERED", 2)
    ids = Ids(0)
    seeds = [ids.seed_for(b"a cat"), ids.seed_for(b"a dog"), ids.seed_for(b"a cat")]
    ids.seed_for(b"a fox")
    assert ids.seed_for(b"a cat") not in seeds
