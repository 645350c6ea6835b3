"""The state of a request at one moment, as a client sees it: status with queue position, logs and failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mock_fal.requests.lifecycle import (
    Completed,
    LogLine,
    Queued,
    Status,
    logs,
    next_change,
    next_offset_change,
    position_offset,
    status,
)
from mock_fal.requests.outcome import RequestFailure
from mock_fal.requests.queue import AppQueue, ModelRequest


class View(NamedTuple):
    """A request, its status, all its log lines so far, and why it failed."""

    request: ModelRequest
    status: Status
    logs: Sequence[LogLine]
    failure: RequestFailure | None = None

    @property
    def is_completed(self) -> bool:
        return isinstance(self.status, Completed)


def view(
    request: ModelRequest, queue: Callable[[ModelRequest], AppQueue], now: float, *, with_logs: bool = True
) -> View:
    """The state of a request at `now`; `queue` finds its queue, which counts only while it waits."""
    if now < request.planned.leaves_queue_at and not request.planned.retried:
        # Nothing here depends on the outcome, which may not be worked out yet.
        return View(request, Queued(ahead_of(request, queue(request), now)), [])
    schedule = request.schedule
    return View(
        request,
        status(schedule, now),
        logs(schedule, request.steps, now, request.kind, request.earlier_steps) if with_logs else [],
        request.failure if now >= schedule.ends_at else None,
    )


def ahead_of(request: ModelRequest, queue: AppQueue, now: float) -> int:
    """The queue position of a waiting request: the requests ahead of it, real ones and those that a directive adds."""
    ahead = queue.ahead(request, now)
    return ahead + position_offset(request.submission, now) if request.submission.position else ahead


def next_change_at(request: ModelRequest, queue: AppQueue, now: float) -> float:
    """The next moment after `now` at which the view may change: a stage, a log line or a queue position."""
    moment = next_change(request.schedule, request.steps, now, request.earlier_steps)
    if now < request.schedule.leaves_queue_at:
        moment = min(moment, queue.next_departure(now), next_offset_change(request.submission, now))
    return moment
