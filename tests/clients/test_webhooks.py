"""Webhooks requested by unmodified clients; other libraries verify the signatures."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode
from collections import defaultdict
from contextlib import closing
from typing import Any

import fal_client
import httpx
import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from mock_fal import Account, DeliveryState, ManualClock, MockFal, WebhookReceiver
from mock_fal.webhooks.payload import NOT_SERIALIZABLE
from mock_fal.webhooks.receiver import Received
from tests.clients.programs import Node

SCHNELL = "fal-ai/flux/schnell"
CAT = {"prompt": "a cät", "seed": 7}


def genuine(received: Received, jwks: Any) -> bool:
    """Verify a webhook with PyNaCl, as fal documents it."""
    values = {
        name: received.headers[f"x-fal-webhook-{name}"] for name in ("request-id", "user-id", "timestamp")
    }
    text = "\n".join([*values.values(), hashlib.sha256(received.body).hexdigest()]).encode()
    signature = bytes.fromhex(received.headers["x-fal-webhook-signature"])
    for key in jwks["keys"]:
        try:
            VerifyKey(urlsafe_b64decode(key["x"])).verify(text, signature)
        except BadSignatureError:
            continue
        return True
    return False


def test_a_webhook_of_the_python_client(mock_fal: Account, mock_fal_webhooks: WebhookReceiver) -> None:
    handle = fal_client.submit(SCHNELL, CAT, webhook_url=mock_fal_webhooks.url + "hook?a=1&b=2")
    [received] = mock_fal_webhooks.wait_for(1)
    assert received.verified
    assert received.path == "/hook?a=1&b=2"
    assert received.json["request_id"] == handle.request_id
    assert received.json["payload"] == handle.get()


@pytest.mark.parametrize("host", ["rest.fal.ai", "rest.alpha.fal.ai"])
def test_another_library_verifies_it_with_the_served_keys(
    mock_fal: Account, mock_fal_webhooks: WebhookReceiver, host: str
) -> None:
    fal_client.submit(SCHNELL, CAT, webhook_url=mock_fal_webhooks.url)
    [received] = mock_fal_webhooks.wait_for(1)
    response = httpx.get(f"https://{host}/.well-known/jwks.json")
    assert response.headers["content-type"] == "application/json"
    assert genuine(received, response.json())
    assert not genuine(received, MockFal(seed=1)._emulator.signer.jwks)


def test_webhooks_need_no_polls_and_failures_are_retried(
    mock_fal: Account, mock_fal_webhooks: WebhookReceiver
) -> None:
    mock_fal_webhooks.respond_with(500, 404)
    fal_client.submit(SCHNELL, CAT, webhook_url=mock_fal_webhooks.url)
    first, second, third = mock_fal_webhooks.wait_for(3)
    assert first.body == second.body == third.body
    assert ("user-agent" in first.headers, third.headers["user-agent"]) == (False, "python-httpx/0.27.0")
    [delivery] = mock_fal.wait_for_deliveries()
    assert [attempt.status for attempt in delivery.attempts] == [500, 404, 200]
    assert (delivery.state, delivery.json) == (DeliveryState.DELIVERED, third.json)


def test_the_webhook_of_an_invalid_input_has_an_error(
    mock_fal: Account, mock_fal_webhooks: WebhookReceiver
) -> None:
    fal_client.submit(SCHNELL, {"seed": 7}, webhook_url=mock_fal_webhooks.url)
    webhook = mock_fal_webhooks.wait_for(1)[0].json
    assert (webhook["status"], webhook["error"]) == ("ERROR", "Invalid status code: 422")
    assert webhook["payload"]["detail"][0]["loc"] == ["body", "prompt"]


def test_the_urls_in_a_webhook_follow_the_submission(
    mock_fal: Account, mock_fal_webhooks: WebhookReceiver
) -> None:
    direct = httpx.Client(base_url=mock_fal.url, trust_env=False, headers={"authorization": "Key a:b"})
    with direct:
        params = {"fal_webhook": mock_fal_webhooks.url}
        direct.post(f"/queue.fal.run/{SCHNELL}", params=params, json=CAT).raise_for_status()
        fal_client.submit(SCHNELL, CAT, webhook_url=mock_fal_webhooks.url)
        first, second = (
            webhook.json["payload"]["images"][0]["url"] for webhook in mock_fal_webhooks.wait_for(2)
        )
        assert first.startswith(f"{mock_fal.url}/v3b.fal.media/files/b/")
        assert direct.get(first).headers["content-type"] == "image/jpeg"
    assert second.startswith("https://v3b.fal.media/files/b/")
    assert httpx.get(second).headers["content-type"] == "image/jpeg"


def test_the_control_api_has_the_delivery(mock_fal: Account, mock_fal_webhooks: WebhookReceiver) -> None:
    mock_fal_webhooks.respond_with(503)
    fal_client.submit(SCHNELL, CAT, webhook_url=mock_fal_webhooks.url)
    fal_client.submit(SCHNELL, CAT, webhook_url="http://8.8.8.8/hook")
    mock_fal.wait_for_deliveries()
    account = mock_fal.key.partition(":")[0]
    document = httpx.get(f"{mock_fal.url}/_mock/deliveries", params={"key": account}, trust_env=False).json()
    good, bad = document["deliveries"]
    assert (good["state"], good["next_at"]) == ("delivered", None)
    assert [attempt["status"] for attempt in good["attempts"]] == [503, 200]
    assert good["body"] == mock_fal_webhooks.received[-1].json
    assert (bad["state"], bad["body"]) == ("failed", None)
    assert "start with --allow-egress" in bad["attempts"][0]["error"]


def test_a_waiting_delivery_has_its_due_time() -> None:
    with (
        MockFal(clock="manual", queue_duration=2, run_duration=8) as fal,
        httpx.Client(trust_env=False) as client,
    ):
        client.post(
            f"{fal.url}/queue.fal.run/{SCHNELL}",
            params={"fal_webhook": "http://127.0.0.1:9/"},
            json=CAT,
            headers={"authorization": "Key a:b"},
        )
        [delivery] = client.get(f"{fal.url}/_mock/deliveries").json()["deliveries"]
        assert (delivery["state"], delivery["next_at"]) == ("waiting", fal.clock.now() + 10)
        assert [delivery.state for delivery in fal.wait_for_deliveries()] == [DeliveryState.WAITING]
        fal.reset()
        assert fal.deliveries == []


def test_deliveries_continue_after_a_restart() -> None:
    fal = MockFal(clock="manual", run_duration=60)
    with fal, httpx.Client(trust_env=False, headers={"authorization": "Key a:b"}) as client:
        keys_url = f"{fal.url}/rest.fal.ai/.well-known/jwks.json"
        receiver = WebhookReceiver(keys_url).start()
        params = {"fal_webhook": receiver.url}
        client.post(f"{fal.url}/queue.fal.run/{SCHNELL}", params=params, json=CAT).raise_for_status()
    assert isinstance(fal.clock, ManualClock)
    fal.clock.advance(100)
    with fal:
        assert [delivery.state for delivery in fal.wait_for_deliveries()] == [DeliveryState.DELIVERED]
    receiver.stop()
    assert len(receiver.received) == 1


def test_a_webhook_of_the_javascript_client(node: Node, mock_fal: Account) -> None:
    output = node("webhook.mjs")
    assert (output["genuine"], output["forged"], output["same"]) == ([True, True], False, True)
    assert (output["body"]["request_id"], output["body"]["status"]) == (output["requestId"], "OK")
    assert output["body"]["payload"]["prompt"] == "a cät"


def test_two_thousand_webhooks_reach_a_receiver_that_fails_a_third_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        MockFal(speed=10) as fal,
        WebhookReceiver(f"{fal.url}/rest.fal.ai/.well-known/jwks.json") as receiver,
    ):
        for variable, value in fal.env.items():
            monkeypatch.setenv(variable, value)
        receiver.respond_with(*[200, 200, 500] * 1000)
        client = fal_client.SyncClient(key="alice:key")
        with closing(client._client):
            ids = {client.submit(SCHNELL, CAT, webhook_url=receiver.url).request_id for _ in range(2000)}
        # Every third response is an error, so this attempt delivers the last webhook.
        received = receiver.wait_for(2999, timeout_s=100)
        assert {delivery.state for delivery in fal.wait_for_deliveries()} == {DeliveryState.DELIVERED}
        assert len(receiver.received) == 2999
        jwks = fal._emulator.signer.jwks
    bodies: defaultdict[str, set[bytes]] = defaultdict(set)
    for webhook in received:
        bodies[webhook.headers["x-fal-webhook-request-id"]].add(webhook.body)
    assert bodies.keys() == ids
    assert {len(different) for different in bodies.values()} == {1}
    assert all(genuine(webhook, jwks) for webhook in received)


def test_a_retried_request_has_the_id_of_its_last_attempt(
    mock_fal: Account, mock_fal_webhooks: WebhookReceiver
) -> None:
    cat = {"prompt": "a cat [mock: error=runner_disconnected times=1]"}
    handle = fal_client.submit(SCHNELL, cat, webhook_url=mock_fal_webhooks.url)
    webhook = mock_fal_webhooks.wait_for(1)[0].json
    first, second = mock_fal.attempts(handle.request_id)
    assert (webhook["request_id"], webhook["gateway_request_id"]) == (handle.request_id, second.id)
    assert (first.id, first.status, second.status) == (handle.request_id, 503, 200)
    assert handle.get() == webhook["payload"]


@pytest.mark.parametrize(
    ("directive", "changed"),
    [
        ("status=500", {"status": "ERROR", "error": "Invalid status code: 500"}),
        ('payload={"a":1}', {"status": "OK", "payload": {"a": 1}}),
        ("payload=null", {"status": "OK", "payload": None, "payload_error": NOT_SERIALIZABLE}),
    ],
)
def test_a_directive_changes_the_webhook_alone(
    mock_fal: Account, mock_fal_webhooks: WebhookReceiver, directive: str, changed: dict[str, object]
) -> None:
    cat = {"prompt": f"a cat [mock: operation=webhook {directive}]"}
    handle = fal_client.submit(SCHNELL, cat, webhook_url=mock_fal_webhooks.url)
    [received] = mock_fal_webhooks.wait_for(1)
    assert received.verified
    assert {name: received.json.get(name) for name in changed} == changed
    assert handle.get()["images"]


def test_a_webhook_can_be_late(mock_fal: Account, mock_fal_webhooks: WebhookReceiver) -> None:
    handle = fal_client.submit(
        SCHNELL, {"prompt": "a cat [mock: operation=webhook late=600]"}, webhook_url=mock_fal_webhooks.url
    )
    handle.get()
    mock_fal_webhooks.wait_for(1)
    [delivery] = mock_fal.wait_for_deliveries()
    assert delivery.attempts[0].at >= delivery.request.schedule.ends_at + 600


def test_the_404_of_an_app_comes_without_its_payload(
    mock_fal: Account, mock_fal_webhooks: WebhookReceiver
) -> None:
    fal_client.submit("fal-ai/flux/nope", CAT, webhook_url=mock_fal_webhooks.url)
    webhook = mock_fal_webhooks.wait_for(1)[0].json
    assert (webhook["status"], webhook["error"]) == ("ERROR", "Invalid status code: 404")
    assert (webhook["payload"], webhook["payload_error"]) == (None, NOT_SERIALIZABLE)


def test_a_finished_webhook_is_sent_again(mock_fal: Account, mock_fal_webhooks: WebhookReceiver) -> None:
    fal_client.submit(SCHNELL, CAT, webhook_url=mock_fal_webhooks.url)
    mock_fal_webhooks.wait_for(1)
    [delivery] = mock_fal.wait_for_deliveries()
    mock_fal.resend_webhook(delivery)
    first, second = mock_fal_webhooks.wait_for(2)
    assert first.body == second.body and second.verified
