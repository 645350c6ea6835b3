from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal import store as module
from mock_fal.clock import EPOCH
from mock_fal.endpoint import EndpointId
from mock_fal.errors import QueueFull
from mock_fal.journal.exchanges import Exchange
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.lifecycle import Ending, Schedule, Submission, plan
from mock_fal.requests.outcome import Picture, RunnerResponse
from mock_fal.requests.queue import UNPLANNED, Line, ModelRequest
from mock_fal.store import Store
from tests.strategies import queues_of_tickets, spans

DEV = EndpointId.parse("fal-ai/flux/dev")


def request(submission: Submission, tenant: str = "alice", endpoint: EndpointId = DEV) -> ModelRequest:
    name = f"{tenant}-{submission.number}"
    picture = Picture(Recipe(str(endpoint), "a cat", 7, 512, 512), f"/files/b/0/{name}.jpg")
    return ModelRequest(
        name, endpoint, tenant, submission, RunnerResponse(200, {"images": [picture]}), 4, files=[picture]
    )


def joined(line: Line, submission: Submission, now: float = EPOCH) -> ModelRequest:
    its = request(submission)
    line.join(its, now)
    return its


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
    its = request(Submission(number, now, 0, run_duration), tenant)
    store.add(its, now)
    return its


# -- a line


@given(queues_of_tickets(soonest_s=0.25), st.integers(1, 3))
def test_joining_one_by_one_gives_the_plan_of_all_together(
    submissions: list[Submission], runners: int
) -> None:
    line = Line(runners)
    requests = [joined(line, submission) for submission in submissions]
    together, _ = plan(submissions, runners=runners, now=EPOCH)
    assert {its.submission.number: its.schedule for its in requests} == together


@given(queues_of_tickets())
def test_without_a_limit_everyone_starts_when_ready(submissions: list[Submission]) -> None:
    line = Line(0)
    requests = [joined(line, submission) for submission in submissions]
    assert all(
        its.schedule.starts_at == its.submission.ready_at or its.schedule.ending is Ending.TIMED_OUT
        for its in requests
    )


@given(queues_of_tickets(), st.integers(0, 3), spans(60))
def test_who_is_counted_as_waiting_waits(submissions: list[Submission], runners: int, passed: float) -> None:
    line = Line(runners)
    requests = [joined(line, submission) for submission in submissions]
    now = EPOCH + passed
    waiting = [its for its in requests if its.schedule.leaves_queue_at > now]
    assert line.waiting(now) == len(waiting)
    assert line.next_departure(now) == min(
        (its.schedule.leaves_queue_at for its in waiting), default=math.inf
    )


def test_a_low_request_counts_every_normal_one_in_front() -> None:
    line = Line(1)
    runs = joined(line, Submission(1, EPOCH, 0, 10))
    low = joined(line, Submission(2, EPOCH, 0, 10, low_priority=True))
    normal = joined(line, Submission(3, EPOCH, 0, 10))
    last = joined(line, Submission(4, EPOCH, 0, 10, low_priority=True))
    assert [line.ahead(its, EPOCH) for its in (runs, normal, low, last)] == [0, 0, 1, 2]


def test_a_cancellation_lets_the_next_start_sooner() -> None:
    line = Line(1)
    _, second, third = (joined(line, Submission(number, EPOCH, 0, 10)) for number in (1, 2, 3))
    assert third.schedule.starts_at == EPOCH + 20
    line.cancel(second, EPOCH + 5)
    assert second.schedule.ending is Ending.CANCELLED
    assert third.schedule.starts_at == EPOCH + 10


def test_a_runner_that_stops_lets_the_next_start_sooner() -> None:
    line = Line(1)
    first = joined(line, Submission(1, EPOCH, 0, 10, honours_cancel=True))
    second = joined(line, Submission(2, EPOCH, 0, 10))
    line.cancel(first, EPOCH + 5)
    assert first.schedule.ending is Ending.STOPPED
    assert second.schedule.starts_at == EPOCH + 5


@pytest.mark.parametrize("left", [1, 2])
def test_a_caller_who_leaves_lets_the_next_start_sooner(left: int) -> None:
    line = Line(1)
    requests = {number: joined(line, Submission(number, EPOCH, 0, 10)) for number in (1, 2, 3)}
    line.abandon(requests[left], EPOCH + 5)
    assert requests[left].schedule.ending is Ending.LEFT
    assert requests[3].schedule.starts_at == EPOCH + (15 if left == 1 else 10)


def test_only_those_count_as_running_that_have_started_and_not_ended() -> None:
    line = Line(2)
    for number in (1, 2, 3):
        joined(line, Submission(number, EPOCH, 0, 10 * number))
    seen = [line.running(EPOCH + at) for at in (0, 10, 20, 39, 40)]
    assert seen == [2, 2, 1, 1, 0]


@pytest.mark.parametrize("runners", [0, 1])
def test_who_was_cancelled_waits_no_longer(runners: int) -> None:
    line = Line(runners)
    first = joined(line, Submission(1, EPOCH, 5, 10))
    second = joined(line, Submission(2, EPOCH, 5, 10))
    line.cancel(first, EPOCH + 1)
    assert (line.waiting(EPOCH + 1), line.ahead(second, EPOCH + 1)) == (1, 0)
    assert line.waiting(EPOCH + 100) == 0


def test_a_request_that_is_ready_sooner_overtakes() -> None:
    line = Line(1)
    slow = joined(line, Submission(1, EPOCH, 10, 5))
    fast = joined(line, Submission(2, EPOCH, 0, 20))
    assert (fast.schedule.starts_at, slow.schedule.starts_at) == (EPOCH, EPOCH + 20)


def test_a_line_forgets_those_that_have_ended() -> None:
    line = Line(1)
    moments = [EPOCH + 10 * number for number in range(200)]
    ended = [joined(line, Submission(number, now, 0, 10), now) for number, now in enumerate(moments)]
    assert [its.schedule.starts_at for its in ended] == moments
    assert len(line._open) < 30


# -- what is remembered


def test_an_entry_is_remembered_with_its_files(store: Store) -> None:
    its = added(store, 1)
    assert store.requests == {its.id: its}
    assert {path: result.picture for path, result in store.files.items()} == {its.files[0].path: its.files[0]}
    assert its.app_id == "fal-ai/flux"


def test_an_entry_has_no_plan_before_it_is_added() -> None:
    its = request(Submission(1, EPOCH, 0, 10))
    assert its.schedule is UNPLANNED
    assert UNPLANNED == Schedule(0.0, math.inf, math.inf, 0.0)


def test_a_full_store_of_requests_in_flight_refuses_and_loses_nothing(store: Store) -> None:
    held = [added(store, number) for number in (1, 2, 3)]
    with pytest.raises(QueueFull):
        added(store, 4)
    assert list(store.requests.values()) == held
    assert len(store.files) == 3
    assert store.line("alice", "fal-ai/flux").waiting(EPOCH) == 2


def test_the_oldest_finished_request_goes_first(store: Store) -> None:
    long = added(store, 1, run_duration=100, tenant="bob")
    older, newer = added(store, 2), added(store, 3)
    now = newer.schedule.ends_at
    latest = added(store, 4, now=now)
    assert list(store.requests.values()) == [long, newer, latest]
    assert older.files[0].path not in store.files
    assert long.files[0].path in store.files


def test_a_request_that_ends_this_very_moment_makes_room(store: Store) -> None:
    first, *_ = (added(store, number) for number in (1, 2, 3))
    with pytest.raises(QueueFull):
        added(store, 4, now=first.schedule.ends_at - 0.25)
    added(store, 5, now=first.schedule.ends_at)
    assert first.id not in store.requests


def test_tickets_are_numbered_in_their_order(store: Store) -> None:
    assert [store.next_number() for _ in range(3)] == [1, 2, 3]


def test_tenants_never_meet(store: Store) -> None:
    mine, theirs = added(store, 1), added(store, 2, tenant="bob")
    assert mine.schedule.starts_at == theirs.schedule.starts_at == EPOCH
    assert store.tenant("alice").ids.request_id(EPOCH) != store.tenant("bob").ids.request_id(EPOCH)
    assert store.tenant("alice").scenario is not store.tenant("bob").scenario


def test_a_tenant_is_the_same_at_every_call(store: Store) -> None:
    assert store.tenant("alice") is store.tenant("alice")
    assert store.line("alice", "fal-ai/flux") is store.line("alice", "fal-ai/flux")
    assert store.line("alice", "fal-ai/flux") is not store.line("alice", "fal-ai/flux-1")


def test_clearing_one_tenant_leaves_the_others(store: Store) -> None:
    added(store, 1)
    theirs = added(store, 2, tenant="bob")
    store.exchanges.append(exchange("alice"))
    store.exchanges.append(exchange("bob"))
    known = store.tenant("alice")
    store.clear("alice")
    assert list(store.requests.values()) == [theirs]
    assert [result.picture for result in store.files.values()] == theirs.files
    assert [seen.tenant for seen in store.exchanges] == ["bob"]
    assert store.tenant("alice") is not known


def test_clearing_a_tenant_that_nobody_knows_does_nothing(store: Store) -> None:
    its = added(store, 1)
    store.clear("carol")
    assert list(store.requests.values()) == [its]


def test_clearing_all_leaves_nothing(store: Store) -> None:
    added(store, 1)
    added(store, 2, tenant="bob")
    store.exchanges.append(exchange("alice"))
    store.clear()
    assert (store.requests, store.files, list(store.exchanges)) == ({}, {}, [])


def test_a_tenant_begins_anew_after_it_was_cleared(store: Store) -> None:
    first = store.tenant("alice").ids.request_id(EPOCH)
    store.clear("alice")
    assert store.tenant("alice").ids.request_id(EPOCH) == first


# -- many tenants


def test_the_tenant_not_used_for_longest_is_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TENANTS", 2)
    alice, bob = store.tenant("alice"), store.tenant("bob")
    store.tenant("alice")
    store.tenant("carol")
    assert store.tenant("alice") is alice
    assert store.tenant("bob") is not bob


def test_a_tenant_with_a_request_is_not_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TENANTS", 1)
    added(store, 1)
    added(store, 2, tenant="bob")
    alice, bob = store.tenant("alice"), store.tenant("bob")
    store.tenant("carol")
    assert (store.tenant("alice"), store.tenant("bob")) == (alice, bob)
