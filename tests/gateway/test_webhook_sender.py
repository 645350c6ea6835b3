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
from pathlib import Path

import pytest
import trustme

from mock_fal.clock import EPOCH, AutoAdvanceClock, ManualClock
from mock_fal.emulator import Emulator, SubmitOptions
from mock_fal.endpoint import EndpointId
from mock_fal.gateway import webhook_sender as delivery
from mock_fal.gateway.post import Target
from mock_fal.gateway.webhook_sender import PER_RECEIVER, RefusedTarget, WebhookSender
from mock_fal.requests.outcome import Outcome, Picture, RunnerResponse, pictures_in
from mock_fal.requests.queue import ModelRequest
from mock_fal.settings import Settings
from mock_fal.webhooks import webhook
from mock_fal.webhooks.outbox import Delivery, DeliveryState, Outbox
from mock_fal.webhooks.retry_policy import POLICIES
from mock_fal.webhooks.webhook import Webhook
from tests.gateway.servers import Loop

DEV = EndpointId.parse("fal-ai/flux/dev")
MEDIA = "http://127.0.0.1:8325/v3b.fal.media"


@dataclass
class Told:
    """A webhook as a receiver reads it: the head to the letter, and the body."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Receiver:
    """A web server that answers with each of `statuses`, and with 200 when they are used up."""

    port: int = 0
    scheme: str = "http"
    statuses: deque[int] = field(default_factory=deque)
    told: list[Told] = field(default_factory=list)
    tail: bytes = b"Content-Length: 0\r\n\r\n"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook?a=1"

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.told.append(await read(reader))
        status = self.statuses.popleft() if self.statuses else 200
        place = f"Location: {self.url}\r\n" if 300 <= status < 400 else ""
        writer.write(f"HTTP/1.1 {status} Yes\r\n{place}Connection: close\r\n".encode() + self.tail)


async def read(reader: asyncio.StreamReader) -> Told:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *fields = head.strip().split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in fields)]
    return Told(line, headers, await reader.readexactly(int(dict(headers)["content-length"])))


async def in_itself(outcome: Outcome) -> dict[Picture, str]:
    assert isinstance(outcome, RunnerResponse)
    return {picture: "data:,cat" for picture in pictures_in(outcome.body) if picture.inline}


class Fal:
    """An emulator and its courier. Requests take 10 seconds of a clock that the test moves."""

    def __init__(self, loop: Loop, *, auto_advance: bool = False, **settings: object) -> None:
        self.loop = loop
        self.clock = AutoAdvanceClock() if auto_advance else ManualClock()
        spans: dict[str, object] = {"queue_duration": 2.0, "run_duration": 8.0, "webhook_retries": "real"}
        self.emulator = Emulator(Settings(**(spans | settings)), self.clock)  # type: ignore[arg-type]
        self.draw: Callable[[Outcome], Awaitable[dict[Picture, str]]] = in_itself
        self.sender = WebhookSender(self.emulator, lambda outcome: self.draw(outcome))
        self.emulator.outbox.notify = self.sender.notify

    def be_patient(self, seconds: float) -> None:
        """How long receivers may take, in real time. Before the first request only."""
        policy = replace(POLICIES["real"], first_patience_s=seconds, patience_s=seconds)
        self.emulator.outbox = outbox = Outbox(policy=policy, retention=100)
        self.sender = WebhookSender(self.emulator, lambda outcome: self.draw(outcome))
        outbox.notify = self.sender.notify

    def submit(self, url: str, **body: object) -> Delivery:
        async def ask() -> ModelRequest:
            options = SubmitOptions(webhook=Webhook(url, MEDIA))
            return self.emulator.submit(
                DEV, json.dumps({"prompt": "a cat", **body}).encode(), "alice", options
            )

        request = self.loop.run(ask())
        return next(each for each in self.emulator.outbox.deliveries if each.request is request)

    def pass_(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due then."""
        self.clock.advance(seconds)
        self.loop.run(self.sender.wait_for_deliveries())

    def until_tried(self, delivery: Delivery) -> None:
        """Wait for one delivery, whatever becomes of the others meanwhile."""

        async def tried() -> None:
            while not delivery.attempts:
                await asyncio.wait(self.sender._tasks, return_when=asyncio.FIRST_COMPLETED)

        self.loop.run(tried())

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


# -- when


def test_a_webhook_comes_when_its_request_ends(fal: Fal, receiver: Receiver) -> None:
    its = fal.submit(receiver.url)
    fal.pass_(9.75)
    assert receiver.told == []
    fal.pass_(0.25)
    assert len(receiver.told) == 1
    assert (its.state, its.attempts[0].at, its.attempts[0].error) == (
        DeliveryState.DELIVERED,
        EPOCH + 10,
        "",
    )
    assert its.attempts[0].duration_s > 0


def test_nobody_has_to_ask_when_the_clock_steps(loop: Loop, receiver: Receiver) -> None:
    fal = Fal(loop, auto_advance=True)
    receiver.statuses.extend([500, 500])
    its = fal.submit(receiver.url)
    fal.pass_(0)
    assert statuses(its) == [500, 500, 200]
    assert [attempt.at - EPOCH for attempt in its.attempts] == [10, 12, 32]
    fal.close()


def test_a_request_that_ends_sooner_than_the_one_waited_for_is_not_late(fal: Fal, receiver: Receiver) -> None:
    fal.submit(receiver.url, prompt="[mock: run=60]")
    soon = fal.submit(receiver.url)
    fal.pass_(10)
    assert statuses(soon) == [200]


def test_a_cancellation_lets_the_next_webhook_come_sooner(loop: Loop, receiver: Receiver) -> None:
    fal = Fal(loop, runners=1)
    first, second = fal.submit(receiver.url), fal.submit(receiver.url)
    fal.pass_(0)

    async def cancel() -> None:
        fal.emulator.cancel(first.request)

    loop.run(cancel())
    fal.pass_(10)
    assert (statuses(first), statuses(second)) == ([], [200])
    fal.close()


# -- what


def test_the_first_attempt_looks_as_captured(fal: Fal, receiver: Receiver) -> None:
    its = fal.submit(receiver.url)
    fal.pass_(10)
    [told] = receiver.told
    assert told.line == "POST /hook?a=1 HTTP/1.1"
    assert [name for name, _ in told.headers] == [
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
    assert told.headers[0] == ("host", f"127.0.0.1:{receiver.port}")
    webhook.verify(dict(told.headers), told.body, fal.emulator.signer.jwks)
    document = json.loads(told.body)
    assert (document["status"], document["request_id"]) == ("OK", its.request_id)
    assert document["payload"]["images"][0]["url"].startswith(f"{MEDIA}/files/b/")


def test_a_retry_has_the_same_body_and_a_signature_of_its_own(fal: Fal, receiver: Receiver) -> None:
    receiver.statuses.extend([500, 404])
    its = fal.submit(receiver.url)
    fal.pass_(10)
    fal.pass_(2)
    fal.pass_(20)
    assert statuses(its) == [500, 404, 200]
    first, second, third = receiver.told
    assert first.body == second.body == third.body == its.body
    assert dict(second.headers)["user-agent"] == "python-httpx/0.27.0"
    assert dict(second.headers)["traceparent"] != dict(third.headers)["traceparent"]
    webhook.verify(dict(second.headers), second.body, fal.emulator.signer.jwks)
    webhook.verify(dict(third.headers), third.body, fal.emulator.signer.jwks)


def test_an_error_is_told_with_its_details(fal: Fal, receiver: Receiver) -> None:
    fal.submit(receiver.url, prompt="[mock: error=content_policy_violation]")
    fal.pass_(10)
    document = json.loads(receiver.told[0].body)
    assert (document["status"], document["error"]) == ("ERROR", "Invalid status code: 422")
    assert document["payload"]["detail"][0]["type"] == "content_policy_violation"


def test_a_picture_may_be_carried_in_the_body(fal: Fal, receiver: Receiver) -> None:
    fal.submit(receiver.url, sync_mode=True)
    fal.pass_(10)
    assert json.loads(receiver.told[0].body)["payload"]["images"][0]["url"] == "data:,cat"


def test_payloads_that_were_deleted_before_are_not_told(fal: Fal, receiver: Receiver) -> None:
    its = fal.submit(receiver.url)
    fal.clock.advance(10)
    fal.emulator.delete_payloads(its.request)
    fal.pass_(0)
    assert json.loads(receiver.told[0].body)["payload"] is None


# -- what ends it


def test_a_receiver_that_fails_is_asked_again_when_the_timetable_says(fal: Fal, receiver: Receiver) -> None:
    receiver.statuses.append(500)
    its = fal.submit(receiver.url)
    fal.pass_(10)
    fal.pass_(1.75)
    assert (statuses(its), its.state) == ([500], DeliveryState.WAITING)
    fal.pass_(0.25)
    assert (statuses(its), its.state) == ([500, 200], DeliveryState.DELIVERED)


def test_a_redirect_is_not_followed_and_final(
    fal: Fal, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses.append(307)
    its = fal.submit(receiver.url)
    fal.pass_(10)
    fal.pass_(4000)
    assert (statuses(its), its.state, len(receiver.told)) == ([307], DeliveryState.FAILED, 1)
    assert f"given up after attempt 1: {its.request_id} to {receiver.url}: answered 307" in caplog.text


def test_all_is_tried_until_the_result_expires(fal: Fal, receiver: Receiver) -> None:
    receiver.statuses.extend([500] * 99)
    its = fal.submit(receiver.url)
    for gap in (10, 2, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600, 600):
        fal.pass_(gap)
    assert (statuses(its), its.state) == ([500] * 11, DeliveryState.FAILED)


def test_a_receiver_that_hangs_is_given_up(loop: Loop, fal: Fal) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    fal.be_patient(0.05)
    with loop.serving(hang) as port:
        its = fal.submit(f"http://127.0.0.1:{port}/")
        fal.pass_(10)
        assert [attempt.error for attempt in its.attempts] == ["no answer within 0.05 s"]
        assert (its.state, its.next_at) == (DeliveryState.WAITING, EPOCH + 12)


def test_a_receiver_that_resets_is_tried_again(loop: Loop, fal: Fal) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read(reader)
        writer.transport.abort()

    with loop.serving(reset) as port:
        its = fal.submit(f"http://127.0.0.1:{port}/")
        fal.pass_(10)
        assert its.attempts[0].status is None and its.attempts[0].error
        fal.pass_(2)
        assert (len(its.attempts), its.state) == (2, DeliveryState.WAITING)


def test_nobody_at_the_port_is_tried_again(loop: Loop, fal: Fal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    its = fal.submit(f"http://127.0.0.1:{port}/")
    fal.pass_(10)
    assert its.attempts[0].error
    late = Receiver()
    with loop.serving(late) as late.port:
        its.webhook = replace(its.webhook, url=late.url)
        fal.pass_(2)
    assert (statuses(its), its.state) == ([None, 200], DeliveryState.DELIVERED)


@pytest.mark.parametrize(
    "tail",
    [
        b"Content-Length: 10\r\n\r\nhalf",
        b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000,
        b"Content-Type: text/plain\r\n\r\nthanks",
    ],
    ids=["broken off", "long", "until it closes"],
)
def test_what_the_receiver_says_beside_its_status_does_not_matter(
    fal: Fal, receiver: Receiver, tail: bytes
) -> None:
    receiver.tail = tail
    its = fal.submit(receiver.url)
    fal.pass_(10)
    assert statuses(its) == [200]


def test_a_bug_of_ours_is_written_down(
    fal: Fal, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    async def spill(outcome: Outcome) -> dict[Picture, str]:
        raise KeyError("no ink")

    fal.draw = spill
    its = fal.submit(receiver.url)
    fal.pass_(10)
    assert (its.state, its.attempts[0].error) == (DeliveryState.FAILED, "KeyError('no ink')")
    assert "a bug, in the webhook of" in caplog.text


# -- many at a time


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
        fal.until_tried(quick)
        assert statuses(quick) == [200]
        assert {each.state for each in held} == {DeliveryState.WAITING}
        loop.run(release())
        fal.pass_(0)
        assert {each.state for each in held} == {DeliveryState.DELIVERED}
        assert most == PER_RECEIVER


# -- whereto


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://8.8.8.8/hook", "8.8.8.8 is neither on this machine nor in a private network"),
        ("http://[2001:4860:4860::8888]/", "2001:4860:4860::8888 is neither"),
        ("http://169.254.169.254/latest", "169.254.169.254 is neither"),
        ("ftp://127.0.0.1/", "no usable URL: expected http:// or https:// and a host"),
        ("not a url", "no usable URL"),
        ("http:///hook", "no usable URL"),
        ("http://127.0.0.1:99999/", "no usable URL: Port out of range"),
        (f"http://{'a' * 64}.test/", "no usable URL"),
    ],
)
def test_a_refused_target_is_told_and_not_tried_again(
    fal: Fal, caplog: pytest.LogCaptureFixture, url: str, seen: str
) -> None:
    its = fal.submit(url)
    fal.pass_(10)
    fal.pass_(4000)
    assert its.state is DeliveryState.FAILED
    assert [attempt.status for attempt in its.attempts] == [None]
    assert its.attempts[0].error.startswith(seen)
    assert caplog.text.count("webhook given up after attempt 1") == 1
    assert seen in caplog.text


def names(loop: Loop, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name stands for these addresses; without any, it stands for none."""

    async def lookup(host: str, port: int, **hints: object) -> list[tuple[object, ...]]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(loop.loop, "getaddrinfo", lookup)


def test_a_name_is_refused_if_one_of_its_addresses_is_public(
    loop: Loop, fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(loop, monkeypatch, "127.0.0.1", "8.8.8.8")
    its = fal.submit("http://rebound.test/")
    fal.pass_(10)
    assert its.attempts[0].error.startswith("rebound.test (8.8.8.8) is neither on this machine")


def test_a_name_of_this_machine_is_tried_at_each_of_its_addresses(
    loop: Loop, fal: Fal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(loop, monkeypatch, "127.0.0.2", "127.0.0.1")  # nobody is at the first
    its = fal.submit(f"http://user:word@app.test:{receiver.port}/hook")
    fal.pass_(10)
    assert statuses(its) == [200]
    told = dict(receiver.told[0].headers)
    assert told["host"] == f"app.test:{receiver.port}"
    assert told["authorization"].startswith("Basic ")


def test_a_name_that_nobody_has_is_tried_again(
    loop: Loop, fal: Fal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(loop, monkeypatch)
    its = fal.submit(f"http://app.test:{receiver.port}/hook")
    fal.pass_(10)
    assert "Name or service not known" in its.attempts[0].error
    names(loop, monkeypatch, "127.0.0.1")
    fal.pass_(2)
    assert statuses(its) == [None, 200]


def test_public_targets_may_be_allowed(loop: Loop) -> None:
    open_handed, careful = Fal(loop, allow_egress=True), Fal(loop)
    target = Target.parse("https://8.8.8.8/hook")
    assert loop.run(open_handed.sender._addresses(target)) == ["8.8.8.8"]
    with pytest.raises(RefusedTarget):
        loop.run(careful.sender._addresses(target))


def test_proxies_have_no_part_in_it(fal: Fal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    its = fal.submit(receiver.url)
    fal.pass_(10)
    assert statuses(its) == [200]


@pytest.mark.parametrize("trusted", [True, False])
def test_certificates_are_checked(
    loop: Loop, fal: Fal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    import ssl

    ours, theirs = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (ours if trusted else theirs).issue_cert("app.test").configure_cert(context)
    ours.cert_pem.write_to_path(tmp_path / "roots.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    names(loop, monkeypatch, "127.0.0.1")
    secure = Receiver()
    with loop.serving(secure, context) as port:
        its = fal.submit(f"https://app.test:{port}/")
        fal.pass_(10)
    assert statuses(its) == ([200] if trusted else [None])
    assert trusted or "CERTIFICATE_VERIFY_FAILED" in its.attempts[0].error


# -- the end


def test_what_is_due_is_delivered_before_the_end(loop: Loop, receiver: Receiver) -> None:
    fal = Fal(loop)
    its = fal.submit(receiver.url)
    fal.clock.advance(10)
    fal.close()
    assert statuses(its) == [200]


def test_what_is_not_due_is_told_at_the_end(
    loop: Loop, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    fal = Fal(loop)
    first = fal.submit(receiver.url)
    for _ in range(5):
        fal.submit(receiver.url)
    fal.close()
    assert re.search(
        rf"stopped with 6 webhook\(s\) not delivered yet: {first.request_id}, .*, …", caplog.text
    )
    fal.submit(receiver.url)  # nobody is there to deliver it any more
    fal.pass_(0)
    assert receiver.told == []


def test_the_end_does_not_wait_for_ever(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "FAREWELL_S", 0.05)
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
    assert fal.emulator.outbox.next_at() == EPOCH + 10  # neither is lost
    assert "stopped with 2 webhook(s) not delivered yet" in caplog.text


def test_a_delivery_is_told_to_whoever_wants_to_know(
    fal: Fal, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mock_fal")
    its = fal.submit(receiver.url)
    fal.pass_(10)
    assert f"webhook, attempt 1: {its.request_id} to {receiver.url}: answered 200" in caplog.text
