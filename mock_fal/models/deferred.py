"""Runs that wait for a look: what follows from a submission is worked out when somebody reads it.

It takes two or three steps. `draw` reads the input, and takes from the counters of the key what depends on earlier
requests: the seed of an input without one, and the number of the first file. This is done in the order of submission,
so that a result does not depend on who looks first. `write` makes the JSON of the output, and the names of its files,
for the first client that gets the result. `build` makes the output, for everyone else. Their order does not matter.

What was read of an input is kept (`readings`), so that it and similar ones are drawn without reading them again.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Final, Protocol

from mock_fal.endpoint import EndpointId
from mock_fal.ids import Ids
from mock_fal.models.job import Job, Media
from mock_fal.models.readings import Known, Readings
from mock_fal.models.runner import file_adder, path_not_found
from mock_fal.requests import progress
from mock_fal.requests.lifecycle import REJECTION_S, schedule
from mock_fal.requests.outcome import MediaFile, RunnerResponse
from mock_fal.requests.queue import ModelRequest, Write
from mock_fal.terminal import logger

if TYPE_CHECKING:
    from mock_fal.media.probe import Probe
    from mock_fal.models.catalog import Model
    from mock_fal.pictures.recipe import Source

# So many requests of a key may wait for `draw`; with one more, some of the oldest are drawn, which takes half of the
# time of drawing each alone. A look takes some 10 ms at most.
MAX_UNDRAWN: Final = 64
_DRAWN_TOGETHER: Final = 16


class Account(Protocol):
    """The state of a key that runs depend on."""

    @property
    def ids(self) -> Ids: ...
    @property
    def undrawn(self) -> deque[ModelRequest]:
        """The requests that were not drawn yet, oldest first."""


class DeferredRuns:
    """Draws and builds the requests of all accounts."""

    def __init__(
        self,
        find_model: Callable[[EndpointId], Model | None],
        find_account: Callable[[str], Account],
        load_file: Callable[[str, Media, str], Source | Probe | None],
        on_written: Callable[[ModelRequest, list[str]], None],
        on_built: Callable[[ModelRequest, int], None],
    ) -> None:
        self._find_model = find_model
        self._find_account = find_account
        self._load_file = load_file
        self._on_written = on_written
        self._on_built = on_built
        # Several threads may look: a test's, and the server's.
        self._lock = RLock()
        self._readings = Readings()
        # What was read of the requests that were drawn last: most of them are written or built soon.
        self._drawn: OrderedDict[ModelRequest, Known] = OrderedDict()

    def add(self, request: ModelRequest, account: Account) -> None:
        """Keep a new request of a key for later."""
        undrawn = account.undrawn
        undrawn.append(request)
        if len(undrawn) > MAX_UNDRAWN:
            self.draw(undrawn[_DRAWN_TOGETHER - 1])

    def draw(self, request: ModelRequest) -> None:
        """Draw the requests of a key up to this one."""
        with self._lock:
            account = self._find_account(request.tenant)
            while not request.is_drawn:
                # A request that was removed by a reset, and is still looked at, is in no list.
                self._draw(account.undrawn.popleft() if account.undrawn else request, account.ids)

    def draw_all(self, account: Account) -> None:
        """Draw all requests of a key, because the next one is run at once."""
        if account.undrawn:
            self.draw(account.undrawn[-1])

    def write(self, request: ModelRequest, media: str, write: Write) -> bytes | None:
        """The output of a request as JSON, if it was drawn lately and written by nobody; None if it must be built."""
        with self._lock:
            known = self._drawn.get(request)
            if known is None:
                return None
            ids = self._find_account(request.tenant).ids
            numbers = count(request.first_file)
            written = known.written(
                lambda seed_of: ids.seed(seed_of, request.earlier_uses),
                media,
                write,
                lambda description, extension: ids.file_path(next(numbers), description, extension),
            )
            if written is None:
                return None
            text, paths = written
            try:
                body = text.encode()
            except ValueError:  # half of a surrogate pair
                return None
            del self._drawn[request]
            self._on_written(request, paths)
            return body

    def build(self, request: ModelRequest) -> None:
        """Build the output of a request."""
        with self._lock:
            self.draw(request)
            if request.is_built:
                return
            model = self._find_model(request.endpoint)
            assert model is not None  # else it was built when it was drawn
            files: list[MediaFile] = []
            ids = self._find_account(request.tenant).ids
            job = self._job(request, ids, files, request.first_file)
            known = self._drawn.pop(request, None) or self._recall(model, request) or self._read(model, job)
            response = known.response_with(lambda seed_of: ids.seed(seed_of, request.earlier_uses), job)
            self._finish(request, response, files)

    def _draw(self, request: ModelRequest, ids: Ids) -> None:
        model = self._find_model(request.endpoint)
        known = self._recall(model, request) if model else None
        if known is None:
            self._run(request, model, ids)
            return
        seed_of = known.seed_of
        request.earlier_uses = 0 if seed_of is None else ids.take_use(seed_of)
        request.first_file = ids.take_file_numbers(known.files)
        request.set_drawn(known.response, progress.lines(request.kind, known.reading.plan.steps))
        self._drawn[request] = known
        if len(self._drawn) > MAX_UNDRAWN:
            self._drawn.popitem(last=False)

    def _run(self, request: ModelRequest, model: Model | None, ids: Ids) -> None:
        """Draw and build in one step."""
        files: list[MediaFile] = []
        try:
            response, steps = self._output(request, model, ids, files)
        except Exception:
            # A bug of ours. The request ends as one whose runner has crashed.
            logger.exception("mock-fal: internal error in a run of %s", request.endpoint)
            response, steps = RunnerResponse(500, {"detail": "Internal Server Error"}), 0
        if not steps:
            submission = request.submission
            request.submission = submission._replace(run_duration=min(submission.run_duration, REJECTION_S))
            request.planned = schedule(request.submission, submission.ready_at)
        request.set_drawn(response, progress.lines(request.kind, steps))
        self._finish(request, response, files)

    def _output(
        self, request: ModelRequest, model: Model | None, ids: Ids, files: list[MediaFile]
    ) -> tuple[RunnerResponse, int]:
        """The response of a run and its number of steps; 0 if the input is rejected."""
        if model is None:
            return path_not_found(request.endpoint), 0
        from mock_fal.models import engine  # imports pydantic

        first_file = ids.file_count
        job = self._job(request, ids, files)
        if engine.is_openai(model):
            response, steps, _ = engine.run(model, job)
            return response, steps
        reading = engine.read(model, job)
        if isinstance(reading, RunnerResponse):
            return reading, 0
        response, steps, _ = engine.build(reading.with_seed(ids.seed_for), job)
        known = Known(model, reading, ids.file_count - first_file, response._replace(body=None))
        self._readings.add(job, known)
        return response, steps

    def _read(self, model: Model, job: Job) -> Known:
        """What is known of an input that was read before, and forgotten since."""
        from mock_fal.models import engine  # imports pydantic

        reading = engine.read(model, job)
        assert isinstance(reading, engine.Reading)
        return Known(model, reading, 0, RunnerResponse(200, None))

    def _job(
        self, request: ModelRequest, ids: Ids, files: list[MediaFile], first_file: int | None = None
    ) -> Job:
        submission = request.submission
        return Job(
            request.body,
            ids.seed_for,
            file_adder(ids, files, first_file),
            submission.run_duration,
            load_file=lambda url, media: self._load_file(url, media, request.tenant),
            now=submission.queued_at,
        )

    def _finish(self, request: ModelRequest, outcome: RunnerResponse, files: list[MediaFile]) -> None:
        input_bytes = len(request.body)
        request.set_outcome(outcome, files)
        self._on_built(request, input_bytes)

    def _recall(self, model: Model, request: ModelRequest) -> Known | None:
        return self._readings.find(model, request.submission.run_duration, request.body)
