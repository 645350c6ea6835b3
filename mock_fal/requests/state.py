"""The state of a request as one of five words; fal has three, and reports failures and cancellations separately."""

from __future__ import annotations

from enum import Enum

from mock_fal.requests.lifecycle import Ending
from mock_fal.requests.outcome import RequestFailure
from mock_fal.requests.queue import ModelRequest


class State(Enum):
    """The state of a request. The last three are fal's COMPLETED."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def state(request: ModelRequest, now: float) -> State:
    """The state of a request at `now`. FAILED if the model or fal returned an error."""
    schedule = request.schedule
    if now < schedule.leaves_queue_at:
        return State.QUEUED
    if now < schedule.ends_at:
        return State.RUNNING
    if schedule.ending in (Ending.CANCELLED, Ending.STOPPED, Ending.DISCONNECTED):
        return State.CANCELLED
    outcome = request.head
    if schedule.ending is Ending.TIMED_OUT or isinstance(outcome, RequestFailure) or outcome.status >= 400:
        return State.FAILED
    return State.COMPLETED
