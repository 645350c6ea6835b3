"""Webhooks as a test asks for them: twice, late, never, wrongly signed. Through a server and a receiver of ours."""

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
    """Ask for a picture, and for a webhook as the directive wants it."""
    url = f"{fal.url}/queue.fal.run/fal-ai/flux/dev?fal_webhook={receiver.url}"
    body = json.dumps({"prompt": f"a cat [mock: {directive}]"}).encode()
    with urlopen(Request(url, body, {"Authorization": "Key ana:secret"})) as response:
        return str(json.load(response)["request_id"])


def came(fal: MockFal, receiver: WebhookReceiver, seconds: float) -> list[str]:
    """The requests whose webhooks have come when so much time has passed."""
    assert isinstance(fal.clock, ManualClock)
    fal.clock.advance(seconds)
    fal.wait_for_deliveries()
    return [each.json["request_id"] for each in receiver.received]


def test_a_webhook_comes_twice(fal: MockFal, receiver: WebhookReceiver) -> None:
    request_id = submit(fal, receiver, "webhook=duplicate")
    assert came(fal, receiver, 10) == [request_id, request_id]
    assert [each.verified for each in receiver.received] == [True, True]
    assert [each.state for each in fal.deliveries] == [DeliveryState.DELIVERED]
    assert len(came(fal, receiver, 3600)) == 2


def test_one_that_comes_twice_is_still_tried_again_before(fal: MockFal, receiver: WebhookReceiver) -> None:
    receiver.respond_with(500)
    submit(fal, receiver, "webhook=duplicate")
    assert len(came(fal, receiver, 1.5)) == 1
    assert len(came(fal, receiver, 10)) == 3


def test_a_webhook_comes_behind_a_later_one(fal: MockFal, receiver: WebhookReceiver) -> None:
    first = submit(fal, receiver, "webhook=out_of_order")
    assert came(fal, receiver, 5) == []
    second = submit(fal, receiver)
    assert came(fal, receiver, 5) == [second, first]


def test_without_a_later_one_it_comes_after_a_minute(fal: MockFal, receiver: WebhookReceiver) -> None:
    request_id = submit(fal, receiver, "webhook=out_of_order")
    assert came(fal, receiver, 59) == []
    assert came(fal, receiver, 3) == [request_id]


def test_a_webhook_never_comes(fal: MockFal, receiver: WebhookReceiver) -> None:
    submit(fal, receiver, "webhook=drop")
    assert came(fal, receiver, 7200) == []
    (delivery,) = fal.deliveries
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, [])


def test_a_signature_is_wrong(fal: MockFal, receiver: WebhookReceiver) -> None:
    submit(fal, receiver, "webhook=bad_signature")
    came(fal, receiver, 10)
    (received,) = receiver.received
    assert received.problem.startswith("the signature fits none of the 2 keys")


def test_what_was_held_back_is_forgotten_with_the_rest(fal: MockFal, receiver: WebhookReceiver) -> None:
    submit(fal, receiver, "webhook=out_of_order")
    fal.reset()
    submit(fal, receiver)
    assert len(came(fal, receiver, 100)) == 1
