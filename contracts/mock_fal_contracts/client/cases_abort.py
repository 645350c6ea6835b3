"""Cases of calls that the caller aborts: by an AbortSignal, by cancelling a task, or as the language does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mock_fal_contracts.client.case import Check, ClientCase, case
from mock_fal_contracts.client.checks import fails, requests_at_most
from mock_fal_contracts.client.driver import Job
from mock_fal_contracts.client.jobs import (
    BOTH,
    QUEUE_DOCS,
    RUN_DOCS,
    STREAM_DOCS,
    run,
    stream,
    submit,
    subscribe,
)
from mock_fal_contracts.client.mock_server import SPEED
from mock_fal_contracts.client.observation import Observation

# When the caller aborts, and how long afterwards a request may still have been in flight. A client that starts many
# calls on a busy machine has taken more than two seconds to send its first request.
_ABORT_S: Final = 4.0
_LATE_S: Final = 1.0

# How long an aborted call may take: longer than the time between two polls, far less than the request.
_DEADLINE_S: Final = 10.0

# With the clock of the mock this takes fifteen minutes.
_ENDLESS: Final = {"prompt": "a cat [mock: queue=0 run=9000]", "seed": 7}

_ABORTED: Final = fails(kind="aborted")


def _case(
    id: str, title: str, requirement: str, source: str, job: Job, *checks: Check, rule: str = ""
) -> ClientCase:
    return case(
        f"abort.{id}",
        title,
        requirement,
        source,
        [job],
        checks,
        rules=[rule] if rule else [],
        deadline_s=_DEADLINE_S,
        linger_s=0.5,
        slow_s=_ABORT_S,
    )


def _cancelled(observation: Observation) -> Iterator[str]:
    if not observation.requests("cancel"):
        yield "the aborted request was left in the queue, where it runs and is billed; send PUT …/cancel"


def _silent(observation: Observation) -> Iterator[str]:
    submissions = observation.requests("submit")
    if not submissions:
        yield "'submit' was never requested"
        return
    ends = submissions[0].at + (_ABORT_S + _LATE_S) * SPEED
    late = [exchange for exchange in observation.requests("status", "result", "submit") if exchange.at > ends]
    if late:
        yield f"{len(late)} requests followed the abortion, the first one to {late[0].path}; send none but …/cancel"


def _stream_closed(observation: Observation) -> Iterator[str]:
    streams = observation.requests("stream")
    if len(streams) != 1:
        yield f"'stream' was requested {len(streams)} times, expected once"
    if any(exchange.is_open for exchange in streams):
        yield "the connection of the aborted stream is still open; close it"


CASES: Final = [
    _case(
        "subscribe",
        "an aborted subscription ends",
        "A call ends when its caller aborts it, with the error that the language has for it.",
        BOTH,
        subscribe(_ENDLESS, abort_after_s=_ABORT_S),
        _ABORTED,
    ),
    _case(
        "subscribe-cancels",
        "an aborted subscription cancels its request",
        "A request that nobody waits for is cancelled.",
        QUEUE_DOCS,
        subscribe(_ENDLESS, abort_after_s=_ABORT_S),
        _cancelled,
    ),
    _case(
        "subscribe-silent",
        "an aborted subscription stops polling",
        "No request except the cancellation follows.",
        BOTH,
        subscribe(_ENDLESS, abort_after_s=_ABORT_S),
        _silent,
    ),
    _case(
        "submit",
        "an aborted submission ends, and is not retried",
        "A call ends when its caller aborts it; that is no failure of the network.",
        BOTH,
        submit(abort_after_s=_ABORT_S),
        _ABORTED,
        requests_at_most("submit", 1, "an abortion is no reason to retry"),
        rule="operation=submit connection=hang",
    ),
    _case(
        "run",
        "an aborted direct call ends, and is not retried",
        "A call ends when its caller aborts it; that is no failure of the network.",
        RUN_DOCS,
        run(_ENDLESS, abort_after_s=_ABORT_S),
        _ABORTED,
        requests_at_most("run", 1, "an abortion is no reason to retry"),
    ),
    _case(
        "stream",
        "an aborted stream ends",
        "A call ends when its caller aborts it. The events so far are not the result.",
        STREAM_DOCS,
        stream(_ENDLESS, abort_after_s=_ABORT_S),
        _ABORTED,
    ),
    _case(
        "stream-closed",
        "an aborted stream closes its connection",
        "The runner stops when the connection of a stream is closed.",
        STREAM_DOCS,
        stream(_ENDLESS, abort_after_s=_ABORT_S),
        _stream_closed,
    ),
]
