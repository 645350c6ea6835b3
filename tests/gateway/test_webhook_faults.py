"""Webhook faults: duplicate, out of order, dropped, bad signature. With a server and a webhook receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

from mock_fal import DeliveryState, ManualClock, MockFal, WebhookReceiver


@pytest.fixture
def fal() -> Iterator[MockFal]:
    with MockFal(clock="manual", webhook_retries="real") as fal:
        yield fal


@pytest.fixture
def receiver(fal: MockFal) -> Iterator[WebhookReceiver]:
    with WebhookReceiver(f"{fal.url}/rest.fal.ai/.well-known/jwks.json") as receiver:
        yield receiver


def submit(fal: MockFal, receiver: WebhookReceiver, directive: str = "") -> str:
    """Submit a request with a webhook and an optional directive."""
    url = f"{fal.url}/queue.fal.run/fal-ai/flux/dev?fal_webhook={receiver.url}"
    body = json.dumps({"prompt": f"a cat [mock: {directive}]"}).encode()
    with urlopen(Request(url, body, {"Authorization": "Key ana:secret"})) as response:
        return str(json.load(response)["request_id"])


def delivered(fal: MockFal, receiver: WebhookReceiver, seconds: float) -> list[str]:
    """Advance the clock and return the ids of the received webhooks."""
    assert isinstance(fal.clock, ManualClock)
    fal.clock.advance(seconds)
    fal.wait_for_deliveries()
    return [webhook.json["request_id"] for webhook in receiver.received]


def test_a_webhook_is_delivered_twice(fal: MockFal, receiver: WebhookReceiver) -> None:
    request_id = submit(fal, receiver, "webhook=duplicate")
    assert delivered(fal, receiver, 10) == [request_id, request_id]
    assert [webhook.verified for webhook in receiver.received] == [True, True]
    assert [delivery.state for delivery in fal.deliveries] == [DeliveryState.DELIVERED]
    assert len(delivered(fal, receiver, 3600)) == 2


def test_a_duplicate_webhook_is_retried_until_it_is_delivered(
    fal: MockFal, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(500)
    submit(fal, receiver, "webhook=duplicate")
    assert len(delivered(fal, receiver, 1.5)) == 1
    assert len(delivered(fal, receiver, 10)) == 3


def test_a_webhook_is_delivered_after_a_later_one(fal: MockFal, receiver: WebhookReceiver) -> None:
    first = submit(fal, receiver, "webhook=out_of_order")
    assert delivered(fal, receiver, 5) == []
    second = submit(fal, receiver)
    assert delivered(fal, receiver, 5) == [second, first]


def test_without_a_later_webhook_it_is_delivered_after_a_minute(
    fal: MockFal, receiver: WebhookReceiver
) -> None:
    request_id = submit(fal, receiver, "webhook=out_of_order")
    assert delivered(fal, receiver, 59) == []
    assert delivered(fal, receiver, 3) == [request_id]


def test_a_webhook_is_never_delivered(fal: MockFal, receiver: WebhookReceiver) -> None:
    submit(fal, receiver, "webhook=drop")
    assert delivered(fal, receiver, 7200) == []
    (delivery,) = fal.deliveries
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, [])


def test_a_signature_is_invalid(fal: MockFal, receiver: WebhookReceiver) -> None:
    submit(fal, receiver, "webhook=bad_signature")
    delivered(fal, receiver, 10)
    (received,) = receiver.received
    assert received.problem.startswith("the signature fits none of the 2 keys")


def test_a_reset_deletes_held_webhooks(fal: MockFal, receiver: WebhookReceiver) -> None:
    submit(fal, receiver, "webhook=out_of_order")
    fal.reset()
    submit(fal, receiver)
    assert len(delivered(fal, receiver, 100)) == 1
