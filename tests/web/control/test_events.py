"""Server-sent events: what changes, for clients that listen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from mock_fal.clock import EPOCH
from mock_fal.gateway.connect import Event
from mock_fal.terminal import logger
from mock_fal.web.control import events
from mock_fal.web.control.events import HEARTBEAT_S, MAX_EVENTS, MAX_LISTENERS, Feed
from mock_fal.webhooks.outbox import Attempt
from tests.web.conftest import NONE, OURS, QUEUE, QUEUE_S, RUN_S, SCHNELL, Call, Fal, Serve

EVENTS = f"{OURS}/_mock/events"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare in each turn of the event loop."""
    monkeypatch.setattr(events, "TICK_S", 0.0)
    monkeypatch.setattr(events, "_PAUSE", 0.0)


class Listener:
    """A client that listens, and what it has received."""

    def __init__(self, fal: Fal, query: str = "", headers: Mapping[str, str] = NONE) -> None:
        self.fal = fal
        self.call: Call = fal.start_request("GET", f"{EVENTS}{query}", key=None, headers=headers)

    def ids(self) -> list[str]:
        """The ids of the new events."""
        return [event["id"] for event in self._new()]

    def new(self) -> list[tuple[str, dict[str, Any]]]:
        """The names and the data of the new events."""
        return [(event["event"], json.loads(event["data"])) for event in self._new()]

    def names(self) -> list[str]:
        return [name for name, _ in self.new()]

    def changed(self) -> list[str] | None:
        """The calls of the new events `changed`."""
        ids: list[str] = []
        for name, data in self.new():
            if name == "changed":
                if data["ids"] is None:
                    return None
                ids += data["ids"]
        return ids

    def _new(self) -> list[dict[str, str]]:
        self.fal.run_until_idle()
        *texts, rest = self.call.new_text().split("\n\n")
        assert rest == ""
        lines = [text.split("\n") for text in texts if not text.startswith(":")]
        return [dict(line.split(": ", 1) for line in event) for event in lines]


def test_the_first_event_says_who_speaks(fal: Fal) -> None:
    [(name, data)] = Listener(fal).new()
    assert name == "hello"
    assert len(data.pop("epoch")) == 8 and data.pop("version")
    assert data == {"now": EPOCH, "resumed": False, "clock": "manual", "speed": 1.0}


def test_a_call_is_reported_when_it_is_made_and_in_each_state(fal: Fal) -> None:
    fal.completed("before anybody listens")
    listener = Listener(fal)
    assert listener.names() == ["hello"]
    handle = fal.submit()
    assert handle.id in (listener.changed() or ())
    fal.run_until_idle()
    assert listener.new() == []
    fal.advance(QUEUE_S)
    assert listener.changed() == [handle.id]
    fal.advance(RUN_S / 4)
    assert listener.changed() == [handle.id]  # a line of progress
    fal.advance(RUN_S)
    assert listener.changed() == [handle.id]
    fal.advance(RUN_S)
    assert listener.names() == ["clock"]


def test_a_queue_position_is_reported(fal: Fal) -> None:
    fal.submit("[mock: queue=5]")
    behind = fal.submit("[mock: queue=50]")
    listener = Listener(fal)
    listener.new()
    fal.advance(5)
    assert behind.id in (listener.changed() or ())


def test_a_cancellation_is_reported(fal: Fal) -> None:
    handle = fal.submit()
    listener = Listener(fal)
    listener.new()
    handle.cancel()
    assert listener.changed() == [handle.id]


def test_a_refused_call_is_reported(fal: Fal) -> None:
    listener = Listener(fal)
    listener.new()
    fal.request("POST", f"{QUEUE}/fal-ai/nope", body=b"{}")
    assert [(name, data.get("ids"), data.get("latest")) for name, data in listener.new()] == [
        ("exchange", None, 1),
        ("changed", ["exchange-1"], None),
    ]


def test_an_attempt_at_a_webhook_is_reported_and_its_resend(fal: Fal) -> None:
    handle = fal.completed(query="?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook")
    listener = Listener(fal)
    listener.new()
    [delivery] = fal.emulator.due_deliveries()
    fal.emulator.outbox.record(delivery, Attempt(EPOCH + 10, 0.1, 200))
    assert listener.changed() == [handle.id]
    fal.emulator.resend_webhook(handle.id)
    assert listener.changed() == [handle.id]


def test_many_changes_are_one_event_without_ids(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_IDS", 2)
    for _ in range(3):
        fal.submit()
    listener = Listener(fal)
    listener.new()
    fal.advance(QUEUE_S)
    assert listener.changed() is None


def test_with_many_open_calls_only_their_states_are_compared(
    fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_WATCHED", 1)
    first, _ = fal.submit("[mock: queue=2]"), fal.submit("[mock: queue=50]")
    listener = Listener(fal)
    listener.new()
    fal.advance(QUEUE_S)
    assert listener.changed() == [first.id]
    fal.advance(RUN_S / 2)  # a line of progress
    assert listener.changed() == []


def test_rules_and_their_counts_are_reported(fal: Fal) -> None:
    listener = Listener(fal)
    listener.new()
    fal.emulator.scenario.add("queue=1")
    assert listener.names() == ["scenario"]
    fal.submit()
    assert "scenario" in listener.names()
    fal.request("PUT", f"{OURS}/_mock/scenario?key=bob", body=b'["queue=2"]')
    assert listener.names() == ["scenario"]


def test_a_reset_is_reported(fal: Fal) -> None:
    fal.submit()
    listener = Listener(fal)
    listener.new()
    fal.request("DELETE", f"{OURS}/_mock/requests?key=alice")
    assert "reset" in listener.names()
    handle = fal.submit()
    assert handle.id in (listener.changed() or ())


def test_another_speed_is_reported(serve: Serve) -> None:
    fal = serve(clock="system")
    listener = Listener(fal)
    listener.new()
    fal.request("PUT", f"{OURS}/_mock/clock", body=b'{"speed": 5}')
    assert [(name, data["speed"]) for name, data in listener.new()] == [("clock", 5.0)]


def test_connections_of_the_gateway_are_reported(fal: Fal) -> None:
    listener = Listener(fal)
    listener.new()
    fal.app.connections = [Event("blocked", "fal.media", 443, "not emulated")]
    assert listener.names() == ["connections"]


# -- coming back


def test_a_client_that_comes_back_gets_what_it_missed(fal: Fal) -> None:
    other, first = Listener(fal), Listener(fal)
    [last_id] = first.ids()
    first.call.disconnect()
    handle = fal.submit()
    again = Listener(fal, headers={"last-event-id": last_id})
    [(name, hello), *rest] = again.new()
    assert (name, hello["resumed"]) == ("hello", True)
    assert [data["ids"] for name, data in rest if name == "changed"] == [[handle.id]]
    assert len(other.new()) == 1 + len(rest)


@pytest.mark.parametrize("last_id", ["", "x", "other.0", "{epoch}.x", "{epoch}.99999", "{epoch}." + "9" * 40])
def test_a_client_with_another_id_reads_everything_again(fal: Fal, last_id: str) -> None:
    [(_, hello)] = Listener(fal).new()
    again = Listener(fal, headers={"last-event-id": last_id.format(epoch=hello["epoch"])})
    assert [data["resumed"] for _, data in again.new()] == [False]


def test_after_a_restart_the_epoch_is_another_one(serve: Serve) -> None:
    epochs = [Listener(serve()).new()[0][1]["epoch"] for _ in range(2)]
    assert epochs[0] != epochs[1]


def test_a_client_that_is_too_slow_reads_everything_again(fal: Fal) -> None:
    stream = feed(fal).stream()
    assert b"event: hello" in fal.wait_for(anext(stream))
    for _ in range(MAX_EVENTS + 1):
        fal.emulator.scenario.add("queue=1")
        fal.wait_for(feeds[-1].look())
        fal.emulator.scenario.clear()
    text = fal.wait_for(anext(stream))
    assert b"event: hello" in text and b'"resumed": false' in text
    fal.wait_for(stream.aclose())


feeds: list[Feed] = []


def feed(fal: Fal) -> Feed:
    feeds.append(Feed(fal.emulator, lambda: ()))
    return feeds[-1]


# -- limits


def test_nothing_is_compared_while_nobody_listens(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    look = Feed.look

    async def noted(self: Feed) -> None:
        looks.append(None)
        await look(self)

    monkeypatch.setattr(Feed, "look", noted)
    fal.submit()
    fal.run_until_idle()
    assert looks == []
    listener = Listener(fal)
    fal.run_until_idle()
    assert looks != []
    listener.call.disconnect()
    looks.clear()
    fal.run_until_idle()
    assert looks == []


def test_no_outcome_is_derived(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(fal)
    fal.submit()
    monkeypatch.setattr("mock_fal.requests.queue.ModelRequest.result", property(pytest.fail))
    fal.advance(QUEUE_S + RUN_S)
    assert listener.names()[-1] in ("changed", "clock")


def test_the_number_of_listeners_is_limited(fal: Fal) -> None:
    listeners = [Listener(fal) for _ in range(MAX_LISTENERS)]
    response = fal.request("GET", EVENTS, key=None)
    assert (response.status_code, response.json()["detail"]) == (503, "mock-fal: 32 clients listen already")
    listeners[0].call.disconnect()
    assert Listener(fal).names() == ["hello"]


def test_a_limited_stream_ends(fal: Fal) -> None:
    listener = Listener(fal, "?limit=2")
    assert listener.names() == ["hello"]
    fal.emulator.scenario.add("queue=1")
    assert listener.names() == ["scenario"]
    assert listener.call.is_over


@pytest.mark.parametrize("limit", ["0", "x", "-1", "99999999"])
def test_an_invalid_limit_is_rejected(fal: Fal, limit: str) -> None:
    assert fal.request("GET", f"{EVENTS}?limit={limit}", key=None).status_code == 422


def test_a_head_request_does_not_listen(fal: Fal) -> None:
    response = fal.request("HEAD", EVENTS, key=None)
    assert (response.status_code, response.headers["content-type"]) == (
        200,
        "text/event-stream; charset=utf-8",
    )


def test_a_comment_keeps_the_connection_open(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert HEARTBEAT_S == 15.0
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.0)
    call = fal.start_request("GET", EVENTS, key=None)
    assert ": still here\n\n" in call.new_text()
    call.disconnect()


def test_an_error_of_ours_does_not_end_the_stream(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(fal)
    listener.new()
    with monkeypatch.context() as patch:
        patch.setattr(logger, "exception", lambda message: None)
        patch.setattr(Feed, "_look_at_calls", lambda self: 1 / 0)
        fal.run_until_idle()
    fal.request("POST", f"{QUEUE}/{SCHNELL}", body=b"{}")
    assert "changed" in listener.names()
