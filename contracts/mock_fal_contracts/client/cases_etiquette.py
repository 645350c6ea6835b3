"""Manners: how often a client asks, when it stops, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Final

from mock_fal_contracts.client.case import Seen, case, kind
from mock_fal_contracts.client.checks import as_answered, asks, has_header, pauses, result_is, succeeds
from mock_fal_contracts.client.jobs import BOTH, QUEUE_DOCS, run, submit, subscribe
from mock_fal_contracts.client.playing import gaps_s

_NEVER: Final = {"prompt": "a cat [mock: queue=0 run=9000]"}


def _cancelled(seen: Seen) -> Iterator[str]:
    if not seen.to("cancel"):
        yield "the client gave up and left the request in the queue, where it runs and is billed; send PUT …/cancel"


def _silent_after_cancel(seen: Seen) -> Iterator[str]:
    places = [place for place, each in enumerate(seen.exchanges) if kind(each) == "cancel"]
    if not places:
        yield "no cancellation was sent, behind which it could be silent"
        return
    behind = seen.exchanges[places[-1] + 1 :]
    # What was under way when the deadline came may still arrive.
    if len(behind) > 1:
        yield f"{len(behind)} more requests came after the cancellation, expected none; stop polling when you give up"


def _stops_polling(seen: Seen) -> Iterator[str]:
    states = [(each.output or {}).get("status") for each in seen.to("status")]
    more = states.count("COMPLETED") - 1
    if more > 0:
        yield f"the status was asked for {more} time more after it was COMPLETED; fetch the result then"


def _waits_as_told(seen: Seen) -> Iterator[str]:
    gaps = gaps_s(seen.to("submit"))
    if not gaps:
        yield "the submission was not tried again, expected once more after Retry-After: 4"
    elif gaps[0] < 3.9:
        yield f"it was tried again after {gaps[0]:.2f} s, expected 4 s at least, as Retry-After said"


def _ends_with_result(seen: Seen) -> Iterator[str]:
    if seen.exchanges and kind(seen.exchanges[-1]) != "result":
        yield f"the last request is of the kind {kind(seen.exchanges[-1])!r}, expected the result; stop then"


CASES: Final = [
    case(
        "etiquette.polling",
        "polls have pauses",
        "A poll every half second, or tenth of one, is enough.",
        BOTH,
        [subscribe({"prompt": "a cat [mock: queue=0 run=15]"})],
        [succeeds, pauses("status", 0.04, "wait at least 100 ms between polls", of=median)],
        slow_s=2,
    ),
    case(
        "etiquette.polling-stops",
        "polling stops at COMPLETED",
        "COMPLETED is final.",
        QUEUE_DOCS,
        [subscribe({"prompt": "a cat [mock: queue=0 run=2]"})],
        [succeeds, _stops_polling],
    ),
    case(
        "etiquette.one-result",
        "the result is fetched once",
        "A result may be large.",
        QUEUE_DOCS,
        [subscribe({"prompt": "a cat [mock: queue=0 run=2]"})],
        [succeeds, asks("result", 1, "keep what it said"), _ends_with_result],
    ),
    case(
        "etiquette.one-run",
        "a direct call is made once",
        "Each call is billed.",
        "fal's documentation of billing, 2026",
        [run()],
        [result_is(as_answered("run")), asks("run", 1, "a second one is a second bill")],
    ),
    case(
        "etiquette.cancels",
        "who gives up cancels",
        "A request that nobody waits for is cancelled.",
        BOTH,
        [subscribe(_NEVER, timeout_s=1.5)],
        [_cancelled],
        linger_s=0.5,
        deadline_s=10,
        slow_s=2,
    ),
    case(
        "etiquette.silent",
        "who gives up is silent",
        "After the cancellation nothing is asked.",
        BOTH,
        [subscribe(_NEVER, timeout_s=1.5)],
        [_silent_after_cancel],
        linger_s=1.0,
        deadline_s=10,
        slow_s=2,
    ),
    case(
        "etiquette.backoff",
        "a refused submission is not repeated at once",
        "Retries have growing pauses.",
        BOTH,
        [submit()],
        [succeeds, pauses("submit", 0.03, "wait before you try again")],
        rules=["operation=submit status=429 times=2"],
        slow_s=3,
    ),
    case(
        "etiquette.retry-after",
        "Retry-After is kept",
        "Retry-After says how long to wait.",
        "RFC 6585, 4; HTTP (RFC 9110), 10.2.3",
        [submit()],
        [succeeds, _waits_as_told],
        rules=["operation=submit status=429 retry_after=4 times=1"],
        slow_s=4,
    ),
    case(
        "etiquette.user-agent",
        "the client says who it is",
        "A User-Agent should be sent.",
        "HTTP (RFC 9110), 10.1.5",
        [submit()],
        [has_header("submit", ("User-Agent",), lambda value: "/" in value, "name/version")],
    ),
    case(
        "etiquette.no-body-on-get",
        "a GET has no body",
        "Content in a GET has no meaning.",
        "HTTP (RFC 9110), 9.3.1",
        [subscribe()],
        [
            succeeds,
            lambda seen: (
                f"{each.method} {each.path} has a body of {len(each.request_body)} bytes, expected none"
                for each in seen.exchanges
                if each.method == "GET" and each.request_body
            ),
        ],
    ),
]
