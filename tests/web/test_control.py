"""Our own API, at our own address, for programs of this machine."""

from __future__ import annotations

import json

import pytest

import mock_fal
from mock_fal.clock import EPOCH
from mock_fal.outbox import Attempt
from tests.web.conftest import OURS, QUEUE, QUEUE_S, RUN_S, SCHNELL, Fal, Serve

REQUESTS = f"{OURS}/_mock/requests"
ADVANCE = f"{OURS}/_mock/clock/advance"


# -- health


def test_health_tells_the_version_and_the_moment(fal: Fal) -> None:
    fal.advance(1.5)
    answer = fal.ask("GET", f"{OURS}/_mock/health", key=None)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": mock_fal.__version__, "now": EPOCH + 1.5}


# -- requests


def test_requests_tell_what_was_asked_and_answered(fal: Fal) -> None:
    handle = fal.submit()
    (told,) = fal.ask("GET", REQUESTS).json()["requests"]
    assert told == {
        "at": EPOCH,
        "key": "alice",
        "method": "POST",
        "url": f"{QUEUE}/{SCHNELL}",
        "status": 200,
        "request_id": handle.id,
        "input": {"prompt": "a cat"},
        "output": handle.taken.json(),
    }


def test_requests_are_told_oldest_first_and_our_own_not_at_all(fal: Fal) -> None:
    handle = fal.submit()
    handle.status()
    fal.ask("GET", REQUESTS)
    told = fal.ask("GET", REQUESTS).json()["requests"]
    assert [each["url"] for each in told] == [f"{QUEUE}/{SCHNELL}", f"{handle.url}/status"]


@pytest.mark.parametrize(("key", "seen"), [("alice", 1), ("bob", 2), ("eve", 0), ("", 0)])
def test_requests_may_be_those_of_one_key(fal: Fal, key: str, seen: int) -> None:
    fal.submit(key="alice:secret")
    fal.submit(key="bob:secret").status(key=None)
    told = fal.ask("GET", f"{REQUESTS}?key={key}").json()["requests"]
    assert [each["key"] for each in told] == [key] * seen


def test_what_is_no_json_is_told_as_text(fal: Fal) -> None:
    picture = fal.picture()
    fal.emulator.reset()
    fal.submit(body=b"\xffa cat")
    fal.ask("GET", f"{QUEUE}/fal-ai/flux")
    fal.ask("GET", picture)
    told = fal.ask("GET", REQUESTS).json()["requests"]
    assert [each["input"] for each in told] == ["\ufffda cat", None, None]
    assert [each["output"] for each in told[1:]] == ["405: Method Not Allowed", {"detail": "File not found"}]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (rb'{"prompt":"\ud83d"}', {"prompt": "\ud83d"}),
        (b'{"prompt":"a cat","seed":NaN}', {"prompt": "a cat", "seed": None}),
        (b'{"prompt":"a cat","seed":1e999}', {"prompt": "a cat", "seed": None}),
    ],
)
def test_what_json_cannot_say_is_told_all_the_same(fal: Fal, body: bytes, told: object) -> None:
    fal.submit(body=body)
    assert fal.ask("GET", REQUESTS).json()["requests"][0]["input"] == told


def test_a_deep_body_in_another_alphabet_does_no_harm(fal: Fal) -> None:
    fal.submit(body=("[" * 200 + '"\xe9"' + "]" * 200).encode("utf-16"))
    assert isinstance(fal.ask("GET", REQUESTS).json()["requests"][0]["input"], str)


@pytest.mark.parametrize("depth", [99, 100, 101, 500, 800, 900])
def test_a_deep_body_is_told_as_the_text_that_it_came_as(fal: Fal, depth: int) -> None:
    body = "[" * depth + "]" * depth
    fal.submit(body=body.encode())
    told = fal.ask("GET", REQUESTS).json()["requests"][0]["input"]
    assert told == (json.loads(body) if depth <= 100 else body)


def test_a_reset_forgets_everything(fal: Fal) -> None:
    handle = fal.completed()
    answer = fal.ask("DELETE", REQUESTS)
    assert (answer.status_code, answer.content) == (204, b"")
    assert fal.ask("GET", REQUESTS).json() == {"requests": []}
    assert handle.result().status_code == 404


def test_a_reset_may_be_of_one_key(fal: Fal) -> None:
    alices, bobs = fal.submit(key="alice:secret"), fal.submit(key="bob:secret")
    fal.ask("DELETE", f"{REQUESTS}?key=alice")
    assert [each["key"] for each in fal.ask("GET", REQUESTS).json()["requests"]] == ["bob"]
    assert alices.status(key=None).status_code == 404
    assert bobs.status(key=None).status_code == 202


# -- deliveries

DELIVERIES = f"{OURS}/_mock/deliveries"


def test_deliveries_tell_what_was_tried(fal: Fal) -> None:
    handle = fal.submit(query="?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook")
    (delivery,) = fal.emulator.outbox.deliveries
    waiting = {
        "request_id": handle.id,
        "key": "alice",
        "url": "http://127.0.0.1:9/hook",
        "state": "waiting",
        "next_at": EPOCH + QUEUE_S + RUN_S,
        "attempts": [],
        "body": None,
    }
    assert fal.ask("GET", DELIVERIES).json() == {"deliveries": [waiting]}
    fal.emulator.outbox.record(delivery, Attempt(EPOCH + 10, 0.25, status=200))
    tried = {"at": EPOCH + 10, "status": 200, "duration_s": 0.25, "error": None}
    delivered = {**waiting, "state": "delivered", "next_at": None, "attempts": [tried]}
    assert fal.ask("GET", DELIVERIES).json() == {"deliveries": [delivered]}


@pytest.mark.parametrize(("key", "seen"), [("alice", ["alice"]), ("bob", ["bob"]), ("eve", [])])
def test_deliveries_may_be_those_of_one_key(fal: Fal, key: str, seen: list[str]) -> None:
    for name in ("alice", "bob"):
        fal.submit(key=f"{name}:secret", query="?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook")
    told = fal.ask("GET", f"{DELIVERIES}?key={key}").json()["deliveries"]
    assert [each["key"] for each in told] == seen


# -- the clock


@pytest.mark.parametrize("clock", ["manual", "stepping"])
def test_a_clock_that_tests_move_is_moved(serve: Serve, clock: str) -> None:
    fal = serve(clock=clock)
    answer = fal.ask("POST", ADVANCE, body=b'{"seconds": 10}')
    assert (answer.status_code, answer.json()) == (200, {"now": EPOCH + 10})
    assert fal.clock.now() == EPOCH + 10


def test_moving_the_clock_moves_requests(fal: Fal) -> None:
    handle = fal.submit()
    watcher = handle.watch()
    fal.ask("POST", ADVANCE, body=b'{"seconds": 2}')
    fal.settle()
    assert handle.status().json()["status"] == "IN_PROGRESS"
    assert [event["status"] for event in watcher.events()] == ["IN_QUEUE", "IN_PROGRESS"]


def test_the_systems_clock_is_not_moved(serve: Serve) -> None:
    answer = serve(clock="system").ask("POST", ADVANCE, body=b'{"seconds": 10}')
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("mock-fal: this clock moves by itself")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"10",
        b"[]",
        b"null",
        b"{}",
        b"{",
        b"\xff",
        b'{"seconds": "soon"}',
        b'{"seconds": null}',
        b'{"seconds": [1]}',
        b'{"seconds": -1}',
        b'{"seconds": NaN}',
        b'{"seconds": Infinity}',
        b'{"seconds": 1e300}',
        b'{"seconds": 1' + b"0" * 400 + b"}",
        b"[" * 100_000,
    ],
)
def test_what_is_no_span_leaves_the_clock_where_it_is(fal: Fal, body: bytes) -> None:
    answer = fal.ask("POST", ADVANCE, body=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith('mock-fal: expected {"seconds": 10}, with 0 or more seconds')
    assert fal.clock.now() == EPOCH


def test_the_clock_stays_where_dates_are(fal: Fal) -> None:
    """Behind the year 9999 no log line could be stamped any more."""
    century = b'{"seconds": %d}' % (8000 * 365 * 86400)
    assert [fal.ask("POST", ADVANCE, body=century).status_code for _ in range(2)] == [422, 422]
    handle = fal.submit()
    assert fal.ask("POST", ADVANCE, body=b'{"seconds": 200000000000}').status_code == 200
    assert handle.status("?logs=1").status_code == 200
    assert fal.submit().status().status_code == 202


# -- the gateway


def test_the_gateway_is_opened_when_asked_for(fal: Fal) -> None:
    assert fal.ask("POST", f"{OURS}/_mock/gateway").json() == {"proxy_url": "http://127.0.0.1:1"}


# -- who may ask


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8325", "LOCALHOST", "app.localhost:8325", "127.0.0.1", "127.0.0.1:8325"),
        *("[::1]", "[::1]:8325", "192.168.1.7:8325", "mock", "mock:8325", "host.docker.internal:8325"),
    ],
)
def test_programs_of_this_machine_may_ask(fal: Fal, host: str) -> None:
    assert fal.ask("GET", f"{OURS}/_mock/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:8325", "localhost.evil.test", "127.0.0.1.evil.test", "1.2.3.4.5", "[", "[::1"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/_mock/requests"), ("DELETE", "/_mock/requests"), ("GET", "/x")],
)
def test_a_name_that_could_be_anybodys_is_refused(fal: Fal, method: str, path: str, host: str) -> None:
    fal.submit()
    answer = fal.ask(method, OURS + path, headers={"host": host})
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("mock-fal: the control API answers local programs only")
    assert len(fal.journal) == 1


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "null",
        "",
        "http://127.0.0.1:3000",
        "http://localhost:8325",
        "http://[",
        "127.0.0.1:8325",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
def test_a_page_of_another_site_is_refused(fal: Fal, method: str, origin: str) -> None:
    fal.submit()
    answer = fal.ask(method, REQUESTS, headers={"origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert len(fal.journal) == 1


def test_our_own_page_may_ask(fal: Fal) -> None:
    assert fal.ask("GET", REQUESTS, headers={"origin": OURS}).status_code == 200


# -- where nothing is


@pytest.mark.parametrize("path", ["/_mock", "/_mock/nothing", "/fal-ai/flux/schnell", "/favicon.ico", "/v3b"])
def test_where_nothing_is_stands_where_something_is(fal: Fal, path: str) -> None:
    answer = fal.ask("GET", OURS + path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith(f"mock-fal: nothing at {path}. Hosts of fal are reached as /queue.fal.run/")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("POST", "/_mock/requests"), ("GET", "/_mock/clock/advance")]
)
def test_other_methods_are_refused(fal: Fal, method: str, path: str) -> None:
    assert fal.ask(method, OURS + path).status_code == 405


@pytest.mark.parametrize("path", ["/_mock/health", "/_mock/requests", "/_mock/clock/advance"])
def test_fals_hosts_have_no_control_api(fal: Fal, path: str) -> None:
    assert fal.ask("GET", QUEUE + path).status_code == 405
