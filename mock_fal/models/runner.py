"""Running a model: the outcome of an input, or the error that a directive injects instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON, MODEL_ERRORS
from mock_fal.ids import Ids
from mock_fal.models import catalog
from mock_fal.models.catalog import Job
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.requests.outcome import MediaFile, Outcome, RequestFailure, model_error

_EXTENSIONS: Final = {"jpeg": "jpg", "png": "png", "webp": "webp"}


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


def run_model(
    endpoint: EndpointId,
    body: bytes,
    directive: OutcomeOptions,
    ids: Ids,
    run_duration: float,
    load_picture: Callable[[str], Source | None],
    *,
    streamed: bool,
) -> RunResult:
    """The result of a run of `run_duration` seconds; `load_picture` reads the pictures that the input refers to."""
    if directive.error:
        return RunResult(_failure(directive), 0, (), [])
    files: list[MediaFile] = []
    add_picture = _picture_adder(ids, files)
    job = Job(body, ids.seed_for, add_picture, run_duration, directive.nsfw, load_picture, streamed)
    response, steps, partials = catalog.runner(endpoint)(job)
    return RunResult(response, steps, partials, files)


def _failure(directive: OutcomeOptions) -> Outcome:
    """The error that a directive injects."""
    if directive.error in MODEL_ERRORS:
        ctx = {**dict(MODEL_ERRORS[directive.error].ctx), **dict(directive.ctx)}
        return model_error(
            directive.error, loc=directive.loc, ctx=ctx, msg=directive.msg, retry=directive.retry
        )
    return RequestFailure(
        directive.error, msg=directive.msg, retry=directive.retry, retry_after_s=directive.retry_after
    )


def _picture_adder(ids: Ids, files: list[MediaFile]) -> Callable[[Recipe, bool], MediaFile]:
    """A function that names a picture and appends it to `files`, unless it is inline."""

    def add_picture(recipe: Recipe, inline: bool) -> MediaFile:
        content = (
            f"{recipe.endpoint} {recipe.seed} {recipe.width}x{recipe.height} {recipe.blank} {recipe.prompt}"
        )
        folder, name = ids.file_name(content)
        # fal: flux results are named `{nanoid}.jpg` or `.png`, with nothing after the nanoid (live, 2026).
        picture = MediaFile(recipe, f"/files/b/{folder}/{name}.{_EXTENSIONS[recipe.format]}", inline)
        if not inline:
            files.append(picture)
        return picture

    return add_picture


class _NoOptions:
    """The default options, without importing the directive parser."""

    queue = run = position = logs = msg = retry = retry_after = None
    cancel = error = ""
    nsfw = False
    loc: tuple[str | int, ...] = ()
    ctx: tuple[tuple[str, JSON], ...] = ()


NO_OPTIONS: Final[OutcomeOptions] = _NoOptions()
