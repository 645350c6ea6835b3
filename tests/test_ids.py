from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal import ids
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
def test_a_request_id_tells_its_moment(now: float) -> None:
    assert milliseconds(Ids(0).request_id(now)) == int(now * 1000)


@given(st.lists(moments(), max_size=50))
def test_request_ids_sort_as_they_were_made(times: list[float]) -> None:
    its = Ids(0)
    made = [its.request_id(now) for now in sorted(times)]
    assert made == sorted(set(made))


def test_request_ids_sort_also_where_their_counter_begins_anew() -> None:
    its = Ids(0)
    made = [its.request_id(EPOCH) for _ in range(3 * 4096)]
    assert made == sorted(set(made))


def test_a_clock_that_stands_still_shifts_ids_by_a_millisecond_in_four_thousand() -> None:
    its = Ids(0)
    made = [its.request_id(EPOCH) for _ in range(3 * 4096)]
    assert milliseconds(made[-1]) - milliseconds(made[0]) == 2


@given(st.integers(0), st.text(), st.lists(moments(), max_size=5))
def test_the_same_seed_repeats_every_identifier(seed: int, tenant: str, times: list[float]) -> None:
    one, other = Ids(seed, tenant), Ids(seed, tenant)
    assert [one.request_id(now) for now in times] == [other.request_id(now) for now in times]
    assert [one.file_name() for _ in times] == [other.file_name() for _ in times]
    assert [one.seed_for(b"a cat") for _ in times] == [other.seed_for(b"a cat") for _ in times]


def test_another_seed_or_tenant_gives_other_identifiers() -> None:
    assert len({of.request_id(EPOCH) for of in (Ids(0), Ids(1), Ids(0, "alice"), Ids(0, "bob"))}) == 4


def test_a_tenant_may_have_half_a_surrogate_pair_in_its_name() -> None:
    assert UUID7.fullmatch(Ids(0, "\ud800").request_id(EPOCH))


@given(st.integers(0))
def test_a_file_lies_in_a_folder_of_eight_hex_digits_under_a_nanoid(seed: int) -> None:
    folder, name = Ids(seed).file_name()
    assert re.fullmatch(r"[0-9a-f]{8}", folder)
    assert re.fullmatch(r"[A-Za-z0-9_-]{21}", name)


def test_file_names_are_unique() -> None:
    its = Ids(0)
    assert len({its.file_name() for _ in range(10_000)}) == 10_000


def test_an_upload_is_named_like_a_result_and_never_the_same() -> None:
    its = Ids(0)
    results = {its.file_name() for _ in range(1000)}
    uploads = {its.upload_name() for _ in range(1000)}
    assert len(results | uploads) == 2000
    assert all(re.fullmatch(r"0aa[0-9a-f]{5}/[A-Za-z0-9_-]{21}", "/".join(name)) for name in uploads)


def test_uploads_do_not_change_the_names_of_results() -> None:
    alone, busy = Ids(0), Ids(0)
    busy.upload_name()
    assert busy.file_name() == alone.file_name()


@given(st.binary(), st.integers(0))
def test_a_seed_is_an_unsigned_32_bit_number(recipe: bytes, seed: int) -> None:
    assert 0 <= Ids(seed).seed_for(recipe) < 2**32


def test_the_seed_follows_from_the_input_whatever_came_between() -> None:
    alone, busy = Ids(0), Ids(0)
    busy.seed_for(b"a dog")
    busy.request_id(EPOCH)
    busy.file_name()
    assert busy.seed_for(b"a cat") == alone.seed_for(b"a cat")


def test_the_same_input_again_gives_another_seed() -> None:
    its = Ids(0)
    assert len({its.seed_for(b"a cat") for _ in range(100)}) == 100


def test_an_input_not_seen_for_long_counts_as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "MAX_INPUTS_REMEMBERED", 2)
    its = Ids(0)
    first = its.seed_for(b"a cat")
    its.seed_for(b"a dog")
    its.seed_for(b"a fox")
    assert its.seed_for(b"a cat") == first


def test_an_input_seen_lately_is_still_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "MAX_INPUTS_REMEMBERED", 2)
    its = Ids(0)
    seeds = [its.seed_for(b"a cat"), its.seed_for(b"a dog"), its.seed_for(b"a cat")]
    its.seed_for(b"a fox")
    assert its.seed_for(b"a cat") not in seeds
