"""The lifecycle of a request: when it starts and ends, and its status and logs at a given moment.

A `Schedule` is derived from a `Submission`; status, logs and result are functions of the schedule and of `now`.
A request only moves forward:

    queued ──────────▶ running ──────────▶ completed
       │ start deadline, cancelled            ▲
       └──────────────────────────────────────┘

fal has these three states only; a failed or cancelled request is completed too
(fal's Queue API documentation, 2026; see tests/requests/test_lifecycle.py).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from heapq import heapify, heappop, heappush, heapreplace
from typing import overload


@dataclass(frozen=True, slots=True)
class Submission:
    """A submitted request: moments in Unix seconds, durations in seconds.

    `number` is the order of submission. A low-priority request waits behind every normal one.
    """

    number: int
    queued_at: float
    queue_duration: float
    run_duration: float
    low_priority: bool = False
    start_timeout_s: float = math.inf
    cancelled_at: float = math.inf
    honours_cancel: bool = False
    # Requests that are added to the queue position; the number falls to 0 while the request waits.
    position: int = 0
    # Whether the client of a direct request disconnected; `cancelled_at` is the moment.
    client_disconnected: bool = False

    @property
    def ready_at(self) -> float:
        """The earliest moment at which a runner may start it."""
        return self.queued_at + self.queue_duration


class Ending(Enum):
    """How a request was completed."""

    RESPONDED = "the runner responded"
    TIMED_OUT = "no runner started before the deadline"
    CANCELLED = "cancelled in the queue"
    STOPPED = "cancelled while it ran, and the runner stopped"
    DISCONNECTED = "the client of a direct request disconnected"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a request starts and ends. `starts_at` is infinite for one that never starts.

    `run_duration` is the duration of a full run, also for one that was stopped.
    """

    queued_at: float
    starts_at: float
    ends_at: float
    run_duration: float
    ending: Ending = Ending.RESPONDED

    @property
    def leaves_queue_at(self) -> float:
        return min(self.starts_at, self.ends_at)


@dataclass(frozen=True, slots=True)
class Queued:
    """In the queue; `position` requests of the same app are ahead."""

    position: int


@dataclass(frozen=True, slots=True)
class Running:
    """A runner has started."""


@dataclass(frozen=True, slots=True)
class Completed:
    """Completed. `inference_s` is None if no runner started."""

    inference_s: float | None
    ending: Ending


Status = Queued | Running | Completed


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a runner logged."""

    message: str
    at: float
    level: str = "INFO"
    source: str = "USER"


def schedule(submission: Submission, starts_at: float) -> Schedule:
    """The schedule of a request that a runner can start at `starts_at`."""
    deadline = submission.queued_at + submission.start_timeout_s
    if deadline < starts_at and deadline <= submission.cancelled_at:
        return Schedule(submission.queued_at, math.inf, deadline, submission.run_duration, Ending.TIMED_OUT)
    if submission.cancelled_at < starts_at:
        ending = Ending.DISCONNECTED if submission.client_disconnected else Ending.CANCELLED
        return Schedule(
            submission.queued_at, math.inf, submission.cancelled_at, submission.run_duration, ending
        )
    ends_at = starts_at + submission.run_duration
    if submission.honours_cancel and submission.cancelled_at < ends_at:
        ending = Ending.DISCONNECTED if submission.client_disconnected else Ending.STOPPED
        return Schedule(
            submission.queued_at, starts_at, submission.cancelled_at, submission.run_duration, ending
        )
    return Schedule(submission.queued_at, starts_at, ends_at, submission.run_duration)


def plan(
    submissions: Iterable[Submission], *, runners: int, now: float, busy_until: Iterable[float] = ()
) -> tuple[dict[int, Schedule], list[float]]:
    """The schedules, by number, of submissions that wait at `now` for a limited number of runners.

    None starts before `now`, so that a reported status stays true. A runner that becomes free takes a request that
    is ready: normal before low priority, then in order of submission. `busy_until` are the moments at which the busy
    runners become free. Also returns a heap of the moments at which the runners are free after these requests.
    """
    free = list(busy_until)
    free += [now] * (runners - len(free))
    heapify(free)
    pending = [
        (submission.ready_at, submission.low_priority, submission.number, submission)
        for submission in submissions
    ]
    heapify(pending)
    ready: list[tuple[bool, int, Submission]] = []
    schedules: dict[int, Schedule] = {}
    moment = now
    while pending or ready:
        moment = max(free[0], moment if ready else pending[0][0])
        while pending and pending[0][0] <= moment:
            _, low, number, submission = heappop(pending)
            heappush(ready, (low, number, submission))
        _, number, submission = heappop(ready)
        schedules[number] = schedule(submission, moment)
        if schedules[number].starts_at < math.inf:
            heapreplace(free, schedules[number].ends_at)
    return schedules, free


def position_offset(submission: Submission, now: float) -> int:
    """The requests added to the queue position: `position` at submission, falling evenly to 0 at `ready_at`."""
    left_s = submission.ready_at - now
    return (
        math.ceil(submission.position * left_s / submission.queue_duration)
        if 0 < left_s and submission.position
        else 0
    )


def next_offset_change(submission: Submission, now: float) -> float:
    """When the position offset changes next, after `now`; infinite if it is 0."""
    offset = position_offset(submission, now)
    return (
        submission.ready_at - submission.queue_duration * ((offset - 1) / submission.position)
        if offset
        else math.inf
    )


def status(schedule: Schedule, now: float, ahead: int = 0) -> Status:
    """The status at `now`, with `ahead` requests ahead in the queue. A request never moves back."""
    if now >= schedule.ends_at:
        started = schedule.starts_at < math.inf
        return Completed(schedule.ends_at - schedule.starts_at if started else None, schedule.ending)
    if now >= schedule.starts_at:
        return Running()
    return Queued(ahead)


@dataclass(frozen=True, slots=True, eq=False)
class LogLines(Sequence[LogLine]):
    """The first `logged` lines of a run, one for each of its `steps`. A line is made when it is read."""

    schedule: Schedule
    steps: int
    logged: int

    def __len__(self) -> int:
        return self.logged

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # equal to a list, which has no hash

    @overload
    def __getitem__(self, index: int) -> LogLine: ...
    @overload
    def __getitem__(self, index: slice) -> list[LogLine]: ...
    def __getitem__(self, index: int | slice) -> LogLine | list[LogLine]:
        steps = range(1, self.logged + 1)[index]
        return self._line(steps) if isinstance(steps, int) else [self._line(step) for step in steps]

    def _line(self, step: int) -> LogLine:
        at = _logged_at(self.schedule, step, self.steps)
        return LogLine(_progress(step, self.steps, at - self.schedule.starts_at), at)


def logs(schedule: Schedule, steps: int, now: float) -> LogLines:
    """The lines logged by `now`: one for each inference step. Lines are never removed."""
    return LogLines(schedule, steps, _logged(schedule, steps, now))


def next_change(schedule: Schedule, steps: int, now: float) -> float:
    """When status or logs change next, after `now`; infinite for a completed request."""
    if now >= schedule.ends_at:
        return math.inf
    if now < schedule.leaves_queue_at:
        return schedule.leaves_queue_at
    logged = _logged(schedule, steps, now)
    next_line = _logged_at(schedule, logged + 1, steps) if logged < steps else math.inf
    return min(next_line, schedule.ends_at)


def part_sent_at(schedule: Schedule, number: int, parts: int) -> float:
    """When part `number` of a stream is sent: `parts` parts are spread evenly over the run, the last one at its end."""
    return _logged_at(schedule, number, parts)


def next_stage(schedule: Schedule, now: float) -> float:
    """Where an auto-advance clock moves from `now`: to the middle of the run, where logs exist; then to its end."""
    if now < schedule.leaves_queue_at:
        middle = schedule.starts_at + schedule.run_duration / 2
        return min(middle, schedule.ends_at)
    return schedule.ends_at


def _logged(schedule: Schedule, steps: int, now: float) -> int:
    """The number of lines logged by `now`."""
    last = min(now, schedule.ends_at)
    return bisect_right(range(1, steps + 1), last, key=lambda step: _logged_at(schedule, step, steps))


def _logged_at(schedule: Schedule, step: int, steps: int) -> float:
    # Divide first: the quotient is exactly 1 for the last step, which must not be logged after the end.
    return schedule.starts_at + schedule.run_duration * (step / steps)


def _progress(step: int, steps: int, elapsed_s: float) -> str:
    """A line in the format of the progress bars of diffusion pipelines."""
    # assumption: flux has logs, and they have this format.
    filled = 10 * step // steps
    rate = step / elapsed_s if elapsed_s > 0 else 0.0
    bar = "█" * filled + " " * (10 - filled)
    return f"{100 * step // steps:3d}%|{bar}| {step}/{steps} [{_minutes(elapsed_s)}, {rate:5.2f}it/s]"


def _minutes(elapsed_s: float) -> str:
    minutes, seconds = divmod(int(elapsed_s), 60)
    return f"{minutes:02d}:{seconds:02d}"
