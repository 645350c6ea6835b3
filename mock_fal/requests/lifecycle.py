"""The life of a request: when it starts and ends, and what it looks like at a given moment.

A request is told by facts (a `Ticket`) from which a `Schedule` follows; status, logs and result are functions
of the schedule and of `now`. It moves one way only:

    queued ──────────▶ running ──────────▶ completed
       │ start deadline, cancelled            ▲
       └──────────────────────────────────────┘

fal has these three states and no other: what failed and what was cancelled is completed too
(fal's Queue API documentation, 2026; held by tests/test_lifecycle.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from heapq import heapify, heappop, heappush, heapreplace


@dataclass(frozen=True, slots=True)
class Submission:
    """What was asked for, and when: moments in Unix seconds, spans in seconds.

    `number` is the order of submission. Low priority waits behind every normal request. `caller_left` says that
    it was cancelled by a connection that broke: the caller of a direct request hung up.
    """

    number: int
    queued_at: float
    queue_duration: float
    run_duration: float
    low_priority: bool = False
    start_timeout_s: float = math.inf
    cancelled_at: float = math.inf
    honours_cancel: bool = False
    # How many more are said to wait in front at first.
    position: int = 0
    caller_left: bool = False

    @property
    def ready_at(self) -> float:
        """The soonest that a runner may take it."""
        return self.queued_at + self.queue_duration


class Ending(Enum):
    """How a request came to be completed."""

    ANSWERED = "the runner answered"
    TIMED_OUT = "no runner started in time"
    CANCELLED = "cancelled while it waited"
    STOPPED = "cancelled while it ran, and the runner obeyed"
    LEFT = "the caller of a direct request hung up"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a request starts and ends. `starts_at` is infinite for one that never starts.

    `run_duration` is the whole length of the work, also when it was stopped before.
    """

    queued_at: float
    starts_at: float
    ends_at: float
    run_duration: float
    ending: Ending = Ending.ANSWERED

    @property
    def leaves_queue_at(self) -> float:
        return min(self.starts_at, self.ends_at)


@dataclass(frozen=True, slots=True)
class Queued:
    """`position` requests of the same app wait in front of this one."""

    position: int


@dataclass(frozen=True, slots=True)
class Running:
    """A runner is at work."""


@dataclass(frozen=True, slots=True)
class Completed:
    """It is over. `inference_s` is None when no runner ever started."""

    inference_s: float | None
    ending: Ending


Status = Queued | Running | Completed


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a runner printed, and when."""

    message: str
    at: float
    level: str = "INFO"
    source: str = "USER"


def schedule(submission: Submission, starts_at: float) -> Schedule:
    """What becomes of a request that a runner could take at `starts_at`."""
    gives_up_at = submission.queued_at + submission.start_timeout_s
    if gives_up_at < starts_at and gives_up_at <= submission.cancelled_at:
        return Schedule(
            submission.queued_at, math.inf, gives_up_at, submission.run_duration, Ending.TIMED_OUT
        )
    if submission.cancelled_at < starts_at:
        ending = Ending.LEFT if submission.caller_left else Ending.CANCELLED
        return Schedule(
            submission.queued_at, math.inf, submission.cancelled_at, submission.run_duration, ending
        )
    ends_at = starts_at + submission.run_duration
    if submission.honours_cancel and submission.cancelled_at < ends_at:
        ending = Ending.LEFT if submission.caller_left else Ending.STOPPED
        return Schedule(
            submission.queued_at, starts_at, submission.cancelled_at, submission.run_duration, ending
        )
    return Schedule(submission.queued_at, starts_at, ends_at, submission.run_duration)


def plan(
    submissions: Iterable[Submission], *, runners: int, now: float, busy_until: Iterable[float] = ()
) -> tuple[dict[int, Schedule], list[float]]:
    """The schedules, by number, of tickets that wait at `now` for a limited number of runners.

    None starts before `now`, so that what has been told stays true. Each runner that comes free takes, of
    those ready by then, the normal ones before the low ones, the earlier before the later. `busy_until` are
    the moments at which the runners now at work come free. Returned beside the schedules: a heap of the
    moments at which the runners are free after all this.
    """
    free = list(busy_until)
    free += [now] * (runners - len(free))
    heapify(free)
    coming = [
        (submission.ready_at, submission.low_priority, submission.number, submission)
        for submission in submissions
    ]
    heapify(coming)
    ready: list[tuple[bool, int, Submission]] = []
    schedules: dict[int, Schedule] = {}
    moment = now
    while coming or ready:
        moment = max(free[0], moment if ready else coming[0][0])
        while coming and coming[0][0] <= moment:
            _, low, number, submission = heappop(coming)
            heappush(ready, (low, number, submission))
        _, number, submission = heappop(ready)
        its = schedules[number] = schedule(submission, moment)
        if its.starts_at < math.inf:
            heapreplace(free, its.ends_at)
    return schedules, free


def position_offset(submission: Submission, now: float) -> int:
    """How many more are said to wait in front: `position` of them at first, none when the wait is over."""
    left_s = submission.ready_at - now
    return (
        math.ceil(submission.position * left_s / submission.queue_duration)
        if 0 < left_s and submission.position
        else 0
    )


def next_step(submission: Submission, now: float) -> float:
    """The moment, after `now`, at which one less of them is in front; infinite when none is."""
    ahead = position_offset(submission, now)
    return (
        submission.ready_at - submission.queue_duration * ((ahead - 1) / submission.position)
        if ahead
        else math.inf
    )


def status(its: Schedule, now: float, ahead: int = 0) -> Status:
    """The state at `now`, with `ahead` requests in front. A request never moves back."""
    if now >= its.ends_at:
        started = its.starts_at < math.inf
        return Completed(its.ends_at - its.starts_at if started else None, its.ending)
    if now >= its.starts_at:
        return Running()
    return Queued(ahead)


def logs(its: Schedule, steps: int, now: float) -> list[LogLine]:
    """What the runner has printed by `now`: one line for each inference step. Lines are never taken back."""
    lines = []
    for step in range(1, steps + 1):
        at = _printed_at(its, step, steps)
        if at > now or at > its.ends_at:
            break
        lines.append(LogLine(_progress(step, steps, at - its.starts_at), at))
    return lines


def next_change(its: Schedule, steps: int, now: float) -> float:
    """The next moment, after `now`, at which the request has something new to tell; infinite at the end."""
    if now >= its.ends_at:
        return math.inf
    if now < its.leaves_queue_at:
        return its.leaves_queue_at
    printed = len(logs(its, steps, now))
    next_line = _printed_at(its, printed + 1, steps) if printed < steps else math.inf
    return min(next_line, its.ends_at)


def part_due(its: Schedule, number: int, parts: int) -> float:
    """When the `number`-th of so many parts of a stream goes out: evenly over the run, the last one at its end."""
    return _printed_at(its, number, parts)


def next_stage(its: Schedule, now: float) -> float:
    """Where a auto-advance clock goes from `now`: half through the run, so that its logs are seen; then the end."""
    if now < its.leaves_queue_at:
        half = its.starts_at + its.run_duration / 2
        return min(half, its.ends_at)
    return its.ends_at


def _printed_at(its: Schedule, step: int, steps: int) -> float:
    # The quotient first: it is exactly 1 for the last step, whose line must not come after the end.
    return its.starts_at + its.run_duration * (step / steps)


def _progress(step: int, steps: int, elapsed_s: float) -> str:
    """A line as the progress bars of diffusion pipelines print it."""
    # assumption: whether flux shows logs at all, and their form.
    filled = 10 * step // steps
    rate = step / elapsed_s if elapsed_s > 0 else 0.0
    bar = "█" * filled + " " * (10 - filled)
    return f"{100 * step // steps:3d}%|{bar}| {step}/{steps} [{_clock(elapsed_s)}, {rate:5.2f}it/s]"


def _clock(elapsed_s: float) -> str:
    minutes, seconds = divmod(int(elapsed_s), 60)
    return f"{minutes:02d}:{seconds:02d}"
