"""Running a model: the outcome of an input, or the error that a directive injects instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON, MODEL_ERRORS
from mock_fal.ids import Ids
from mock_fal.media.recipe import MediaRecipe, description
from mock_fal.models.job import Job, Media
from mock_fal.requests.outcome import MediaFile, Outcome, RequestFailure, RunnerResponse, model_error

if TYPE_CHECKING:
    from mock_fal.media.probe import Probe
    from mock_fal.models.catalog import Model
    from mock_fal.pictures.recipe import Source
    from mock_fal.scenario.output import Output

# The log lines of an endpoint that is only known by an output of the user's own.
STUB_STEPS: Final = 1


class OutcomeOptions(Protocol):
    """The options that affect the outcome of a request; `Directive` implements it."""

    @property
    def queue(self) -> float | None: ...
    @property
    def run(self) -> float | None: ...
    @property
    def position(self) -> int | None: ...
    @property
    def logs(self) -> int | None: ...
    @property
    def cancel(self) -> str: ...
    @property
    def nsfw(self) -> bool: ...
    @property
    def output(self) -> Output | None: ...
    @property
    def billed(self) -> float | None: ...
    @property
    def error(self) -> str: ...
    @property
    def msg(self) -> str | None: ...
    @property
    def loc(self) -> tuple[str | int, ...]: ...
    @property
    def ctx(self) -> Iterable[tuple[str, JSON]]: ...
    @property
    def retry(self) -> bool | None: ...
    @property
    def retry_after(self) -> int | None: ...


class RunResult(NamedTuple):
    """The result of a run: outcome, number of steps (0 if the input was rejected), partial results and files."""

    outcome: Outcome
    steps: int
    partials: tuple[JSON, ...]
    files: list[MediaFile]
    # What the user should know about an output of their own.
    warning: str = ""


def run_model(
    endpoint: EndpointId,
    body: bytes,
    directive: OutcomeOptions,
    ids: Ids,
    run_duration: float,
    load_file: Callable[[str, Media], Source | Probe | None],
    *,
    streamed: bool,
    model: Model | None,
    now: float = 0.0,
) -> RunResult:
    """The result of a run of `run_duration` seconds. `load_file` reads the files that the input names.

    `model` is None for a path that the app does not have.
    """
    if directive.error:
        return RunResult(failure(directive), 0, (), [])
    if directive.output is not None:
        return _stubbed(endpoint, body, directive, directive.output, ids, run_duration, load_file, model)
    if model is None:
        return RunResult(path_not_found(endpoint), 0, (), [])
    # It imports pydantic, which takes longer than the rest of the startup.
    from mock_fal.models.engine import run

    files: list[MediaFile] = []
    add_file = file_adder(ids, files)
    job = Job(body, ids.seed_for, add_file, run_duration, directive.nsfw, load_file, streamed, now)
    response, steps, partials = run(model, job)
    if directive.billed is not None and response.status < 400:
        response = response._replace(billable_units=directive.billed)
    return RunResult(response, steps, partials, files)


def path_not_found(endpoint: EndpointId) -> RunnerResponse:
    """The response of an app for a path that it does not have."""
    # fal: the runner responds with this text and bills nothing (fal SDK).
    return RunnerResponse(404, {"detail": f"Path /{endpoint.path} not found"}, billable_units=0)


def _stubbed(
    endpoint: EndpointId,
    body: bytes,
    directive: OutcomeOptions,
    output: Output,
    ids: Ids,
    run_duration: float,
    load_file: Callable[[str, Media], Source | Probe | None],
    model: Model | None,
) -> RunResult:
    """The result with an output of the user's own. A known model rejects an invalid input, and sets the price."""
    from mock_fal.models import stubs

    files: list[MediaFile] = []
    if model is None:
        rejection, steps, units = stubs.rejection(body), STUB_STEPS, None
    else:
        rejection, steps, units = stubs.checked(model, body, run_duration, load_file)
    if rejection is not None:
        return RunResult(rejection, 0, (), [])
    response, warning = stubs.stubbed(
        output,
        str(endpoint),
        body,
        model,
        units=units if directive.billed is None else directive.billed,
        derive_seed=ids.seed_for,
        add_file=file_adder(ids, files),
    )
    return RunResult(response, steps, (), files, warning)


def failure(directive: OutcomeOptions) -> Outcome:
    """The error that a directive injects."""
    if directive.error in MODEL_ERRORS:
        ctx = {**dict(MODEL_ERRORS[directive.error].ctx), **dict(directive.ctx)}
        return model_error(
            directive.error,
            loc=directive.loc,
            ctx=ctx,
            msg=directive.msg,
            retry=directive.retry,
            billable_units=(directive.billed or 0) if MODEL_ERRORS[directive.error].status < 500 else 0,
        )
    return RequestFailure(
        directive.error, msg=directive.msg, retry=directive.retry, retry_after_s=directive.retry_after
    )


def file_adder(
    ids: Ids, files: list[MediaFile], first_number: int | None = None
) -> Callable[[MediaRecipe, bool], MediaFile]:
    """A function that names a file and appends it to `files`, unless it is inline.

    The names have the next numbers, or those from `first_number` on, which were taken before.
    """
    numbers = None if first_number is None else count(first_number)

    def add_file(recipe: MediaRecipe, inline: bool) -> MediaFile:
        number = ids.take_file_numbers(1) if numbers is None else next(numbers)
        file = MediaFile(recipe, ids.file_path(number, description(recipe), recipe.extension), inline)
        if not inline:
            files.append(file)
        return file

    return add_file


class _NoOptions:
    """The default options, without importing the directive parser."""

    queue = run = position = logs = output = billed = msg = retry = retry_after = None
    cancel = error = ""
    nsfw = False
    loc: tuple[str | int, ...] = ()
    ctx: tuple[tuple[str, JSON], ...] = ()


NO_OPTIONS: Final[OutcomeOptions] = _NoOptions()
