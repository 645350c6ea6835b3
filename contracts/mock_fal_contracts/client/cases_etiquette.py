"""Cases of etiquette: polling intervals, retry delays, and what a client does when it gives up."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Final

from mock_fal_contracts.client.case import case
from mock_fal_contracts.client.checks import (
    as_sent,
    has_header,
    pauses,
    requests_exactly,
    result_is,
    succeeds,
)
from mock_fal_contracts.client.jobs import BOTH, QUEUE_DOCS, run, submit, subscribe
from mock_fal_contracts.client.observation import Observation, gaps_s, operation_of

_NEVER_COMPLETES: Final = {"prompt": "a cat [mock: queue=0 run=9000]"}


def _cancelled(observation: Observation) -> Iterator[str]:
    if not observation.requests("cancel"):
        yield "the client gave up but left the request in the queue, where it runs and is billed; send PUT …/cancel"


def _silent_after_cancel(observation: Observation) -> Iterator[str]:
    operations = [operation_of(exchange) for exchange in observation.exchanges]
    if "cancel" not in operations:
        yield "no cancellation was sent"
        return
    count = operations[::-1].index("cancel")
    # One request may have been in flight when the time limit was reached.
    if count > 1:
        yield f"{count} more requests followed the cancellation, expected none; stop polling when you give up"


def _stops_polling(observation: Observation) -> Iterator[str]:
    states = [(exchange.output or {}).get("status") for exchange in observation.requests("status")]
    extra = states.count("COMPLETED") - 1
    if extra > 0:
        yield f"the status was polled {extra} times after it was COMPLETED; fetch the result instead"


def _waits_for_retry_after(observation: Observation) -> Iterator[str]:
    gaps = gaps_s(observation.requests("submit"))
    if not gaps:
        yield "the submission was not retried, expected one retry after Retry-After: 4"
    elif gaps[0] < 3.9:
        yield f"it was retried after {gaps[0]:.2f} s, expected at least 4 s, as Retry-After says"


def _ends_with_result(observation: Observation) -> Iterator[str]:
    last = operation_of(observation.exchanges[-1]) if observation.exchanges else "result"
    if last != "result":
        yield f"the last request is {last!r}, expected 'result'; send nothing after it"


CASES: Final = [
    case(
        "etiquette.polling",
        "there are pauses between polls",
        "A poll every 100 to 500 ms is enough.",
        BOTH,
        [subscribe({"prompt": "a cat [mock: queue=0 run=15]"})],
        [succeeds, pauses("status", 0.04, "wait at least 100 ms between polls", statistic=median)],
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
        [succeeds, requests_exactly("result", 1, "keep the first response"), _ends_with_result],
    ),
    case(
        "etiquette.one-run",
        "a direct call is made once",
        "Each call is billed.",
        "fal's documentation of billing, 2026",
        [run()],
        [result_is(as_sent("run")), requests_exactly("run", 1, "a second one is billed too")],
    ),
    case(
        "etiquette.cancels",
        "a client that gives up cancels the request",
        "A request that nobody waits for is cancelled.",
        BOTH,
        [subscribe(_NEVER_COMPLETES, timeout_s=1.5)],
        [_cancelled],
        linger_s=0.5,
        deadline_s=10,
        slow_s=2,
    ),
    case(
        "etiquette.silent",
        "a client that gives up stops polling",
        "No request follows the cancellation.",
        BOTH,
        [subscribe(_NEVER_COMPLETES, timeout_s=1.5)],
        [_silent_after_cancel],
        linger_s=1.0,
        deadline_s=10,
        slow_s=2,
    ),
    case(
        "etiquette.backoff",
        "a rejected submission is not retried immediately",
        "Retries have growing delays.",
        BOTH,
        [submit()],
        [succeeds, pauses("submit", 0.03, "wait before you retry")],
        rules=["operation=submit status=429 times=2"],
        slow_s=3,
    ),
    case(
        "etiquette.retry-after",
        "Retry-After is respected",
        "Retry-After is the time to wait before a retry.",
        "RFC 6585, 4; HTTP (RFC 9110), 10.2.3",
        [submit()],
        [succeeds, _waits_for_retry_after],
        rules=["operation=submit status=429 retry_after=4 times=1"],
        slow_s=4,
    ),
    case(
        "etiquette.user-agent",
        "the client identifies itself",
        "A User-Agent should be sent.",
        "HTTP (RFC 9110), 10.1.5",
        [submit()],
        [has_header("submit", ("User-Agent",), lambda value: "/" in value, "name/version")],
    ),
    case(
        "etiquette.no-body-on-get",
        "a GET has no body",
        "Content in a GET has no defined meaning.",
        "HTTP (RFC 9110), 9.3.1",
        [subscribe()],
        [
            succeeds,
            lambda observation: (
                f"{exchange.method} {exchange.path} has a body of {len(exchange.request_body)} bytes, expected none"
                for exchange in observation.exchanges
                if exchange.method == "GET" and exchange.request_body
            ),
        ],
    ),
]
