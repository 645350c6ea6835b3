"""The queue of one app: start order and queue positions."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mock_fal.accounts.acl import NO_PREFERENCE, ObjectLifecycle
from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON
from mock_fal.requests.lifecycle import Ending, Schedule, Submission, plan, schedule
from mock_fal.requests.outcome import MediaFile, Outcome, RequestFailure, RunnerResponse

if TYPE_CHECKING:
    from mock_fal.scenario.rules import RequestDirectives

# The schedule of a request that has not joined a queue yet.
UNPLANNED: Final = Schedule(0.0, math.inf, math.inf, 0.0)


class FailedAttempt(NamedTuple):
    """An attempt after which fal tries again: its id, its outcome, and the number of steps that it logs."""

    id: str
    outcome: Outcome
    steps: int


# Writes JSON as text, with the URLs of its files on a media host.
Write = Callable[[JSON, str], str]


class Work(Protocol):
    """Works out what follows from a submission."""

    def draw(self, request: ModelRequest) -> None:
        """Read the input, and take the numbers that depend on earlier requests of the key; calls `set_drawn`."""

    def write(self, request: ModelRequest, media: str, write: Write) -> bytes | None:
        """The output as JSON, whose files are on a media host; None if it must be built."""

    def build(self, request: ModelRequest) -> None:
        """Build the output and its files; calls `set_outcome`."""


class ModelRequest:
    """A request to a model, queued or direct: its submission, its schedule and its outcome.

    A cancellation replaces the submission. While a request waits, other requests of the app may replace its schedule.

    A submission keeps facts only: the arguments before `outcome`, and `body`. What follows from them is worked out by
    `work` when somebody looks: first what its status and its charge depend on, then the output with its files.
    """

    __slots__ = (
        "_files",
        "_is_drawn",
        "_outcome",
        "_partials",
        "_steps",
        "_work",
        "body",
        "counted_bytes",
        "directives",
        "earlier",
        "earlier_uses",
        "endpoint",
        "first_file",
        "id",
        "is_finished",
        "kind",
        "last_id",
        "object_lifecycle",
        "paths",
        "payloads_deleted",
        "planned",
        "submission",
        "tenant",
        "warning",
    )

    def __init__(
        self,
        id: str,
        endpoint: EndpointId,
        tenant: str,
        submission: Submission,
        outcome: Outcome | None = None,
        steps: int = 0,
        schedule: Schedule = UNPLANNED,
        *,
        object_lifecycle: ObjectLifecycle = NO_PREFERENCE,
        kind: str = "image",
        body: bytes = b"",
        work: Work | None = None,
        files: Sequence[MediaFile] = (),
        partials: tuple[JSON, ...] = (),
        directives: RequestDirectives | None = None,
        warning: str = "",
        earlier: tuple[FailedAttempt, ...] = (),
        last_id: str = "",
    ) -> None:
        self.id = id
        self.endpoint = endpoint
        self.tenant = tenant
        self.submission = submission
        # Lifetime and ACL that the client requested for the files.
        self.object_lifecycle = object_lifecycle
        # The kind of model, such as `video`, for the log lines.
        self.kind = kind
        # The input, until the output is built.
        self.body = body
        self._work = work
        self._is_drawn = work is None
        # The schedule if the input is valid, which is not known before `draw`.
        self.planned = schedule
        self._outcome = outcome
        self._steps = steps
        # What `draw` has taken: the number of earlier uses of the input, and the number of the first file.
        self.earlier_uses = self.first_file = 0
        self._files = files
        self._partials = partials
        # The paths of the files if the output was written, but not built.
        self.paths: Sequence[str] = ()
        # Directives and rules that apply to this request.
        self.directives = directives
        # What the user should know about an output of their own.
        self.warning = warning
        # The attempts before the last one, and the id of the last one if there are any.
        self.earlier = earlier
        self.last_id = last_id
        # Whether input and output were deleted. The schedule and the charge stay.
        self.payloads_deleted = False
        # What the store notes: the bytes that it has counted, and whether the request and its webhook have ended.
        self.counted_bytes = 0
        self.is_finished = False

    def set_drawn(self, head: Outcome, steps: int) -> None:
        """Set what is known of the outcome before the output is built."""
        self._outcome, self._steps, self._is_drawn = head, steps, True

    def set_outcome(self, outcome: Outcome, files: Sequence[MediaFile]) -> None:
        """Set the outcome with the output."""
        self._outcome, self._files = outcome, files
        self._work, self.body, self.paths = None, b"", ()

    def delete_payloads(self) -> None:
        """Delete the output, but not the charge."""
        self.payloads_deleted = True
        if isinstance(self.outcome, RunnerResponse):
            self._outcome = self.outcome._replace(body=None)
        self._files, self._partials = (), ()

    @property
    def is_drawn(self) -> bool:
        """Whether the input was read."""
        return self._is_drawn

    @property
    def is_built(self) -> bool:
        """Whether the output was built."""
        return self._work is None

    @property
    def schedule(self) -> Schedule:
        """When it starts and ends."""
        if not self._is_drawn:
            self._draw()
        return self.planned

    @property
    def steps(self) -> int:
        """The number of steps for which the runner logs a line."""
        if not self._is_drawn:
            self._draw()
        return self._steps

    @property
    def head(self) -> Outcome:
        """The outcome, perhaps without the body of a result: status, billable units."""
        if not self._is_drawn:
            self._draw()
        assert self._outcome is not None
        return self._outcome

    def written(self, media: str, write: Write) -> bytes | None:
        """The JSON of a runner's response, if it need not be built; None else. `head` is the rest of the response."""
        if self._work is None or self.schedule.ending is not Ending.RESPONDED:
            return None
        return self._work.write(self, media, write)

    @property
    def outcome(self) -> Outcome:
        """The response of the runner, or the error that a directive injects."""
        if self._work is not None:
            self._work.build(self)
        assert self._outcome is not None
        return self._outcome

    @property
    def files(self) -> Sequence[MediaFile]:
        """The files of the result."""
        if self._work is not None:
            self._work.build(self)
        return self._files

    @property
    def partials(self) -> tuple[JSON, ...]:
        """The events of a stream before the result."""
        return self._partials

    def _draw(self) -> None:
        assert self._work is not None
        self._work.draw(self)

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
            case Ending.RESPONDED | Ending.STOPPED:
                return self.head if isinstance(self.head, RequestFailure) else None
            case Ending.TIMED_OUT:
                return RequestFailure("request_timeout", by_user=True)
            case Ending.CANCELLED:
                # assumption: the result of a request that was cancelled in the queue.
                return RequestFailure("client_cancelled")
            case Ending.DISCONNECTED:
                return RequestFailure("client_disconnected")

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
            request.planned = schedule(submission, submission.ready_at)
            self._wait(request, now)
            return
        self._open[submission.number] = request
        overtakes = submission.ready_at < self._latest_ready or (
            self._waiting[1] and not submission.low_priority
        )
        if overtakes or len(self._open) > 2 * self.waiting(now) + self._runners + 16:
            self._replan(now)
            return
        self._latest_ready = submission.ready_at
        request.planned = schedule(submission, max(submission.ready_at, self._free[0]))
        if request.planned.starts_at < math.inf:
            heapreplace(self._free, request.planned.ends_at)
        self._wait(request, now)

    def cancel(self, request: ModelRequest, now: float) -> None:
        """Cancel a request that has not ended: a waiting one ends now, a running one if it honours cancellation."""
        self._end(request, request.submission._replace(cancelled_at=now), now)

    def abandon(self, request: ModelRequest, now: float) -> None:
        """End a request that has not ended, because its client disconnected."""
        submission = request.submission._replace(
            cancelled_at=now, honours_cancel=True, client_disconnected=True
        )
        self._end(request, submission, now)

    def _end(self, request: ModelRequest, submission: Submission, now: float) -> None:
        waits = request.schedule.leaves_queue_at > now
        request.submission = submission
        request.planned = schedule(submission, math.inf if waits else request.schedule.starts_at)
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

    def _wait(self, request: ModelRequest, now: float) -> None:
        if request.planned.leaves_queue_at <= now:
            return
        submission = request.submission
        insort(self._waiting[submission.low_priority], submission.number)
        departure = (request.planned.leaves_queue_at, submission.number, submission.low_priority)
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
            request.planned = schedules[request.submission.number]
            self._wait(request, now)
