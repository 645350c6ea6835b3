from __future__ import annotations

import math

import pytest

from mock_fal.endpoint import EndpointId
from mock_fal.errors import QueueFull
from mock_fal.requests.lifecycle import Ending, Schedule, Submission
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.webhooks.outbox import KEPT_BYTES, Attempt, Delivery, DeliveryState, Outbox
from mock_fal.webhooks.retry_policy import POLICIES
from mock_fal.webhooks.webhook import Webhook

HOOK = Webhook("http://127.0.0.1/hook", "https://v3b.fal.media")


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(policy=POLICIES["real"], retention=3)


def request(name: str, ends_at: float, tenant: str = "alice") -> ModelRequest:
    schedule = Schedule(0.0, 0.0, ends_at, ends_at)
    endpoint = EndpointId.parse("fal-ai/flux/dev")
    return ModelRequest(
        name, endpoint, tenant, Submission(1, 0.0, 0.0, ends_at), RunnerResponse(200, {}), 0, schedule
    )


def owe(outbox: Outbox, *requests: ModelRequest) -> list[Delivery]:
    for each in requests:
        outbox.add(each, HOOK)
    return outbox.deliveries


def answered(outbox: Outbox, now: float, status: int | None, **more: object) -> Delivery:
    """The one delivery that is due, tried with that answer."""
    [delivery] = outbox.due(now)
    outbox.record(delivery, Attempt(now, 0.1, status, **more))  # type: ignore[arg-type]
    return delivery


def test_a_webhook_is_due_when_its_request_ends(outbox: Outbox) -> None:
    [delivery] = owe(outbox, request("a", 10))
    assert (outbox.next_at(), outbox.due(9.9)) == (10, [])
    assert outbox.due(10) == [delivery]


def test_what_was_handed_out_is_not_handed_out_again(outbox: Outbox) -> None:
    owe(outbox, request("a", 10))
    assert len(outbox.due(10)) == 1
    assert (outbox.due(99), outbox.next_at()) == ([], math.inf)


def test_the_soonest_comes_first(outbox: Outbox) -> None:
    late, soon = owe(outbox, request("a", 10), request("b", 5))
    assert outbox.due(10) == [soon, late]


def test_what_was_taken_is_over(outbox: Outbox) -> None:
    owe(outbox, request("a", 10))
    delivery = answered(outbox, 10, 204)
    assert (delivery.state, outbox.next_at()) == (DeliveryState.DELIVERED, math.inf)


def test_what_was_not_taken_is_due_again(outbox: Outbox) -> None:
    owe(outbox, request("a", 10))
    delivery = answered(outbox, 10, 500)
    assert (delivery.state, outbox.next_at()) == (DeliveryState.WAITING, 12)
    answered(outbox, 12, None, error="no answer")
    assert outbox.next_at() == 32
    answered(outbox, 32, 200)
    assert delivery.state is DeliveryState.DELIVERED
    assert [attempt.status for attempt in delivery.attempts] == [500, None, 200]


def test_a_redirect_is_the_end(outbox: Outbox) -> None:
    owe(outbox, request("a", 10))
    assert answered(outbox, 10, 302).state is DeliveryState.FAILED
    assert outbox.next_at() == math.inf


def test_a_refused_target_is_the_end(outbox: Outbox) -> None:
    owe(outbox, request("a", 10))
    assert answered(outbox, 10, None, error="refused", final=True).state is DeliveryState.FAILED
    assert outbox.next_at() == math.inf


def test_the_timetable_has_an_end() -> None:
    outbox = Outbox(policy=POLICIES["none"], retention=3)
    owe(outbox, request("a", 10))
    assert answered(outbox, 10, 500).state is DeliveryState.FAILED


def test_a_request_that_takes_longer_than_was_known_is_waited_for(outbox: Outbox) -> None:
    [delivery] = owe(outbox, request("a", 10))
    delivery.request.schedule = Schedule(0, 0, 20, 20)
    assert (outbox.due(10), outbox.next_at()) == ([], 20)


def test_a_request_that_is_done_sooner_than_was_known_is_noticed(outbox: Outbox) -> None:
    [delivery] = owe(outbox, request("a", 10))
    delivery.request.schedule = Schedule(0, 0, 5, 5)
    outbox.refresh()
    assert (outbox.next_at(), outbox.due(5)) == (5, [delivery])


@pytest.mark.parametrize("ending", [Ending.CANCELLED, Ending.STOPPED])
def test_a_cancelled_request_owes_nothing(outbox: Outbox, ending: Ending) -> None:
    [delivery] = owe(outbox, request("a", 10))
    delivery.request.schedule = Schedule(0, math.inf, 5, 5, ending)
    outbox.refresh()
    assert (outbox.deliveries, outbox.next_at()) == ([], math.inf)


def test_a_bell_rings_for_what_is_new(outbox: Outbox) -> None:
    rung: list[float] = []
    outbox.notify = lambda: rung.append(outbox.next_at())
    outbox.refresh()
    owe(outbox, request("a", 10))
    answered(outbox, 10, 500)
    outbox.refresh()
    assert rung == [10, 12, 12]


def test_old_deliveries_are_forgotten_but_none_that_is_owed(outbox: Outbox) -> None:
    first, second, third = owe(outbox, request("a", 10), request("b", 20), request("c", 30))
    with pytest.raises(QueueFull):
        outbox.make_room()
    answered(outbox, 10, 200)
    outbox.make_room()
    outbox.make_room()
    assert outbox.deliveries == [second, third]


def test_what_was_handed_back_is_due_again(outbox: Outbox) -> None:
    owe(outbox, request("a", 10))
    [delivery] = outbox.due(10)
    outbox.hand_back(delivery)
    assert outbox.due(10) == [delivery]


def test_one_account_is_forgotten_without_the_others(outbox: Outbox) -> None:
    hers, his = owe(outbox, request("a", 10, "alice"), request("b", 20, "bob"))
    outbox.clear("alice")
    assert (outbox.deliveries, outbox.due(20)) == ([his], [his])


def test_what_was_forgotten_under_way_is_not_tried_again(outbox: Outbox) -> None:
    owe(outbox, request("a", 10))
    [delivery] = outbox.due(10)
    outbox.clear()
    outbox.record(delivery, Attempt(10, 0.1, 500))
    assert (outbox.deliveries, outbox.next_at()) == ([], math.inf)


def test_a_large_body_is_let_go_when_it_has_been_taken(outbox: Outbox) -> None:
    small, large = owe(outbox, request("a", 10), request("b", 20))
    small.body, large.body = b'"cat"', b" " * KEPT_BYTES + b"1"
    answered(outbox, 10, 200)
    answered(outbox, 20, 500)
    assert large.json == 1
    answered(outbox, 22, 200)
    assert (small.json, large.json) == ("cat", None)


def test_a_delivery_names_its_request(outbox: Outbox) -> None:
    [delivery] = owe(outbox, request("a", 10))
    assert (delivery.request_id, delivery.tenant, delivery.url) == ("a", "alice", HOOK.url)
    assert delivery.json is None
