"""Cases of streaming: server-sent events of a model and of the queue, in every form that the standard allows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mock_fal_contracts.client.case import Check, ClientCase, case
from mock_fal_contracts.client.checks import (
    fails,
    has_header,
    rejects,
    requests_exactly,
    sends,
    shown,
    succeeds,
)
from mock_fal_contracts.client.jobs import INPUT, QUEUE_DOCS, SSE, STREAM_DOCS, about_new, stream
from mock_fal_contracts.client.observation import Observation

_EVENTS: Final = [{"progress": 0.25}, {"output": "a 猫", "partial": True}, {"images": [], "seed": 7}]


def _events_are(*events: Any) -> Check:
    def check(observation: Observation) -> Iterator[str]:
        if not observation.ok:
            yield from succeeds(observation)
            return
        actual = observation.answer.get("events")
        if actual != list(events):
            yield f"the events are {shown(actual)}, expected {shown(list(events))}"
        elif observation.answer.get("result") != events[-1]:
            yield f"result is {shown(observation.answer.get('result'))}, expected the last event"

    return check


def _sent_events(observation: Observation) -> list[Any]:
    exchanges = observation.requests("stream")
    text = exchanges[-1].response_body.decode() if exchanges else ""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def _all_events(observation: Observation) -> Iterator[str]:
    yield from _events_are(*_sent_events(observation))(observation)


def _form(id: str, title: str, text: str, checks: Iterable[Check], **rule: Any) -> ClientCase:
    """A stream with exactly this text as its body."""
    return case(
        f"stream.{id}",
        title,
        "Events are parsed as the standard says.",
        SSE,
        [stream()],
        checks,
        rules=[
            {
                "operation": "stream",
                "status": 200,
                "body": text,
                "headers": {"content-type": "text/event-stream"},
                **rule,
            }
        ],
    )


def _sse(events: Iterable[Any] = _EVENTS, end: str = "\n") -> str:
    return "".join(f"data: {json.dumps(event, ensure_ascii=False)}{end}{end}" for event in events)


def _updates_end(observation: Observation) -> Iterator[str]:
    states = [update.get("status") for update in observation.updates]
    if not states or states[-1] != "COMPLETED":
        yield f"the updates have the states {states}, expected COMPLETED as the last; each event is a status"


CASES: Final = [
    case(
        "stream.events",
        "a model streams",
        "POST fal.run/{endpoint id}/stream; the last event is the result.",
        STREAM_DOCS,
        [stream()],
        [_all_events, sends("stream", INPUT), requests_exactly("stream", 1, "stream once")],
    ),
    case(
        "stream.accept",
        "an event stream is requested",
        "Accept: text/event-stream.",
        STREAM_DOCS,
        [stream()],
        [
            succeeds,
            has_header(
                "stream", ("Accept",), lambda value: "text/event-stream" in value, "text/event-stream"
            ),
        ],
    ),
    case(
        "stream.drip",
        "events that arrive in small chunks",
        "Chunk boundaries have no meaning.",
        SSE,
        [stream()],
        [_events_are({"progress": 0.5}, {"seed": 7})],
        rules=[
            {
                "operation": "stream",
                "status": 200,
                "body": _sse([{"progress": 0.5}, {"seed": 7}]),
                "headers": {"content-type": "text/event-stream"},
                "throttle": 24,
            }
        ],
        slow_s=1,
    ),
    _form(
        "unicode",
        "Unicode events",
        _sse([{"a": "猫 🐈 Zoë\u2028"}]),
        [_events_are({"a": "猫 🐈 Zoë\u2028"})],
    ),
    _form(
        "unicode-drip",
        "a character split between two chunks",
        _sse([{"a": "猫🐈" * 25}]),
        [_events_are({"a": "猫🐈" * 25})],
        throttle=56,
    ),
    _form(
        "comments",
        "comments between events",
        ": ping\n\n" + _sse(_EVENTS[:1]) + ":\n: ping\n\n" + _sse(_EVENTS[1:]) + ": bye\n\n",
        [_events_are(*_EVENTS)],
    ),
    _form("crlf", "lines that end in CR LF", _sse(end="\r\n"), [_events_are(*_EVENTS)]),
    _form("cr", "lines that end in CR", _sse(end="\r"), [_events_are(*_EVENTS)]),
    _form("no-space", "no space after the colon", _sse().replace("data: ", "data:"), [_events_are(*_EVENTS)]),
    _form(
        "multi-line",
        "data on several lines",
        'data: {"a":\ndata: [1,\ndata: 2]}\n\n',
        [_events_are({"a": [1, 2]})],
    ),
    _form(
        "named",
        "events with a name and an id",
        _sse().replace("data: ", "event: event\nid: 7\nretry: 9\ndata: "),
        [_events_are(*_EVENTS)],
    ),
    _form(
        "unknown-field",
        "unknown fields",
        _sse().replace("data: ", "trace: x\nnothing\ndata: "),
        [_events_are(*_EVENTS)],
    ),
    _form("bom", "a byte order mark", "\ufeff" + _sse(), [_events_are(*_EVENTS)]),
    _form("unfinished", "an incomplete last event", _sse() + 'data: {"half": ', [_events_are(*_EVENTS)]),
    _form(
        "large",
        "an event of a megabyte",
        _sse([{"image": "data:image/png;base64," + "QUJD" * 262144}]),
        [_events_are({"image": "data:image/png;base64," + "QUJD" * 262144})],
    ),
    _form(
        "falsy",
        "events that are empty or zero",
        _sse([{}, {"a": None}, {"b": 0}]),
        [_events_are({}, {"a": None}, {"b": 0})],
    ),
    _form(
        "malformed",
        "an event that is not JSON",
        _sse(_EVENTS[:1]) + "data: {'no': json}\n\n",
        [rejects("an event that is not JSON")],
    ),
    case(
        "stream.validation",
        "an invalid input",
        "An error before the first event is a plain response: 422.",
        STREAM_DOCS,
        [stream({"seed": 7})],
        [fails(status=422, kind="validation", saying=("Field required",))],
    ),
    case(
        "stream.locked",
        "a locked account",
        "403: detail says what to do.",
        STREAM_DOCS,
        [stream()],
        [fails(status=403, kind="http", saying=("Exhausted balance",))],
        rules=["operation=stream account=locked"],
    ),
    case(
        "stream.cut",
        "a truncated stream",
        "A truncated stream is not a result.",
        "HTTP (RFC 9112), 8",
        [stream()],
        [rejects("a truncated stream")],
        rules=["operation=stream connection=reset_after_headers"],
    ),
    case(
        "stream.status",
        "the queue streams the status",
        "…/status/stream sends the status after each change, and ends at COMPLETED.",
        QUEUE_DOCS,
        [about_new("stream_status", "queue=3 run=3")],
        [succeeds, _updates_end],
    ),
    case(
        "stream.status-ping",
        "comments keep a stream open",
        "The server sends a comment every 15 seconds.",
        QUEUE_DOCS,
        [about_new("stream_status", "queue=40 run=0")],
        [succeeds, _updates_end],
        slow_s=4,
    ),
]
