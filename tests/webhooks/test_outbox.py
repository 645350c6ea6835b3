from __future__ import annotations

import math

import pytest

from mock_fal.endpoint import EndpointId
from mock_fal.errors import QueueFull
from mock_fal.requests.lifecycle import Ending, Schedule, Submission
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.webhooks.outbox import MAX_KEPT_BODY_BYTES, Attempt, Delivery, DeliveryState, Outbox
from mock_fal.webhooks.payload import Webhook
from mock_fal.webhooks.retry_policy import POLICIES

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


def add(outbox: Outbox, *requests: ModelRequest) -> list[Delivery]:
    for item in requests:
        outbox.add(item, HOOK)
    return outbox.deliveries


def attempt(outbox: Outbox, now: float, status: int | None, **details: object) -> Delivery:
    """The one delivery that is due, after an attempt with that response."""
    [delivery] = outbox.due(now)
    outbox.record(delivery, Attempt(now, 0.1, status, **details))  # type: ignore[arg-type]
    return delivery


def test_a_webhook_is_due_when_its_request_ends(outbox: Outbox) -> None:
    [delivery] = add(outbox, request("a", 10))
    assert (outbox.next_at(), outbox.due(9.9)) == (10, [])
    assert outbox.due(10) == [delivery]


def test_attempts_and_resends_are_noted_for_those_who_watch(outbox: Outbox) -> None:
    add(outbox, request("a", 10), request("b", 20))
    delivery = attempt(outbox, 10, 200)
    assert (outbox.changes, list(outbox.changed)) == (1, ["a"])
    outbox.resend(delivery, 11)
    assert (outbox.changes, list(outbox.changed)) == (2, ["a", "a"])


def test_a_taken_delivery_is_not_returned_again(outbox: Outbox) -> None:
    add(outbox, request("a", 10))
    assert len(outbox.due(10)) == 1
    assert (outbox.due(99), outbox.next_at()) == ([], math.inf)


def test_deliveries_are_returned_by_due_time(outbox: Outbox) -> None:
    late, early = add(outbox, request("a", 10), request("b", 5))
    assert outbox.due(10) == [early, late]


def test_a_delivered_webhook_is_finished(outbox: Outbox) -> None:
    add(outbox, request("a", 10))
    delivery = attempt(outbox, 10, 204)
    assert (delivery.state, outbox.next_at()) == (DeliveryState.DELIVERED, math.inf)


def test_a_failed_attempt_is_retried(outbox: Outbox) -> None:
    add(outbox, request("a", 10))
    delivery = attempt(outbox, 10, 500)
    assert (delivery.state, outbox.next_at()) == (DeliveryState.WAITING, 12)
    attempt(outbox, 12, None, error="no answer")
    assert outbox.next_at() == 32
    attempt(outbox, 32, 200)
    assert delivery.state is DeliveryState.DELIVERED
    assert [item.status for item in delivery.attempts] == [500, None, 200]


def test_a_redirect_is_final(outbox: Outbox) -> None:
    add(outbox, request("a", 10))
    assert attempt(outbox, 10, 302).state is DeliveryState.FAILED
    assert outbox.next_at() == math.inf


def test_a_refused_target_is_final(outbox: Outbox) -> None:
    add(outbox, request("a", 10))
    assert attempt(outbox, 10, None, error="refused", final=True).state is DeliveryState.FAILED
    assert outbox.next_at() == math.inf


def test_the_number_of_attempts_is_limited() -> None:
    outbox = Outbox(policy=POLICIES["none"], retention=3)
    add(outbox, request("a", 10))
    assert attempt(outbox, 10, 500).state is DeliveryState.FAILED


def test_a_request_that_ends_later_than_planned_is_waited_for(outbox: Outbox) -> None:
    [delivery] = add(outbox, request("a", 10))
    delivery.request.planned = Schedule(0, 0, 20, 20)
    assert (outbox.due(10), outbox.next_at()) == ([], 20)


def test_a_request_that_ends_sooner_than_planned_is_noticed(outbox: Outbox) -> None:
    [delivery] = add(outbox, request("a", 10))
    delivery.request.planned = Schedule(0, 0, 5, 5)
    outbox.refresh()
    assert (outbox.next_at(), outbox.due(5)) == (5, [delivery])


@pytest.mark.parametrize("ending", [Ending.CANCELLED, Ending.STOPPED])
def test_a_cancelled_request_has_no_delivery(outbox: Outbox, ending: Ending) -> None:
    [delivery] = add(outbox, request("a", 10))
    delivery.request.planned = Schedule(0, math.inf, 5, 5, ending)
    outbox.refresh()
    assert (outbox.deliveries, outbox.next_at()) == ([], math.inf)


def test_the_callback_is_called_when_a_delivery_may_be_due_sooner(outbox: Outbox) -> None:
    calls: list[float] = []
    outbox.notify = lambda: calls.append(outbox.next_at())
    outbox.refresh()
    add(outbox, request("a", 10))
    attempt(outbox, 10, 500)
    outbox.refresh()
    assert calls == [10, 12, 12]


def test_only_finished_deliveries_are_removed_to_make_room(outbox: Outbox) -> None:
    first, second, third = add(outbox, request("a", 10), request("b", 20), request("c", 30))
    with pytest.raises(QueueFull):
        outbox.make_room()
    attempt(outbox, 10, 200)
    outbox.make_room()
    outbox.make_room()
    assert outbox.deliveries == [second, third]


def test_a_requeued_delivery_is_due_again(outbox: Outbox) -> None:
    add(outbox, request("a", 10))
    [delivery] = outbox.due(10)
    outbox.requeue(delivery)
    assert outbox.due(10) == [delivery]


def test_one_account_is_cleared_without_the_others(outbox: Outbox) -> None:
    hers, his = add(outbox, request("a", 10, "alice"), request("b", 20, "bob"))
    outbox.clear("alice")
    assert (outbox.deliveries, outbox.due(20)) == ([his], [his])


def test_a_delivery_cleared_during_its_attempt_is_not_retried(outbox: Outbox) -> None:
    add(outbox, request("a", 10))
    [delivery] = outbox.due(10)
    outbox.clear()
    outbox.record(delivery, Attempt(10, 0.1, 500))
    assert (outbox.deliveries, outbox.next_at()) == ([], math.inf)


def test_a_large_body_is_dropped_after_delivery(outbox: Outbox) -> None:
    small, large = add(outbox, request("a", 10), request("b", 20))
    small.body, large.body = b'"cat"', b" " * MAX_KEPT_BODY_BYTES + b"1"
    attempt(outbox, 10, 200)
    attempt(outbox, 20, 500)
    assert large.json == 1
    attempt(outbox, 22, 200)
    assert (small.json, large.json) == ("cat", None)


def test_a_delivery_names_its_request(outbox: Outbox) -> None:
    [delivery] = add(outbox, request("a", 10))
    assert (delivery.request_id, delivery.tenant, delivery.url) == ("a", "alice", HOOK.url)
    assert delivery.json is None


def test_the_repr_of_a_delivery_fits_a_line(outbox: Outbox) -> None:
    [delivery] = add(outbox, request("a", 10))
    assert repr(delivery) == "<Delivery a to http://127.0.0.1/hook: waiting, 0 attempts>"
    attempt(outbox, 10, 204)
    assert repr(delivery) == "<Delivery a to http://127.0.0.1/hook: delivered, 1 attempt>"
    outbox.add(request("b", 10), Webhook("https://example.com/" + "x" * 500, HOOK.media))
    assert len(repr(outbox.deliveries[-1])) < 110
