"""`mock-fal webhook`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from mock_fal import MockFal
from mock_fal.cli import main
from mock_fal.webhooks.receiver import WebhookReceiver


@pytest.fixture(scope="module")
def fal() -> Iterator[MockFal]:
    with MockFal(queue_duration=0, run_duration=0) as fal:
        yield fal


@pytest.fixture
def receiver(fal: MockFal) -> Iterator[WebhookReceiver]:
    with WebhookReceiver(f"{fal.url}/rest.fal.ai/.well-known/jwks.json") as receiver:
        yield receiver


def sent(fal: MockFal, receiver: WebhookReceiver, *flags: str) -> int:
    return main(["webhook", "--to", receiver.url, "--endpoint", "me/app", "--url", fal.url, *flags])


def test_an_output_is_sent_and_signed(
    fal: MockFal, receiver: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sent(fal, receiver, "--output", '{"text":"hello"}') == 0
    [webhook] = receiver.wait_for(1)
    assert webhook.verified
    assert (webhook.json["status"], webhook.json["payload"]) == ("OK", {"text": "hello"})
    assert capsys.readouterr().out == f"{webhook.json['request_id']}: {receiver.url}: HTTP 200\n"


def test_an_error_is_sent(fal: MockFal, receiver: WebhookReceiver) -> None:
    assert sent(fal, receiver, "--error", "content_policy_violation") == 0
    webhook = receiver.wait_for(1)[0].json
    assert webhook["error"] == "Invalid status code: 422"
    assert webhook["payload"]["detail"][0]["type"] == "content_policy_violation"


def test_without_both_the_payload_is_an_output_of_the_model(fal: MockFal, receiver: WebhookReceiver) -> None:
    assert sent(fal, receiver, "--endpoint", "fal-ai/flux/schnell") == 0
    assert receiver.wait_for(1)[0].json["payload"]["images"][0]["url"].startswith(fal.url)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output", "{"], "--output: expected JSON"),
        (["--error", "oops"], "422: .*'oops' is not an error type of fal"),
        (["--endpoint", "flux"], "422: .*'flux' is not an endpoint id"),
        (["--endpoint", "me/unknown"], "404: .*not found"),
    ],
)
def test_a_mistake_is_told(
    fal: MockFal,
    receiver: WebhookReceiver,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    assert sent(fal, receiver, *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("mock-fal: ")
    assert re.search(message, error)
    assert not receiver.received


def test_a_server_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["webhook", "--to", "http://127.0.0.1:9/", "--endpoint", "a/b", "--url", "http://127.0.0.1:9"]
    assert main(flags) == 2
    assert "no mock-fal at http://127.0.0.1:9" in capsys.readouterr().err


def test_a_webhook_is_sent_again(fal: MockFal, receiver: WebhookReceiver) -> None:
    delivery = fal.send_webhook(receiver.url, "me/app", {"n": 1})
    fal.wait_for_deliveries()
    fal.resend_webhook(delivery)
    fal.wait_for_deliveries()
    fal.resend_webhook(delivery, {"own": True})
    fal.wait_for_deliveries()
    first, second, third = receiver.wait_for(3)
    assert (first.body, json.loads(third.body)) == (second.body, {"own": True})
    assert first.verified and second.verified and third.verified
