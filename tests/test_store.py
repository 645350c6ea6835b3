from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal import store as module
from mock_fal.clock import EPOCH
from mock_fal.errors import QueueFull
from mock_fal.journal.exchanges import Exchange
from mock_fal.requests.lifecycle import Schedule, Submission
from mock_fal.requests.queue import UNPLANNED, ModelRequest
from mock_fal.store import Store
from tests.requests.examples import model_request


def exchange(tenant: str, query: str = "") -> Exchange:
    return Exchange(
        EPOCH,
        tenant,
        "POST",
        "queue.fal.run",
        "/fal-ai/flux/dev",
        query,
        b"",
        b'{"prompt":"a cat"}',
        200,
        b"",
    )


@pytest.fixture
def store() -> Store:
    return Store(retention=3, seed=0, runners=1)


def added(
    store: Store, number: int, *, run_duration: float = 10, now: float = EPOCH, tenant: str = "alice"
) -> ModelRequest:
    request = model_request(Submission(number, now, 0, run_duration), tenant)
    store.add(request, now)
    return request


@given(st.permutations(range(1, 12)), st.lists(st.booleans(), min_size=11, max_size=11))
def test_finished_requests_are_removed_in_order_of_submission(numbers: list[int], pops: list[bool]) -> None:
    finished, expected = module._OldestFirst(), list[int]()
    for number, is_popped in zip(numbers, pops, strict=True):
        finished.push(model_request(Submission(number, EPOCH, 0, 0)))
        expected = sorted([*expected, number])
        assert finished.oldest.submission.number == expected[0]
        if is_popped:
            assert finished.pop().submission.number == expected.pop(0)
        assert len(finished) == len(expected)


# -- requests and files


def test_a_request_is_stored_with_its_files(store: Store) -> None:
    request = added(store, 1)
    assert store.requests == {request.id: request}
    assert {path: result.file for path, result in store.files.items()} == {
        request.files[0].path: request.files[0]
    }
    assert request.app_id == "fal-ai/flux"


def test_a_request_has_no_schedule_before_it_is_added() -> None:
    request = model_request(Submission(1, EPOCH, 0, 10))
    assert request.schedule is UNPLANNED
    assert UNPLANNED == Schedule(0.0, math.inf, math.inf, 0.0)


def test_a_store_full_of_requests_in_flight_rejects_new_ones(store: Store) -> None:
    stored = [added(store, number) for number in (1, 2, 3)]
    with pytest.raises(QueueFull):
        added(store, 4)
    assert list(store.requests.values()) == stored
    assert len(store.files) == 3
    assert store.queue("alice", "fal-ai/flux").waiting(EPOCH) == 2


def test_the_oldest_completed_request_is_removed_first(store: Store) -> None:
    long = added(store, 1, run_duration=100, tenant="bob")
    older, newer = added(store, 2), added(store, 3)
    now = newer.schedule.ends_at
    latest = added(store, 4, now=now)
    assert list(store.requests.values()) == [long, newer, latest]
    assert older.files[0].path not in store.files
    assert long.files[0].path in store.files


def test_a_request_that_ends_now_makes_room(store: Store) -> None:
    first, *_ = (added(store, number) for number in (1, 2, 3))
    with pytest.raises(QueueFull):
        added(store, 4, now=first.schedule.ends_at - 0.25)
    added(store, 5, now=first.schedule.ends_at)
    assert first.id not in store.requests


def test_submissions_are_numbered_in_order(store: Store) -> None:
    assert [store.next_number() for _ in range(3)] == [1, 2, 3]


def test_tenants_are_independent(store: Store) -> None:
    alices, bobs = added(store, 1), added(store, 2, tenant="bob")
    assert alices.schedule.starts_at == bobs.schedule.starts_at == EPOCH
    assert store.tenant("alice").ids.request_id(EPOCH) != store.tenant("bob").ids.request_id(EPOCH)
    assert store.tenant("alice").scenario is not store.tenant("bob").scenario


def test_a_tenant_and_its_queues_are_created_once(store: Store) -> None:
    assert store.tenant("alice") is store.tenant("alice")
    assert store.queue("alice", "fal-ai/flux") is store.queue("alice", "fal-ai/flux")
    assert store.queue("alice", "fal-ai/flux") is not store.queue("alice", "fal-ai/flux-1")


def test_clearing_one_tenant_keeps_the_others(store: Store) -> None:
    added(store, 1)
    bobs = added(store, 2, tenant="bob")
    store.exchanges.append(exchange("alice"))
    store.exchanges.append(exchange("bob"))
    alice = store.tenant("alice")
    store.clear("alice")
    assert list(store.requests.values()) == [bobs]
    assert [result.file for result in store.files.values()] == bobs.files
    assert [exchange.tenant for exchange in store.exchanges] == ["bob"]
    assert store.tenant("alice") is not alice


def test_clearing_an_unknown_tenant_does_nothing(store: Store) -> None:
    request = added(store, 1)
    store.clear("carol")
    assert list(store.requests.values()) == [request]


def test_clearing_all_tenants_empties_the_store(store: Store) -> None:
    added(store, 1)
    added(store, 2, tenant="bob")
    store.exchanges.append(exchange("alice"))
    store.clear()
    assert (store.requests, store.files, list(store.exchanges)) == ({}, {}, [])


def test_a_tenant_starts_anew_after_a_clear(store: Store) -> None:
    first = store.tenant("alice").ids.request_id(EPOCH)
    store.clear("alice")
    assert store.tenant("alice").ids.request_id(EPOCH) == first


# -- many tenants


def test_the_least_recently_used_tenant_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TENANTS", 2)
    alice, bob = store.tenant("alice"), store.tenant("bob")
    store.tenant("alice")
    store.tenant("carol")
    assert store.tenant("alice") is alice
    assert store.tenant("bob") is not bob


def test_a_tenant_with_a_stored_request_is_not_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TENANTS", 1)
    added(store, 1)
    added(store, 2, tenant="bob")
    alice, bob = store.tenant("alice"), store.tenant("bob")
    store.tenant("carol")
    assert (store.tenant("alice"), store.tenant("bob")) == (alice, bob)
