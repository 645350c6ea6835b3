"""The line of an app: its requests, who goes when, and who is in front of whom."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Final

from mock_fal.accounts.acl import Terms
from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON
from mock_fal.requests.lifecycle import Ending, Schedule, Submission, plan, schedule
from mock_fal.requests.outcome import Outcome, Picture, RequestFailure, RunnerResponse

if TYPE_CHECKING:
    from mock_fal.scenario.rules import RequestDirectives

# The schedule of a request that has not joined its line yet.
UNPLANNED: Final = Schedule(0.0, math.inf, math.inf, 0.0)


@dataclass(slots=True, eq=False)
class ModelRequest:
    """One request: what was asked for, what follows from it, and what comes out.

    A cancellation replaces the ticket; other requests of the app may replace the schedule of one that waits.
    """

    id: str
    endpoint: EndpointId
    tenant: str
    submission: Submission
    outcome: Outcome
    steps: int
    schedule: Schedule = UNPLANNED
    files: list[Picture] = field(default_factory=list)
    # What the caller wished for the files.
    terms: Terms = Terms()
    # Whether somebody had the input and the output deleted; what is left says when it ran and what it cost.
    payloads_deleted: bool = False
    # What a stream shows before the result.
    partials: tuple[JSON, ...] = ()
    # What a test asked for, where it did.
    directives: RequestDirectives | None = None

    @property
    def app_id(self) -> str:
        return self.endpoint.app_id

    @property
    def failure(self) -> RequestFailure | None:
        """Why no runner answered, of a request that is over; None where one did."""
        match self.schedule.ending:
            case Ending.TIMED_OUT:
                return RequestFailure("request_timeout", by_user=True)
            case Ending.CANCELLED:
                # assumption: what a request that was cancelled while it waited answers.
                return RequestFailure("client_cancelled")
            case Ending.LEFT:
                return RequestFailure("client_disconnected")
            case _:
                return self.outcome if isinstance(self.outcome, RequestFailure) else None

    @property
    def result(self) -> Outcome:
        """What came out of a request that is over."""
        if self.schedule.ending is Ending.STOPPED:
            # fal: an app that obeys answers 499 with words of its own (fal SDK, end-to-end test).
            return RunnerResponse(499, {"detail": "Request cancelled"})
        return self.failure or self.outcome


class Line:
    """The requests of one app that wait for a runner, for one tenant: who goes when, who is in front of whom."""

    def __init__(self, runners: int) -> None:
        self._runners = runners
        # The numbers of those who wait: the normal ones, the low ones.
        self._waiting: tuple[list[int], list[int]] = ([], [])
        # When whoever waits will have left; may still hold somebody who left before.
        self._departures: list[tuple[float, int, bool]] = []
        # With a limit only: those not known to have ended, and when each runner is free after all of them.
        self._open: dict[int, ModelRequest] = {}
        self._free: list[float] = [-math.inf] * runners
        self._latest_ready = -math.inf

    def join(self, request: ModelRequest, now: float) -> None:
        """Give a new entry its schedule, and the others theirs anew where it changes them."""
        submission = request.submission
        self._settle(now)
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
        """Cancel an entry that has not ended: at once where it waits, as its runner likes where it runs."""
        self._end(request, replace(request.submission, cancelled_at=now), now)

    def abandon(self, request: ModelRequest, now: float) -> None:
        """End an entry that has not ended: its caller left."""
        self._end(
            request, replace(request.submission, cancelled_at=now, honours_cancel=True, caller_left=True), now
        )

    def _end(self, request: ModelRequest, submission: Submission, now: float) -> None:
        waits = request.schedule.leaves_queue_at > now
        request.submission = submission
        request.schedule = schedule(submission, math.inf if waits else request.schedule.starts_at)
        if waits:
            self._leave(submission.number, submission.low_priority)
        if self._runners:
            self._replan(now)

    def ahead(self, request: ModelRequest, now: float) -> int:
        """How many wait in front: submitted earlier, not started yet; all normal ones, for a low one."""
        self._settle(now)
        normal, low = self._waiting
        number = request.submission.number
        if request.submission.low_priority:
            return len(normal) + bisect_left(low, number)
        return bisect_left(normal, number)

    def waiting(self, now: float) -> int:
        """How many wait in all."""
        self._settle(now)
        return len(self._waiting[0]) + len(self._waiting[1])

    def running(self, now: float) -> int:
        """How many run, where there is a limit."""
        return sum(its.schedule.starts_at <= now < its.schedule.ends_at for its in self._open.values())

    def next_departure(self, now: float) -> float:
        """When the next request may leave the queue; infinite when none waits."""
        self._settle(now)
        return self._departures[0][0] if self._departures else math.inf

    def _wait(self, request: ModelRequest) -> None:
        submission = request.submission
        insort(self._waiting[submission.low_priority], submission.number)
        heappush(
            self._departures, (request.schedule.leaves_queue_at, submission.number, submission.low_priority)
        )

    def _leave(self, number: int, low: bool) -> None:
        waiting = self._waiting[low]
        at = bisect_left(waiting, number)
        if waiting[at : at + 1] == [number]:
            del waiting[at]

    def _settle(self, now: float) -> None:
        """Let everyone go whose moment has come."""
        while self._departures and self._departures[0][0] <= now:
            _, number, low = heappop(self._departures)
            self._leave(number, low)

    def _replan(self, now: float) -> None:
        """Plan anew for all that wait; those that have left the queue keep what they have."""
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
