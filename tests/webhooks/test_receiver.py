from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from mock_fal import MockFal
from mock_fal.clock import real_time
from mock_fal.errors import MockFalError
from mock_fal.webhooks import receiver as receiver_module
from mock_fal.webhooks.receiver import Received, WebhookReceiver
from mock_fal.webhooks.signature import Signer, webhook_headers

SIGNER = Signer(seed=0)
BODY = json.dumps({"error": None, "request_id": "019f6b1b", "status": "OK"}).encode()
KEYS = "http://keys.test/jwks.json"


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The responses to requests for the keys, last first."""
    responses: list[Any] = [SIGNER.jwks]
    monkeypatch.setattr(
        receiver_module, "_json", lambda url: responses.pop() if len(responses) > 1 else responses[0]
    )
    return responses


@pytest.fixture
def receiver(keys: list[Any]) -> Iterator[WebhookReceiver]:
    with WebhookReceiver(KEYS) as receiver:
        yield receiver


def post(url: str, body: bytes = BODY, signer: Signer = SIGNER) -> int:
    """Send a webhook, signed by `signer`; returns the status of the response."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
    try:
        signed = dict(webhook_headers("019f6b1b", "alice", BODY, signer, now=real_time(), attempt=1))
        signed["content-length"] = str(len(body))
        connection.request("POST", target.path, body, signed)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_genuine_webhook_is_verified_and_kept(receiver: WebhookReceiver) -> None:
    assert post(receiver.url + "hook") == 200
    [received] = receiver.wait_for(1)
    assert received == receiver.received[0]
    assert received.verified
    assert (received.path, received.body, received.json["status"]) == ("/hook", BODY, "OK")
    assert received.headers["x-fal-webhook-request-id"] == "019f6b1b"
    assert re.fullmatch(r"\d\d:\d\d:\d\d  POST /hook  OK  019f6b1b  verified  -> 200", str(received))


def test_a_forged_webhook_is_not_verified(receiver: WebhookReceiver) -> None:
    post(receiver.url, BODY + b" ")
    [received] = receiver.wait_for(1)
    assert not received.verified
    assert "not verified: the signature fits none of the 2 keys" in str(received)


def test_a_receiver_fetches_the_keys_of_a_new_server(receiver: WebhookReceiver, keys: list[Any]) -> None:
    post(receiver.url)
    keys[0] = Signer(1).jwks
    post(receiver.url, signer=Signer(1))
    assert [received.verified for received in receiver.wait_for(2)] == [True, True]


def test_without_a_server_nothing_is_verified() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        keys_url = f"http://127.0.0.1:{closed.getsockname()[1]}/jwks.json"
    with WebhookReceiver(keys_url) as receiver:
        post(receiver.url)
    assert receiver.received[0].problem.startswith(f"no keys at {keys_url}: ")


def test_the_next_responses_can_be_set(receiver: WebhookReceiver) -> None:
    receiver.respond_with(500, 302)
    assert [post(receiver.url) for _ in range(3)] == [500, 302, 200]
    assert [received.status for received in receiver.received] == [500, 302, 200]


def test_waiting_times_out(receiver: WebhookReceiver) -> None:
    post(receiver.url)
    with pytest.raises(TimeoutError, match=r"received 1 of 2 webhooks at http://.* within 0.01 s"):
        receiver.wait_for(2, timeout_s=0.01)


def test_a_webhook_can_be_forwarded(receiver: WebhookReceiver) -> None:
    webhooks: list[Received] = []
    receiver.respond_with(201, 503, 301)
    with WebhookReceiver(KEYS, forward=receiver.url + "app", on_received=webhooks.append) as front:
        assert [post(front.url) for _ in range(3)] == [201, 503, 301]
    assert [received.status for received in webhooks] == [201, 503, 301]
    assert all(received.verified and received.path == "/app" for received in receiver.received)


def test_an_unreachable_forward_target_is_a_bad_gateway(keys: list[Any]) -> None:
    with WebhookReceiver(KEYS, forward="http://127.0.0.1:1/") as front:
        assert post(front.url) == 502


def test_a_port_in_use_is_reported(receiver: WebhookReceiver) -> None:
    port = urlsplit(receiver.url).port or 0
    with pytest.raises(MockFalError, match=f"can't listen on port {port}: "):
        WebhookReceiver(KEYS, port=port).start()


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        (b'{"status": "ERROR", "error": "Invalid status code: 422", "request_id": "a"}', "422)  a"),
        (b"no json", "7 bytes"),
        (b'["other"]', "9 bytes"),
    ],
)
def test_a_webhook_is_summarized_in_one_line(body: bytes, summary: str) -> None:
    assert f"{summary}  verified" in str(Received(0.0, "/", {}, body, "", 200))


def test_a_malformed_request_does_no_harm(receiver: WebhookReceiver) -> None:
    target = urlsplit(receiver.url)
    with socket.create_connection((target.hostname, target.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: nine\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 413 ")
    assert post(receiver.url) == 200


def test_listen_prints_a_line_for_each_webhook(tmp_path: object) -> None:
    with MockFal() as fal:
        command = [sys.executable, "-m", "mock_fal", "listen", "--port", "0", "--url", fal.url]
        with subprocess.Popen([*command, "--status", "204"], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            match = re.search(r"http://\S+", first)
            assert match is not None, first
            assert post(match.group()) == 204
            line = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    assert line.rstrip().endswith("POST /  OK  019f6b1b  verified  -> 204")
