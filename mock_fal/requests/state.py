"""The state of a request in one word: fal has three, and says in other places how it came out."""

from __future__ import annotations

from enum import Enum

from mock_fal.requests.lifecycle import Ending
from mock_fal.requests.outcome import RequestFailure
from mock_fal.requests.queue import ModelRequest


class State(Enum):
    """Where a request stands. The last three are fal's COMPLETED."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def state(request: ModelRequest, now: float) -> State:
    """The state of a request at `now`. One that a model or fal refuses has failed."""
    its = request.schedule
    if now < its.leaves_queue_at:
        return State.QUEUED
    if now < its.ends_at:
        return State.RUNNING
    if its.ending in (Ending.CANCELLED, Ending.STOPPED, Ending.LEFT):
        return State.CANCELLED
    outcome = request.outcome
    if its.ending is Ending.TIMED_OUT or isinstance(outcome, RequestFailure) or outcome.status >= 400:
        return State.FAILED
    return State.COMPLETED
