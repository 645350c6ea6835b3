"""The lifecycle of a request: when it starts and ends, and its status and logs at a given moment.

A `Schedule` is derived from a `Submission`; status, logs and result are functions of the schedule and of `now`.
A request only moves forward:

    queued ──────────▶ running ──────────▶ completed
       │ start deadline, cancelled            ▲
       └──────────────────────────────────────┘

fal has these three states only; a failed or cancelled request is completed too
(fal's Queue API documentation, 2026; see tests/requests/test_lifecycle.py).

A queued request may have several attempts: fal tries again after some failures (`requests/retries.py`). They are parts
of its time in the state running, with a wait between them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, NamedTuple, overload

from mock_fal.requests.progress import line

# Seconds until a runner rejects an input. fal: such a request has an inference_time too (live, 2026-07).
REJECTION_S: Final = 0.004


class FailedRun(NamedTuple):
    """A run after which fal tries again: its duration, and the wait before the next one, in seconds."""

    duration: float
    gap: float


class Submission(NamedTuple):
    """A submitted request: moments in Unix seconds, durations in seconds.

    `number` is the order of submission. A low-priority request waits behind every normal one. `run_duration` is that of
    the last attempt.
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
    # The runs before the last one.
    failed: tuple[FailedRun, ...] = ()

    @property
    def duration(self) -> float:
        """The seconds from the start of the first attempt to the end of the last one."""
        return sum(run.duration + run.gap for run in self.failed) + self.run_duration

    @property
    def ready_at(self) -> float:
        """The earliest moment at which a runner may start it."""
        # Without a wait it is the same object: each number takes 24 bytes.
        return self.queued_at + self.queue_duration if self.queue_duration else self.queued_at


class Ending(Enum):
    """How a request was completed."""

    RESPONDED = "the runner responded"
    TIMED_OUT = "no runner started before the deadline"
    CANCELLED = "cancelled in the queue"
    STOPPED = "cancelled while it ran, and the runner stopped"
    DISCONNECTED = "the client of a direct request disconnected"


class Span(NamedTuple):
    """When one of several attempts starts and ends. `run_duration` is that of a full run."""

    starts_at: float
    ends_at: float
    run_duration: float


class Schedule(NamedTuple):
    """When a request starts and ends. `starts_at` is infinite for one that never starts.

    `run_duration` is the duration of a full run, also for one that was stopped. `retried` has the attempts of a request
    that may have more than one; those that are not made are missing.
    """

    queued_at: float
    starts_at: float
    ends_at: float
    run_duration: float
    ending: Ending = Ending.RESPONDED
    retried: tuple[Span, ...] = ()

    @property
    def leaves_queue_at(self) -> float:
        return min(self.starts_at, self.ends_at)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The attempts that are made; none for a request that never starts."""
        if self.retried or self.starts_at == math.inf:
            return self.retried
        return (Span(self.starts_at, self.ends_at, self.run_duration),)

    @property
    def inference_s(self) -> float | None:
        """The seconds of the last attempt; None if no runner starts, or if none has succeeded by the deadline."""
        if self.starts_at == math.inf or self.ending in (Ending.TIMED_OUT, Ending.CANCELLED):
            return None
        # assumption: the inference time of a request with several attempts is that of the last one.
        return self.ends_at - (self.retried[-1].starts_at if self.retried else self.starts_at)


class Queued(NamedTuple):
    """In the queue; `position` requests of the same app are ahead."""

    position: int


class Running(NamedTuple):
    """A runner has started."""


class Completed(NamedTuple):
    """Completed. `inference_s` is None if no runner started."""

    inference_s: float | None
    ending: Ending


Status = Queued | Running | Completed


class LogLine(NamedTuple):
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
    if submission.failed:
        return _retried(submission, starts_at, deadline)
    ends_at, ending = _end(submission, starts_at, submission.run_duration)
    return Schedule(submission.queued_at, starts_at, ends_at, submission.run_duration, ending)


def _end(submission: Submission, starts_at: float, run_duration: float) -> tuple[float, Ending]:
    """When and how one attempt ends."""
    ends_at = starts_at + run_duration if run_duration else starts_at
    if submission.honours_cancel and submission.cancelled_at < ends_at:
        ending = Ending.DISCONNECTED if submission.client_disconnected else Ending.STOPPED
        return submission.cancelled_at, ending
    return ends_at, Ending.RESPONDED


def _retried(submission: Submission, first_at: float, deadline: float) -> Schedule:
    """The schedule of a request with several attempts.

    No attempt starts after the deadline or after a cancellation.
    """
    spans: list[Span] = []
    starts_at = first_at
    for duration, gap in (*submission.failed, FailedRun(submission.run_duration, math.inf)):
        ends_at, ending = _end(submission, starts_at, duration)
        spans.append(Span(starts_at, ends_at, duration))
        if ending is not Ending.RESPONDED or gap == math.inf:
            break
        starts_at = ends_at + gap
        # fal: the deadline counts failed attempts too, and after it none is made (fal's documentation of retries and
        # of common parameters, 2026).
        # assumption: a request whose attempt fails after the deadline or a cancellation ends with that attempt.
        if deadline < starts_at and deadline <= submission.cancelled_at:
            ends_at, ending = max(deadline, ends_at), Ending.TIMED_OUT
            break
        if submission.cancelled_at < starts_at:
            ends_at, ending = max(submission.cancelled_at, ends_at), Ending.CANCELLED
            break
    return Schedule(submission.queued_at, first_at, ends_at, submission.run_duration, ending, tuple(spans))


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
        return Completed(schedule.inference_s, schedule.ending)
    if now >= schedule.starts_at:
        return Running()
    return Queued(ahead)


class LogLines(Sequence[LogLine]):
    """The first `logged` lines of a run, one for each of its `steps`. A line is made when it is read.

    `kind` is the kind of model, such as `video`.
    """

    __slots__ = ("kind", "logged", "schedule", "steps")

    def __init__(self, schedule: Schedule, steps: int, logged: int, kind: str = "image") -> None:
        self.schedule = schedule
        self.steps = steps
        self.logged = logged
        self.kind = kind

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
        return LogLine(line(self.kind, step, self.steps, at - self.schedule.starts_at), at)


def logs(
    schedule: Schedule, steps: int, now: float, kind: str = "image", earlier: Sequence[int] = ()
) -> Sequence[LogLine]:
    """The lines logged by `now`: one for each step. Lines are never removed.

    `earlier` are the numbers of steps of the attempts before the last one.
    """
    if not schedule.retried:
        return LogLines(schedule, steps, _logged(schedule, steps, now), kind)
    return [
        line
        for part, number in _parts(schedule, steps, earlier)
        for line in LogLines(part, number, _logged(part, number, now), kind)
    ]


def _parts(schedule: Schedule, steps: int, earlier: Sequence[int]) -> Iterator[tuple[Schedule, int]]:
    """Each attempt as a schedule of its own, with its number of steps."""
    for span, number in zip(schedule.spans, (*earlier, steps), strict=False):  # not all attempts may be made
        yield Schedule(schedule.queued_at, span.starts_at, span.ends_at, span.run_duration), number


def next_change(schedule: Schedule, steps: int, now: float, earlier: Sequence[int] = ()) -> float:
    """When status or logs change next, after `now`; infinite for a completed request. See `logs` for `earlier`."""
    if now >= schedule.ends_at:
        return math.inf
    if now < schedule.leaves_queue_at:
        return schedule.leaves_queue_at
    for part, number in _parts(schedule, steps, earlier):
        logged = _logged(part, number, now)
        if logged < number and (next_line := _logged_at(part, logged + 1, number)) <= part.ends_at:
            return min(next_line, schedule.ends_at)
    return schedule.ends_at


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
