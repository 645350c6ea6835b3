from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest
import trustme

from mock_fal.clock import EPOCH, AutoAdvanceClock, ManualClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.emulation.options import SubmitOptions
from mock_fal.endpoint import EndpointId
from mock_fal.gateway import webhook_sender as delivery
from mock_fal.gateway.lookup import Lookups
from mock_fal.gateway.post import Target
from mock_fal.gateway.webhook_sender import PER_RECEIVER, BlockedTarget, WebhookSender
from mock_fal.requests.outcome import Outcome, Rendered, RunnerResponse, media_files
from mock_fal.requests.queue import ModelRequest
from mock_fal.settings import Settings
from mock_fal.webhooks.outbox import Delivery, DeliveryState, Outbox
from mock_fal.webhooks.payload import Webhook
from mock_fal.webhooks.retry_policy import POLICIES
from mock_fal.webhooks.signature import fault_of, verify
from tests.gateway.servers import Loop

DEV = EndpointId.parse("fal-ai/flux/dev")
MEDIA = "http://127.0.0.1:8325/v3b.fal.media"


@dataclass
class ReceivedWebhook:
    """A webhook as the receiver reads it: request line, headers in order, and body."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Receiver:
    """A web server that responds with each of `statuses`, then with 200."""

    port: int = 0
    scheme: str = "http"
    statuses: deque[int] = field(default_factory=deque)
    received: list[ReceivedWebhook] = field(default_factory=list)
    tail: bytes = b"Content-Length: 0\r\n\r\n"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook?a=1"

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received.append(await read(reader))
        status = self.statuses.popleft() if self.statuses else 200
        location = f"Location: {self.url}\r\n" if 300 <= status < 400 else ""
        writer.write(f"HTTP/1.1 {status} Yes\r\n{location}Connection: close\r\n".encode() + self.tail)


async def read(reader: asyncio.StreamReader) -> ReceivedWebhook:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *fields = head.strip().split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    return ReceivedWebhook(line, headers, await reader.readexactly(int(dict(headers)["content-length"])))


async def inline_pictures(outcome: Outcome) -> Rendered:
    assert isinstance(outcome, RunnerResponse)
    return {picture: "data:,cat" for picture in media_files(outcome.body) if picture.inline}


class Fal:
    """An emulator and delivery webhook sender. Requests take 10 seconds of a manual clock."""

    def __init__(self, loop: Loop, *, auto_advance: bool = False, **settings: object) -> None:
        self.loop = loop
        self.clock = AutoAdvanceClock() if auto_advance else ManualClock()
        durations: dict[str, object] = {"queue_duration": 2.0, "run_duration": 8.0, "webhook_retries": "real"}
        self.emulator = Emulator(Settings(**(durations | settings)), self.clock)  # type: ignore[arg-type]
        self.rendered: Callable[[Outcome], Awaitable[Rendered]] = inline_pictures
        self.sender = WebhookSender(self.emulator, lambda outcome: self.rendered(outcome))
        self.emulator.outbox.notify = self.sender.notify

    def set_timeout(self, seconds: float) -> None:
        """Set the timeout of receivers, in seconds of real time. Before the first request only."""
        policy = POLICIES["real"]._replace(first_timeout_s=seconds, timeout_s=seconds)
        self.emulator.outbox = outbox = Outbox(policy=policy, retention=100)
        self.sender = WebhookSender(self.emulator, lambda outcome: self.rendered(outcome))
        outbox.notify = self.sender.notify

    def submit(self, url: str, **body: object) -> Delivery:
        async def submit() -> ModelRequest:
            options = SubmitOptions(webhook=Webhook(url, MEDIA))
            return self.emulator.submit(
                DEV, json.dumps({"prompt": "a cat", **body}).encode(), "alice", options
            )

        request = self.loop.run(submit())
        return next(delivery for delivery in self.emulator.outbox.deliveries if delivery.request is request)

    def advance(self, seconds: float) -> None:
        """Advance the clock and wait for all deliveries that are due."""
        self.clock.advance(seconds)
        self.loop.run(self.sender.wait_for_deliveries())

    def wait_for_attempt(self, delivery: Delivery) -> None:
        """Wait for the first attempt of one delivery."""

        async def attempted() -> None:
            while not delivery.attempts:
                await asyncio.wait(self.sender._tasks, return_when=asyncio.FIRST_COMPLETED)

        self.loop.run(attempted())

    def close(self) -> None:
        self.loop.run(self.sender.close())


@pytest.fixture
def fal(loop: Loop) -> Iterator[Fal]:
    fal = Fal(loop)
    yield fal
    fal.close()


@pytest.fixture
def receivers(loop: Loop) -> Iterator[Callable[[], Receiver]]:
    with ExitStack() as stack:

        def make() -> Receiver:
            receiver = Receiver()
            receiver.port = stack.enter_context(loop.serving(receiver))
            return receiver

        yield make


@pytest.fixture
def receiver(receivers: Callable[[], Receiver]) -> Receiver:
    return receivers()


def statuses(delivery: Delivery) -> list[int | None]:
    return [attempt.status for attempt in delivery.attempts]


# -- time


def test_a_webhook_is_delivered_when_its_request_ends(fal: Fal, receiver: Receiver) -> None:
    delivery = fal.submit(receiver.url)
    fal.advance(9.75)
    assert receiver.received == []
    fal.advance(0.25)
    assert len(receiver.received) == 1
    assert (delivery.state, delivery.attempts[0].at, delivery.attempts[0].error) == (
        DeliveryState.DELIVERED,
        EPOCH + 10,
        "",
    )
    assert delivery.attempts[0].duration_s > 0


def test_an_auto_advance_clock_delivers_webhooks_without_polls(loop: Loop, receiver: Receiver) -> None:
    fal = Fal(loop, auto_advance=True)
    receiver.statuses.extend([500, 500])
    delivery = fal.submit(receiver.url)
    fal.advance(0)
    assert statuses(delivery) == [500, 500, 200]
    assert [attempt.at - EPOCH for attempt in delivery.attempts] == [10, 12, 32]
    fal.close()


def test_an_earlier_delivery_interrupts_the_wait_for_a_later_one(fal: Fal, receiver: Receiver) -> None:
    fal.submit(receiver.url, prompt="[mock: run=60]")
    soon = fal.submit(receiver.url)
    fal.advance(10)
    assert statuses(soon) == [200]


def test_a_cancellation_brings_the_next_webhook_forward(loop: Loop, receiver: Receiver) -> None:
    fal = Fal(loop, runners=1)
    first, second = fal.submit(receiver.url), fal.submit(receiver.url)
    fal.advance(0)

    async def cancel() -> None:
        fal.emulator.cancel(first.request)

    loop.run(cancel())
    fal.advance(10)
    assert (statuses(first), statuses(second)) == ([], [200])
    fal.close()


# -- content


def test_the_first_attempt_equals_the_captured_one(fal: Fal, receiver: Receiver) -> None:
    delivery = fal.submit(receiver.url)
    fal.advance(10)
    [webhook] = receiver.received
    assert webhook.line == "POST /hook?a=1 HTTP/1.1"
    assert [name for name, _ in webhook.headers] == [
        "host",
        "content-type",
        "accept",
        "accept-encoding",
        "content-length",
        "x-fal-webhook-request-id",
        "x-fal-webhook-user-id",
        "x-fal-webhook-timestamp",
        "x-fal-webhook-signature",
    ]
    assert webhook.headers[0] == ("host", f"127.0.0.1:{receiver.port}")
    verify(dict(webhook.headers), webhook.body, fal.emulator.signer.jwks)
    document = json.loads(webhook.body)
    assert (document["status"], document["request_id"]) == ("OK", delivery.request_id)
    assert document["payload"]["images"][0]["url"].startswith(f"{MEDIA}/files/b/")


def test_a_retry_has_the_same_body_and_another_signature(fal: Fal, receiver: Receiver) -> None:
    receiver.statuses.extend([500, 404])
    delivery = fal.submit(receiver.url)
    fal.advance(10)
    fal.advance(2)
    fal.advance(20)
    assert statuses(delivery) == [500, 404, 200]
    first, second, third = receiver.received
    assert first.body == second.body == third.body == delivery.body
    assert dict(second.headers)["user-agent"] == "python-httpx/0.27.0"
    assert dict(second.headers)["traceparent"] != dict(third.headers)["traceparent"]
    verify(dict(second.headers), second.body, fal.emulator.signer.jwks)
    verify(dict(third.headers), third.body, fal.emulator.signer.jwks)


@pytest.mark.parametrize(("directive", "is_valid"), [("", True), ("[mock: webhook=bad_signature]", False)])
def test_an_attempt_keeps_what_was_signed(
    fal: Fal, receiver: Receiver, directive: str, is_valid: bool
) -> None:
    delivery = fal.submit(receiver.url, prompt=f"a cat {directive}")
    fal.advance(10)
    [attempt] = delivery.attempts
    [sent] = receiver.received
    assert attempt.signed is not None
    assert attempt.signed.signature == dict(sent.headers)["x-fal-webhook-signature"]
    assert attempt.signed.digest == sha256(sent.body).digest()
    reason = fault_of(attempt.signed, delivery.request_id, "alice", fal.emulator.signer.jwks)
    assert (reason == "") == is_valid


def test_without_a_connection_nothing_was_signed(fal: Fal) -> None:
    delivery = fal.submit("http://example.com/hook")
    fal.advance(10)
    assert [attempt.signed for attempt in delivery.attempts] == [None]


def test_an_error_webhook_has_the_details(fal: Fal, receiver: Receiver) -> None:
    fal.submit(receiver.url, prompt="[mock: error=content_policy_violation]")
    fal.advance(10)
    document = json.loads(receiver.received[0].body)
    assert (document["status"], document["error"]) == ("ERROR", "Invalid status code: 422")
    assert document["payload"]["detail"][0]["type"] == "content_policy_violation"


def test_the_body_may_contain_a_picture(fal: Fal, receiver: Receiver) -> None:
    fal.submit(receiver.url, sync_mode=True)
    fal.advance(10)
    assert json.loads(receiver.received[0].body)["payload"]["images"][0]["url"] == "data:,cat"


def test_a_webhook_has_no_deleted_payload(fal: Fal, receiver: Receiver) -> None:
    delivery = fal.submit(receiver.url)
    fal.clock.advance(10)
    fal.emulator.delete_payloads(delivery.request)
    fal.advance(0)
    assert json.loads(receiver.received[0].body)["payload"] is None


# -- the last attempt


def test_a_failed_delivery_is_retried_by_the_retry_policy(fal: Fal, receiver: Receiver) -> None:
    receiver.statuses.append(500)
    delivery = fal.submit(receiver.url)
    fal.advance(10)
    fal.advance(1.75)
    assert (statuses(delivery), delivery.state) == ([500], DeliveryState.WAITING)
    fal.advance(0.25)
    assert (statuses(delivery), delivery.state) == ([500, 200], DeliveryState.DELIVERED)


def test_a_redirect_is_not_followed_or_retried(
    fal: Fal, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses.append(307)
    delivery = fal.submit(receiver.url)
    fal.advance(10)
    fal.advance(4000)
    assert (statuses(delivery), delivery.state, len(receiver.received)) == ([307], DeliveryState.FAILED, 1)
    assert f"failed after attempt 1: {delivery.request_id} to {receiver.url}: status 307" in caplog.text


def test_deliveries_are_retried_until_the_result_expires(fal: Fal, receiver: Receiver) -> None:
    receiver.statuses.extend([500] * 99)
    delivery = fal.submit(receiver.url)
    for gap in (10, 2, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600, 600):
        fal.advance(gap)
    assert (statuses(delivery), delivery.state) == ([500] * 11, DeliveryState.FAILED)


def test_an_attempt_at_a_receiver_that_hangs_times_out(loop: Loop, fal: Fal) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    fal.set_timeout(0.05)
    with loop.serving(hang) as port:
        delivery = fal.submit(f"http://127.0.0.1:{port}/")
        fal.advance(10)
        assert [attempt.error for attempt in delivery.attempts] == ["no response within 0.05 s"]
        assert (delivery.state, delivery.next_at) == (DeliveryState.WAITING, EPOCH + 12)


def test_a_delivery_that_is_reset_is_retried(loop: Loop, fal: Fal) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read(reader)
        writer.transport.abort()

    with loop.serving(reset) as port:
        delivery = fal.submit(f"http://127.0.0.1:{port}/")
        fal.advance(10)
        assert delivery.attempts[0].status is None and delivery.attempts[0].error
        fal.advance(2)
        assert (len(delivery.attempts), delivery.state) == (2, DeliveryState.WAITING)


def test_a_refused_connection_is_retried(loop: Loop, fal: Fal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    delivery = fal.submit(f"http://127.0.0.1:{port}/")
    fal.advance(10)
    assert delivery.attempts[0].error
    late = Receiver()
    with loop.serving(late) as late.port:
        delivery.webhook = replace(delivery.webhook, url=late.url)
        fal.advance(2)
    assert (statuses(delivery), delivery.state) == ([None, 200], DeliveryState.DELIVERED)


@pytest.mark.parametrize(
    "tail",
    [
        b"Content-Length: 10\r\n\r\nhalf",
        b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000,
        b"Content-Type: text/plain\r\n\r\nthanks",
    ],
    ids=["broken off", "long", "until it closes"],
)
def test_only_the_status_of_the_response_counts(fal: Fal, receiver: Receiver, tail: bytes) -> None:
    receiver.tail = tail
    delivery = fal.submit(receiver.url)
    fal.advance(10)
    assert statuses(delivery) == [200]


def test_an_internal_error_is_logged(fal: Fal, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(outcome: Outcome) -> Rendered:
        raise KeyError("no ink")

    fal.rendered = fail
    delivery = fal.submit(receiver.url)
    fal.advance(10)
    assert (delivery.state, delivery.attempts[0].error) == (DeliveryState.FAILED, "KeyError('no ink')")
    assert "internal error in the webhook of" in caplog.text


# -- simultaneous deliveries


def test_a_receiver_that_hangs_delays_no_other(loop: Loop, fal: Fal, receiver: Receiver) -> None:
    open_now, most = 0, 0
    full, go_on = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        await read(reader)
        open_now += 1
        most = max(most, open_now)
        if open_now == PER_RECEIVER:
            full.set()
        await go_on.wait()
        open_now -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def release() -> None:
        go_on.set()

    with loop.serving(slow) as port:
        held = [fal.submit(f"http://127.0.0.1:{port}/") for _ in range(3 * PER_RECEIVER)]
        quick = fal.submit(receiver.url)
        fal.clock.advance(10)
        loop.run(asyncio.wait_for(full.wait(), 30))
        fal.wait_for_attempt(quick)
        assert statuses(quick) == [200]
        assert {delivery.state for delivery in held} == {DeliveryState.WAITING}
        loop.run(release())
        fal.advance(0)
        assert {delivery.state for delivery in held} == {DeliveryState.DELIVERED}
        assert most == PER_RECEIVER


# -- targets


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://8.8.8.8/hook", "8.8.8.8 is neither on this machine nor in a private network"),
        ("http://[2001:4860:4860::8888]/", "2001:4860:4860::8888 is neither"),
        ("http://169.254.169.254/latest", "169.254.169.254 is neither"),
        ("ftp://127.0.0.1/", "unusable URL: expected http:// or https:// and a host"),
        ("not a url", "unusable URL"),
        ("http:///hook", "unusable URL"),
        ("http://127.0.0.1:99999/", "unusable URL: Port out of range"),
        (f"http://{'a' * 64}.test/", "unusable URL"),
    ],
)
def test_a_blocked_target_is_logged_and_not_retried(
    fal: Fal, caplog: pytest.LogCaptureFixture, url: str, message: str
) -> None:
    delivery = fal.submit(url)
    fal.advance(10)
    fal.advance(4000)
    assert delivery.state is DeliveryState.FAILED
    assert [attempt.status for attempt in delivery.attempts] == [None]
    assert delivery.attempts[0].error.startswith(message)
    assert caplog.text.count("webhook failed after attempt 1") == 1
    assert message in caplog.text


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Resolve every name to these addresses; without addresses, the lookup fails."""

    async def lookup(lookups: Lookups, host: str, port: int) -> list[str]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return list(addresses)

    monkeypatch.setattr(Lookups, "addresses", lookup)


def test_a_name_is_blocked_if_one_of_its_addresses_is_public(
    loop: Loop, fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "8.8.8.8")
    delivery = fal.submit("http://rebound.test/")
    fal.advance(10)
    assert delivery.attempts[0].error.startswith("rebound.test (8.8.8.8) is neither on this machine")


def test_each_address_of_a_local_name_is_tried(
    loop: Loop, fal: Fal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")  # no server at the first
    delivery = fal.submit(f"http://user:word@app.test:{receiver.port}/hook")
    fal.advance(10)
    assert statuses(delivery) == [200]
    headers = dict(receiver.received[0].headers)
    assert headers["host"] == f"app.test:{receiver.port}"
    assert headers["authorization"].startswith("Basic ")


def test_an_unknown_name_is_retried(
    loop: Loop, fal: Fal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch)
    delivery = fal.submit(f"http://app.test:{receiver.port}/hook")
    fal.advance(10)
    assert "Name or service not known" in delivery.attempts[0].error
    resolve_to(monkeypatch, "127.0.0.1")
    fal.advance(2)
    assert statuses(delivery) == [None, 200]


def test_public_targets_may_be_allowed(loop: Loop) -> None:
    open_handed, careful = Fal(loop, allow_egress=True), Fal(loop)
    target = Target.parse("https://8.8.8.8/hook")
    assert loop.run(open_handed.sender._addresses(target)) == ["8.8.8.8"]
    with pytest.raises(BlockedTarget):
        loop.run(careful.sender._addresses(target))


def test_proxies_are_not_used(fal: Fal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    delivery = fal.submit(receiver.url)
    fal.advance(10)
    assert statuses(delivery) == [200]


@pytest.mark.parametrize("trusted", [True, False])
def test_certificates_are_checked(
    loop: Loop, fal: Fal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    import ssl

    trusted_ca, other_ca = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (trusted_ca if trusted else other_ca).issue_cert("app.test").configure_cert(context)
    trusted_ca.cert_pem.write_to_path(tmp_path / "roots.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    resolve_to(monkeypatch, "127.0.0.1")
    secure = Receiver()
    with loop.serving(secure, context) as port:
        delivery = fal.submit(f"https://app.test:{port}/")
        fal.advance(10)
    assert statuses(delivery) == ([200] if trusted else [None])
    assert trusted or "CERTIFICATE_VERIFY_FAILED" in delivery.attempts[0].error


# -- closing


def test_close_delivers_webhooks_that_are_due(loop: Loop, receiver: Receiver) -> None:
    fal = Fal(loop)
    delivery = fal.submit(receiver.url)
    fal.clock.advance(10)
    fal.close()
    assert statuses(delivery) == [200]


def test_close_logs_webhooks_that_are_not_due(
    loop: Loop, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    fal = Fal(loop)
    first = fal.submit(receiver.url)
    for _ in range(5):
        fal.submit(receiver.url)
    fal.close()
    assert re.search(rf"stopped before 6 webhook\(s\) were delivered: {first.request_id}, .*, …", caplog.text)
    fal.submit(receiver.url)  # the sender is closed
    fal.advance(0)
    assert receiver.received == []


def test_close_has_a_timeout(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "CLOSE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(delivery, "PER_RECEIVER", 1)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    fal = Fal(loop)
    with loop.serving(hang) as port:
        first, second = (fal.submit(f"http://127.0.0.1:{port}/") for _ in range(2))
        fal.clock.advance(10)
        fal.close()
    assert [attempt.error for attempt in first.attempts] == ["mock-fal was stopped"]
    assert second.attempts == []
    assert fal.emulator.outbox.next_at() == EPOCH + 10  # no delivery is lost
    assert "stopped before 2 webhook(s) were delivered" in caplog.text


def test_deliveries_are_logged(fal: Fal, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mock_fal")
    delivery = fal.submit(receiver.url)
    fal.advance(10)
    assert f"webhook, attempt 1: {delivery.request_id} to {receiver.url}: status 200" in caplog.text
