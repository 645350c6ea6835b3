"""The summary of a run."""

from __future__ import annotations

import pytest

from mock_fal.billing.usage import Charge, usage
from mock_fal.endpoint import EndpointId
from mock_fal.gateway.connect import Event
from mock_fal.journal.exchanges import Exchange
from mock_fal.models.catalog import WAYS_ON
from mock_fal.requests.lifecycle import Schedule, Submission
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.summary import summary
from mock_fal.webhooks.outbox import Attempt, Delivery
from mock_fal.webhooks.payload import Webhook
from mock_fal.webhooks.retry_policy import POLICIES


def exchange(method: str, url: str, status: int = 200, body: bytes = b"{}") -> Exchange:
    host, _, path = url.partition("/")
    return Exchange(0.0, "mock", method, host, f"/{path}", "", b"", b"", status, b"", body)


def lines(exchanges: list[Exchange], *events: Event) -> list[str]:
    return summary(exchanges, events).splitlines()


def test_a_run_without_requests_has_a_hint() -> None:
    assert lines([]) == ["mock-fal: no request received; does the program call fal, and honour HTTPS_PROXY?"]


def test_one_request_is_singular() -> None:
    received = lines([exchange("POST", "fal.run/fal-ai/flux/schnell")])
    assert received == ["mock-fal: 1 request received", "mock-fal:   POST   fal.run/fal-ai/flux/schnell  200"]


def test_equal_calls_share_a_line() -> None:
    first = "queue.fal.run/fal-ai/flux/requests/1/status"
    second = "queue.fal.run/fal-ai/flux/requests/2/status"
    received = lines([exchange("GET", first, 202), exchange("GET", second, 202), exchange("GET", first)])
    assert received == [
        "mock-fal: 3 requests received",
        "mock-fal:   GET    queue.fal.run/fal-ai/flux/requests/…/status  202 ×2, 200",
    ]


def test_files_share_a_line() -> None:
    files = [exchange("GET", f"v3b.fal.media/files/b/0aa/{name}.jpg") for name in "abc"]
    assert lines(files)[1:] == ["mock-fal:   GET    v3b.fal.media/files/…  200 ×3"]


def test_a_failure_shows_the_response_of_fal() -> None:
    failed = exchange("POST", "fal.run/fal-ai/fluxx", 404, b'{"detail":"Application \\"fluxx\\" not found"}')
    assert lines([failed, failed])[2] == (
        'mock-fal:   failed: 404 POST fal.run/fal-ai/fluxx: {"detail":"Application \\"fluxx\\" not found"} (×2)'
    )


def test_an_emulated_stream_is_not_reported() -> None:
    assert len(lines([exchange("POST", "fal.run/fal-ai/flux/schnell/stream")])) == 2


def test_an_endpoint_that_is_not_emulated_is_named_once() -> None:
    """fal's own 404 does not say whether fal has it."""
    requests = [exchange("POST", f"queue.fal.run/{name}") for name in ("fal-ai/flux/schnel", "a/b", "a/b")]
    for request, hint in zip(requests, ("fal-ai/flux/schnel; did you mean x?", "a/b", "a/b"), strict=True):
        request.note(unknown_endpoint=hint)
    assert lines(requests)[-3:] == [
        "mock-fal:   not emulated: fal-ai/flux/schnel; did you mean x?",
        "mock-fal:   not emulated: a/b",
        f"mock-fal:   for what is not emulated: {WAYS_ON}",
    ]


def test_a_long_failure_is_cut() -> None:
    (_, _, failed) = lines([exchange("POST", "fal.run/fal-ai/flux/dev", 422, b"x" * 10_000)])
    assert failed.endswith(": " + "x" * 299 + "…")


def test_a_result_requested_too_early_is_not_a_failure() -> None:
    early = exchange("GET", "queue.fal.run/fal-ai/flux/requests/1", 400, b'"Request is still in progress"')
    assert not any("failed" in line for line in lines([early]))


def test_forwarded_and_blocked_connections_are_listed() -> None:
    forwarded = Event("forwarded", "pypi.org", 443)
    blocked = Event("blocked", "wma.fal.run", 443, "mock-fal does not emulate wma.fal.run", "advice")
    received = lines([], Event("fal", "fal.run", 443), forwarded, forwarded, blocked)
    assert received == [
        "mock-fal: no request received",
        "mock-fal:   forwarded: pypi.org:443 (×2)",
        "mock-fal:   blocked: wma.fal.run:443: mock-fal does not emulate wma.fal.run",
    ]


def cost(*charges: Charge) -> list[str]:
    call = exchange("POST", "fal.run/fal-ai/flux/schnell")
    return summary([call], [], usage(charges)).splitlines()[2:]


def test_the_estimated_cost_is_shown() -> None:
    pictures = [Charge("mock", "fal-ai/flux/schnell", 0.0, 1, 1)] * 4
    assert cost(*pictures) == ["mock-fal:   estimated cost $0.012: 4 × fal-ai/flux/schnell"]


def test_the_most_expensive_endpoint_is_first() -> None:
    cheap = Charge("mock", "fal-ai/flux/schnell", 0.0, 2, 2)
    expensive = Charge("mock", "fal-ai/flux/dev", 0.0, 1, 1)
    assert cost(cheap, expensive) == [
        "mock-fal:   estimated cost $0.031: 1 × fal-ai/flux/dev, 2 × fal-ai/flux/schnell"
    ]


def test_requests_whose_price_is_not_known_are_named_beside_the_cost() -> None:
    unknown = [Charge("mock", "me/my-app", 0.0, 2, 0), Charge("mock", "fal-ai/whisper", 0.0, 1, 0)]
    assert cost(*unknown, Charge("mock", "fal-ai/flux/dev", 0.0, 1, 1)) == [
        "mock-fal:   estimated cost $0.025: 1 × fal-ai/flux/dev",
        "mock-fal:   price not known of 3 more requests: 1 × fal-ai/whisper, 2 × me/my-app",
    ]
    assert cost(unknown[1]) == ["mock-fal:   price not known of 1 request: 1 × fal-ai/whisper"]


def test_a_free_run_shows_no_cost() -> None:
    assert cost() == []


@pytest.mark.parametrize(("units", "dollars"), [(1, "0.025"), (4, "0.10"), (40, "1.00"), (60, "1.50")])
def test_an_amount_has_at_least_two_decimals(units: int, dollars: str) -> None:
    [line] = cost(Charge("mock", "fal-ai/flux/dev", 0.0, 1, units))
    assert f"${dollars}:" in line


def test_cassettes_are_counted_and_unused_ones_named() -> None:
    exchanges = [exchange("GET", "fal.run/a") for _ in range(4)]
    for item, word in zip(exchanges, ["replayed 1.json", "replayed 2.json", "no cassette", ""], strict=True):
        item.note(playback=word)
    text = summary(exchanges, [], unused=[f"{number}.json" for number in range(3, 8)])
    assert "mock-fal:   cassettes: 2 replayed, 1 without a cassette\n" in text
    assert "mock-fal:   unused cassettes: 3.json, 4.json, 5.json and 2 more\n" in text


def test_a_recorded_endpoint_need_not_be_emulated() -> None:
    recorded = exchange("POST", "fal.run/fal-ai/kling-video")
    recorded.note(playback="recorded 0001.json")
    assert lines([recorded])[2:] == ["mock-fal:   cassettes: 1 recorded"]


def delivery(url: str, *attempts: Attempt, fault: str = "") -> Delivery:
    endpoint, submission = EndpointId.parse("fal-ai/flux/dev"), Submission(1, 0.0, 0.0, 0.0)
    request = ModelRequest(
        "a", endpoint, "mock", submission, RunnerResponse(200, {}), 0, Schedule(0.0, 0.0, 0.0, 0.0)
    )
    webhook = Webhook(url, "https://v3b.fal.media")
    return Delivery(request, webhook, POLICIES["fast"], attempts=list(attempts), fault=fault)


def test_a_webhook_that_could_not_be_delivered_is_named_with_the_reason() -> None:
    refused, error = Attempt(0.0, 0.1, None, "Connection refused"), Attempt(0.0, 0.1, 500)
    text = summary(
        [],
        [],
        deliveries=[
            delivery("http://127.0.0.1:9/a", refused, error),
            delivery("http://127.0.0.1:9/a", error),
            delivery("http://127.0.0.1:9/b", error, refused),
        ],
    )
    assert text.splitlines()[1:] == [
        "mock-fal:   webhook not delivered: http://127.0.0.1:9/a: HTTP 500 (×2)",
        "mock-fal:   webhook not delivered: http://127.0.0.1:9/b: Connection refused",
    ]


def test_delivered_waiting_and_dropped_webhooks_are_not_listed() -> None:
    error, delivered = Attempt(0.0, 0.1, 500), Attempt(0.0, 0.1, 204)
    deliveries = [
        delivery("http://a/", error, delivered),
        delivery("http://a/"),
        delivery("http://a/", fault="drop"),
    ]
    assert len(summary([], [], deliveries=deliveries).splitlines()) == 1


def test_a_line_about_a_webhook_is_short() -> None:
    failed = delivery("http://127.0.0.1/" + "x" * 500, Attempt(0.0, 0.1, None, "no " * 500))
    assert len(summary([], [], deliveries=[failed]).splitlines()[1]) < 200


@pytest.mark.parametrize("url", ["http://localhost:3000/a.png", "http://192.168.0.7/a.png"])
def test_a_file_that_fal_can_not_reach_is_named(url: str) -> None:
    sent = exchange("POST", "queue.fal.run/fal-ai/flux-2/edit")
    sent.request_body = f'{{"prompt": "see http://localhost/b", "image_urls": ["{url}"]}}'.encode()
    assert lines([sent, sent])[2:] == [f"mock-fal:   input: {url}: fal can't reach this address (×2)"]


def test_a_file_out_of_reach_is_named_however_its_slashes_are_written() -> None:
    sent = exchange("POST", "queue.fal.run/fal-ai/flux-2/edit")
    sent.request_body = rb'{"image_urls": ["http:\/\/localhost:3000\/a.png"]}'
    [line] = lines([sent])[2:]
    assert line == "mock-fal:   input: http://localhost:3000/a.png: fal can't reach this address"


def test_files_that_fal_reaches_and_those_of_mock_fal_are_not_named() -> None:
    sent = exchange("POST", "queue.fal.run/fal-ai/flux-2/edit")
    own = b"http://127.0.0.1:8325/v3b.fal.media/files/b/0aa/a.png"
    sent.request_body = b'{"image_urls": ["https://a.example/a.png", "%b", "http://[", "data:,a"]}' % own
    assert len(lines([sent])) == 2


def test_a_large_data_uri_is_named() -> None:
    sent = exchange("POST", "queue.fal.run/fal-ai/flux-2/edit")
    sent.request_body = b'{"image_urls": ["data:image/png;base64,%b"]}' % (b"a" * 12_000_000)
    expected = "input: a data URI of 12.0 MB for fal-ai/flux-2/edit: fal may reject it; upload files of more than 10 MB"
    assert lines([sent])[2] == f"mock-fal:   {expected}"
