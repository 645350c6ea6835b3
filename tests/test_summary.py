"""What a person reads at the end of a run."""

from __future__ import annotations

import pytest

from mock_fal.billing.usage import Charge, usage
from mock_fal.gateway.connect import Event
from mock_fal.journal.exchanges import Exchange
from mock_fal.summary import summary


def exchange(method: str, url: str, status: int = 200, body: bytes = b"{}") -> Exchange:
    host, _, path = url.partition("/")
    return Exchange(0.0, "mock", method, host, f"/{path}", "", b"", b"", status, b"", body)


def lines(exchanges: list[Exchange], *events: Event) -> list[str]:
    return summary(exchanges, events).splitlines()


def test_a_run_without_requests_asks_why() -> None:
    assert lines([]) == ["mock-fal: no request came; does the program call fal, and honour HTTPS_PROXY?"]


def test_one_request_is_one() -> None:
    seen = lines([exchange("POST", "fal.run/fal-ai/flux/schnell")])
    assert seen == ["mock-fal: 1 request answered", "mock-fal:   POST   fal.run/fal-ai/flux/schnell  200"]


def test_calls_of_one_kind_share_a_line() -> None:
    first = "queue.fal.run/fal-ai/flux/requests/1/status"
    second = "queue.fal.run/fal-ai/flux/requests/2/status"
    seen = lines([exchange("GET", first, 202), exchange("GET", second, 202), exchange("GET", first)])
    assert seen == [
        "mock-fal: 3 requests answered",
        "mock-fal:   GET    queue.fal.run/fal-ai/flux/requests/…/status  202 ×2, 200",
    ]


def test_files_share_a_line() -> None:
    files = [exchange("GET", f"v3b.fal.media/files/b/0aa/{name}.jpg") for name in "abc"]
    assert lines(files)[1:] == ["mock-fal:   GET    v3b.fal.media/files/…  200 ×3"]


def test_a_failure_is_told_in_fals_words() -> None:
    refused = exchange("POST", "fal.run/fal-ai/fluxx", 404, b'{"detail":"Application \\"fluxx\\" not found"}')
    assert lines([refused, refused])[2] == (
        'mock-fal:   failed: 404 POST fal.run/fal-ai/fluxx: {"detail":"Application \\"fluxx\\" not found"} (×2)'
    )


def test_a_stream_that_we_have_is_not_missed() -> None:
    assert len(lines([exchange("POST", "fal.run/fal-ai/flux/schnell/stream")])) == 2


def test_an_endpoint_that_we_do_not_have_is_named() -> None:
    """fal's own 404 can't tell whether it is fal that does not have it."""
    asked = [
        exchange("POST", f"queue.fal.run/{name}")
        for name in ("fal-ai/flux/schnel", "fal-ai/veo3", "fal-ai/veo3")
    ]
    (near, far) = lines(asked)[-2:]
    assert near == "mock-fal:   not emulated: fal-ai/flux/schnel; did you mean fal-ai/flux/schnell?"
    assert far.startswith("mock-fal:   not emulated: fal-ai/veo3; it has fal-ai/flux/schnell, ")


def test_a_long_failure_is_cut() -> None:
    (_, _, failed) = lines([exchange("POST", "fal.run/fal-ai/flux/dev", 422, b"x" * 10_000)])
    assert failed.endswith(": " + "x" * 299 + "…")


def test_asking_too_early_is_no_failure() -> None:
    early = exchange("GET", "queue.fal.run/fal-ai/flux/requests/1", 400, b'"Request is still in progress"')
    assert not any("failed" in line for line in lines([early]))


def test_what_the_gateway_refused_and_passed_is_told() -> None:
    passed = Event("passed", "pypi.org", 443)
    refused = Event("refused", "wma.fal.run", 443, "mock-fal does not emulate wma.fal.run", "advice")
    seen = lines([], Event("fal", "fal.run", 443), passed, passed, refused)
    assert seen == [
        "mock-fal: no request answered",
        "mock-fal:   passed: pypi.org:443 (×2)",
        "mock-fal:   refused: wma.fal.run:443: mock-fal does not emulate wma.fal.run",
    ]


def cost(*charges: Charge) -> list[str]:
    called = exchange("POST", "fal.run/fal-ai/flux/schnell")
    return summary([called], [], usage(charges)).splitlines()[2:]


def test_what_the_run_would_have_cost_is_told() -> None:
    pictures = [Charge("mock", "fal-ai/flux/schnell", 0.0, 1, 1)] * 4
    assert cost(*pictures) == ["mock-fal:   would have cost $0.012: 4 × fal-ai/flux/schnell"]


def test_the_dearest_endpoint_is_told_first() -> None:
    cheap = Charge("mock", "fal-ai/flux/schnell", 0.0, 2, 2)
    dear = Charge("mock", "fal-ai/flux/dev", 0.0, 1, 1)
    assert cost(cheap, dear) == [
        "mock-fal:   would have cost $0.031: 1 × fal-ai/flux/dev, 2 × fal-ai/flux/schnell"
    ]


def test_a_run_that_would_have_cost_nothing_says_nothing_of_it() -> None:
    assert cost() == []


@pytest.mark.parametrize(("units", "dollars"), [(1, "0.025"), (4, "0.10"), (40, "1.00"), (60, "1.50")])
def test_an_amount_has_cents_at_least(units: int, dollars: str) -> None:
    [line] = cost(Charge("mock", "fal-ai/flux/dev", 0.0, 1, units))
    assert f"${dollars}:" in line


def test_cassettes_are_counted_and_the_idle_ones_named() -> None:
    seen = [exchange("GET", "fal.run/a") for _ in range(4)]
    for each, word in zip(seen, ["replayed 1.json", "replayed 2.json", "no cassette", ""], strict=True):
        each.playback = word
    told = summary(seen, [], unused=[f"{number}.json" for number in range(3, 8)])
    assert "mock-fal:   cassettes: 2 replayed, 1 without a cassette\n" in told
    assert "mock-fal:   never used: 3.json, 4.json, 5.json and 2 more\n" in told


def test_what_was_recorded_need_not_be_emulated() -> None:
    recorded = exchange("POST", "fal.run/fal-ai/kling-video")
    recorded.playback = "recorded 0001.json"
    assert lines([recorded])[2:] == ["mock-fal:   cassettes: 1 recorded"]
