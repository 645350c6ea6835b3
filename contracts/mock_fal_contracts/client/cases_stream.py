"""Streams: server-sent events, from a model and from the queue, in every form that the standard allows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mock_fal_contracts.client.case import Check, ClientCase, Seen, case
from mock_fal_contracts.client.checks import asks, fails, has_header, refuses, sends, shown, succeeds
from mock_fal_contracts.client.jobs import INPUT, QUEUE_DOCS, SSE, STREAM_DOCS, about_new, stream

_EVENTS: Final = [{"progress": 0.25}, {"output": "a 猫", "partial": True}, {"images": [], "seed": 7}]


def _events_are(*events: Any) -> Check:
    def check(seen: Seen) -> Iterator[str]:
        if not seen.ok:
            yield from succeeds(seen)
            return
        found = seen.answer.get("events")
        if found != list(events):
            yield f"the events are {shown(found)}, expected {shown(list(events))}"
        elif seen.answer.get("result") != events[-1]:
            yield f"result is {shown(seen.answer.get('result'))}, expected the last event"

    return check


def _sent_events(seen: Seen) -> list[Any]:
    sent = seen.to("stream")
    text = sent[-1].response_body.decode() if sent else ""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def _all_events(seen: Seen) -> Iterator[str]:
    yield from _events_are(*_sent_events(seen))(seen)


def _form(id: str, title: str, text: str, checks: Iterable[Check], **rule: Any) -> ClientCase:
    """A stream that says a text, to the letter."""
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


def _said(events: Iterable[Any] = _EVENTS, end: str = "\n") -> str:
    return "".join(f"data: {json.dumps(each, ensure_ascii=False)}{end}{end}" for each in events)


def _updates_end(seen: Seen) -> Iterator[str]:
    told = [each.get("status") for each in seen.answer.get("updates") or []]
    if not told or told[-1] != "COMPLETED":
        yield f"the updates are {told}, expected COMPLETED as the last; each event is a status"


CASES: Final = [
    case(
        "stream.events",
        "a model streams",
        "POST fal.run/{endpoint id}/stream; the last event is the result.",
        STREAM_DOCS,
        [stream()],
        [_all_events, sends("stream", INPUT), asks("stream", 1, "stream once")],
    ),
    case(
        "stream.accept",
        "events are asked for",
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
        "events that come in small pieces",
        "Where the network cuts a stream means nothing.",
        SSE,
        [stream()],
        [_events_are({"progress": 0.5}, {"seed": 7})],
        rules=[
            {
                "operation": "stream",
                "status": 200,
                "body": _said([{"progress": 0.5}, {"seed": 7}]),
                "headers": {"content-type": "text/event-stream"},
                "throttle": 24,
            }
        ],
        slow_s=1,
    ),
    _form(
        "unicode",
        "events in any script",
        _said([{"a": "猫 🐈 Zoë\u2028"}]),
        [_events_are({"a": "猫 🐈 Zoë\u2028"})],
    ),
    _form(
        "unicode-drip",
        "a character that arrives in two pieces",
        _said([{"a": "猫🐈" * 25}]),
        [_events_are({"a": "猫🐈" * 25})],
        throttle=56,
    ),
    _form(
        "comments",
        "comments between events",
        ": ping\n\n" + _said(_EVENTS[:1]) + ":\n: ping\n\n" + _said(_EVENTS[1:]) + ": bye\n\n",
        [_events_are(*_EVENTS)],
    ),
    _form("crlf", "lines that end in CR LF", _said(end="\r\n"), [_events_are(*_EVENTS)]),
    _form("cr", "lines that end in CR", _said(end="\r"), [_events_are(*_EVENTS)]),
    _form(
        "no-space", "no space behind the colon", _said().replace("data: ", "data:"), [_events_are(*_EVENTS)]
    ),
    _form(
        "multi-line",
        "data in several lines",
        'data: {"a":\ndata: [1,\ndata: 2]}\n\n',
        [_events_are({"a": [1, 2]})],
    ),
    _form(
        "named",
        "events with a name and an id",
        _said().replace("data: ", "event: event\nid: 7\nretry: 9\ndata: "),
        [_events_are(*_EVENTS)],
    ),
    _form(
        "unknown-field",
        "fields that nobody knows yet",
        _said().replace("data: ", "trace: x\nnothing\ndata: "),
        [_events_are(*_EVENTS)],
    ),
    _form("bom", "a byte order mark", "\ufeff" + _said(), [_events_are(*_EVENTS)]),
    _form(
        "unfinished", "a last event that isn't finished", _said() + 'data: {"half": ', [_events_are(*_EVENTS)]
    ),
    _form(
        "large",
        "an event of a megabyte",
        _said([{"image": "data:image/png;base64," + "QUJD" * 262144}]),
        [_events_are({"image": "data:image/png;base64," + "QUJD" * 262144})],
    ),
    _form(
        "falsy",
        "events that are empty or zero",
        _said([{}, {"a": None}, {"b": 0}]),
        [_events_are({}, {"a": None}, {"b": 0})],
    ),
    _form(
        "malformed",
        "an event that is no JSON",
        _said(_EVENTS[:1]) + "data: {'no': json}\n\n",
        [refuses("an event that is no JSON")],
    ),
    case(
        "stream.validation",
        "a wrong input",
        "An error before the first event is a plain answer: 422.",
        STREAM_DOCS,
        [stream({"seed": 7})],
        [fails(status=422, kind="validation", saying=("Field required",))],
    ),
    case(
        "stream.locked",
        "an account that is locked",
        "403: the detail says what to do.",
        STREAM_DOCS,
        [stream()],
        [fails(status=403, kind="http", saying=("Exhausted balance",))],
        rules=["operation=stream account=locked"],
    ),
    case(
        "stream.cut",
        "a stream that breaks",
        "A stream that is cut is not a result.",
        "HTTP (RFC 9112), 8",
        [stream()],
        [refuses("a stream that was cut")],
        rules=["operation=stream connection=reset_after_headers"],
    ),
    case(
        "stream.status",
        "the queue streams the status",
        "…/status/stream sends a status with each change, and ends.",
        QUEUE_DOCS,
        [about_new("stream_status", "queue=3 run=3")],
        [succeeds, _updates_end],
    ),
    case(
        "stream.status-ping",
        "comments keep a stream open",
        "A comment comes every 15 seconds.",
        QUEUE_DOCS,
        [about_new("stream_status", "queue=40 run=0")],
        [succeeds, _updates_end],
        slow_s=4,
    ),
]
