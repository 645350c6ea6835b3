"""The queue of one app: start order and queue positions."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Final

from mock_fal.accounts.acl import ObjectLifecycle
from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON
from mock_fal.requests.lifecycle import Ending, Schedule, Submission, plan, schedule
from mock_fal.requests.outcome import MediaFile, Outcome, RequestFailure, RunnerResponse

if TYPE_CHECKING:
    from mock_fal.scenario.rules import RequestDirectives

# The schedule of a request that has not joined a queue yet.
UNPLANNED: Final = Schedule(0.0, math.inf, math.inf, 0.0)


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt after which fal tries again: its id, its outcome, and the number of steps that it logs."""

    id: str
    outcome: Outcome
    steps: int


@dataclass(slots=True, eq=False)
class ModelRequest:
    """A request to a model, queued or direct: its submission, its schedule and its outcome.

    A cancellation replaces the submission. While a request waits, other requests of the app may replace its schedule.
    """

    id: str
    endpoint: EndpointId
    tenant: str
    submission: Submission
    outcome: Outcome
    # The number of steps for which the runner logs a line.
    steps: int
    schedule: Schedule = UNPLANNED
    files: list[MediaFile] = field(default_factory=list)
    # Lifetime and ACL that the client requested for the files.
    object_lifecycle: ObjectLifecycle = ObjectLifecycle()
    # Whether input and output were deleted. The schedule and the charge stay.
    payloads_deleted: bool = False
    # The events of a stream before the result.
    partials: tuple[JSON, ...] = ()
    # Directives and rules that apply to this request.
    directives: RequestDirectives | None = None
    # What the user should know about an output of their own.
    warning: str = ""
    # The kind of model, such as `video`, for the log lines.
    kind: str = "image"
    # The bytes that the store has counted for it.
    counted_bytes: int = 0
    # The attempts before the last one, and the id of the last one if there are any.
    earlier: tuple[FailedAttempt, ...] = ()
    last_id: str = ""

    @property
    def app_id(self) -> str:
        return self.endpoint.app_id

    @property
    def gateway_id(self) -> str:
        """The id of the last attempt that is made; that of the first one is the request's."""
        made = len(self.schedule.retried)
        return self.id if made < 2 else [*(attempt.id for attempt in self.earlier), self.last_id][made - 1]

    @property
    def earlier_steps(self) -> tuple[int, ...]:
        """The numbers of steps of the attempts before the last one."""
        return tuple(attempt.steps for attempt in self.earlier) if self.earlier else ()

    @property
    def is_stubbed(self) -> bool:
        """Whether the output was given by the user."""
        return self.directives is not None and self.directives.last.outcome.output is not None

    @property
    def is_stopped(self) -> bool:
        """Whether its runner was stopped by a cancellation."""
        return self.schedule.ending in (Ending.STOPPED, Ending.DISCONNECTED)

    @property
    def failure(self) -> RequestFailure | None:
        """Why no runner responded to a completed request; None if one did."""
        match self.schedule.ending:
            case Ending.TIMED_OUT:
                return RequestFailure("request_timeout", by_user=True)
            case Ending.CANCELLED:
                # assumption: the result of a request that was cancelled in the queue.
                return RequestFailure("client_cancelled")
            case Ending.DISCONNECTED:
                return RequestFailure("client_disconnected")
            case _:
                return self.outcome if isinstance(self.outcome, RequestFailure) else None

    @property
    def result(self) -> Outcome:
        """The result of a completed request."""
        if self.schedule.ending is Ending.STOPPED:
            # fal: an app that honours the cancellation sends 499 and a text of its own (fal SDK, end-to-end test).
            return RunnerResponse(499, {"detail": "Request cancelled"})
        return self.failure or self.outcome


class AppQueue:
    """The requests of one app and tenant that wait for a runner."""

    def __init__(self, runners: int) -> None:
        self._runners = runners
        # The numbers of waiting requests in ascending order: normal ones, low-priority ones.
        self._waiting: tuple[list[int], list[int]] = ([], [])
        # A heap of the moments at which waiting requests leave; may contain requests that have left already.
        self._departures: list[tuple[float, int, bool]] = []
        # Only with a limit: requests that may not have ended yet, and when each runner is free after all of them.
        self._open: dict[int, ModelRequest] = {}
        self._free: list[float] = [-math.inf] * runners
        self._latest_ready = -math.inf

    def join(self, request: ModelRequest, now: float) -> None:
        """Schedule a new request, and reschedule the waiting ones that it overtakes."""
        submission = request.submission
        self._remove_departed(now)
        if not self._runners:
            request.schedule = schedule(submission, submission.ready_at)
            self._wait(request)
            return
        self._open[submission.number] = request
        overtakes = submission.ready_at < self._latest_ready or (
            self._waiting[1] and not submission.low_priority
        )
        if overtakes or len(self._open) > 2 * self.waiting(now) + self._runners + 16:
            self._replan(now)
            return
        self._latest_ready = submission.ready_at
        request.schedule = schedule(submission, max(submission.ready_at, self._free[0]))
        if request.schedule.starts_at < math.inf:
            heapreplace(self._free, request.schedule.ends_at)
        self._wait(request)

    def cancel(self, request: ModelRequest, now: float) -> None:
        """Cancel a request that has not ended: a waiting one ends now, a running one if it honours cancellation."""
        self._end(request, replace(request.submission, cancelled_at=now), now)

    def abandon(self, request: ModelRequest, now: float) -> None:
        """End a request that has not ended, because its client disconnected."""
        submission = replace(
            request.submission, cancelled_at=now, honours_cancel=True, client_disconnected=True
        )
        self._end(request, submission, now)

    def _end(self, request: ModelRequest, submission: Submission, now: float) -> None:
        waits = request.schedule.leaves_queue_at > now
        request.submission = submission
        request.schedule = schedule(submission, math.inf if waits else request.schedule.starts_at)
        if waits:
            self._leave(submission.number, submission.low_priority)
        if self._runners:
            self._replan(now)

    def forget(self, request: ModelRequest) -> None:
        """Keep no reference to a request that has ended."""
        self._open.pop(request.submission.number, None)

    def ahead(self, request: ModelRequest, now: float) -> int:
        """The number of waiting requests ahead: those submitted earlier; for low priority, all normal ones too."""
        self._remove_departed(now)
        normal, low = self._waiting
        number = request.submission.number
        if request.submission.low_priority:
            return len(normal) + bisect_left(low, number)
        return bisect_left(normal, number)

    def waiting(self, now: float) -> int:
        """The number of waiting requests."""
        self._remove_departed(now)
        return len(self._waiting[0]) + len(self._waiting[1])

    def running(self, now: float) -> int:
        """The number of running requests; only known with a limit."""
        schedules = [request.schedule for request in self._open.values()]
        return sum(schedule.starts_at <= now < schedule.ends_at for schedule in schedules)

    def next_departure(self, now: float) -> float:
        """When the next request may leave the queue; infinite if none waits."""
        self._remove_departed(now)
        return self._departures[0][0] if self._departures else math.inf

    def _wait(self, request: ModelRequest) -> None:
        submission = request.submission
        insort(self._waiting[submission.low_priority], submission.number)
        departure = (request.schedule.leaves_queue_at, submission.number, submission.low_priority)
        heappush(self._departures, departure)

    def _leave(self, number: int, low: bool) -> None:
        waiting = self._waiting[low]
        index = bisect_left(waiting, number)
        if waiting[index : index + 1] == [number]:
            del waiting[index]

    def _remove_departed(self, now: float) -> None:
        while self._departures and self._departures[0][0] <= now:
            _, number, low = heappop(self._departures)
            self._leave(number, low)

    def _replan(self, now: float) -> None:
        """Reschedule all waiting requests. Those that have left the queue keep their schedule."""
        self._open = {
            number: request for number, request in self._open.items() if request.schedule.ends_at > now
        }
        waiting = [request for request in self._open.values() if request.schedule.leaves_queue_at > now]
        busy = [
            request.schedule.ends_at for request in self._open.values() if request.schedule.starts_at <= now
        ]
        schedules, self._free = plan(
            [request.submission for request in waiting], runners=self._runners, now=now, busy_until=busy
        )
        self._waiting = ([], [])
        self._departures = []
        self._latest_ready = max((request.submission.ready_at for request in waiting), default=-math.inf)
        for request in waiting:
            request.schedule = schedules[request.submission.number]
            self._wait(request)
