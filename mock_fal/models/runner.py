"""What a runner makes of an input, or what a directive puts in the place of it; and the shelf for the files of a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON, MODEL_ERRORS
from mock_fal.ids import Ids
from mock_fal.models import catalog
from mock_fal.models.catalog import Job
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.requests.outcome import Outcome, Picture, RequestFailure, model_error

_EXTENSIONS: Final = {"jpeg": "jpg", "png": "png", "webp": "webp"}


class OutcomeOptions(Protocol):
    """What a test asks for the outcome of a request: a `Directive` is that."""

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
    """What came of the work: the outcome, in how many steps (0: it never began), what a stream shows, the files."""

    outcome: Outcome
    steps: int
    partials: tuple[JSON, ...]
    files: list[Picture]


def work(
    endpoint: EndpointId,
    body: bytes,
    directive: OutcomeOptions,
    ids: Ids,
    run_duration: float,
    look: Callable[[str], Source | None],
    *,
    streamed: bool,
) -> RunResult:
    """Let the endpoint's runner work for `run_duration` seconds; `look` opens the pictures that the input names."""
    if directive.error:
        return RunResult(_failure(directive), 0, (), [])
    files: list[Picture] = []
    job = Job(body, ids.seed_for, _shelf(ids, files), run_duration, directive.nsfw, look, streamed)
    response, steps, partials = catalog.runner(endpoint)(job)
    return RunResult(response, steps, partials, files)


def _failure(directive: OutcomeOptions) -> Outcome:
    """The error that a directive asks for."""
    if directive.error in MODEL_ERRORS:
        ctx = {**dict(MODEL_ERRORS[directive.error].ctx), **dict(directive.ctx)}
        return model_error(
            directive.error, loc=directive.loc, ctx=ctx, msg=directive.msg, retry=directive.retry
        )
    return RequestFailure(
        directive.error, msg=directive.msg, retry=directive.retry, retry_after_s=directive.retry_after
    )


def _shelf(ids: Ids, files: list[Picture]) -> Callable[[Recipe, bool], Picture]:
    """Where a runner leaves the files of a result."""

    def store(recipe: Recipe, inline: bool) -> Picture:
        content = (
            f"{recipe.endpoint} {recipe.seed} {recipe.width}x{recipe.height} {recipe.blank} {recipe.prompt}"
        )
        folder, name = ids.file_name(content)
        # fal: flux results are named `{nanoid}.jpg` or `.png`, with nothing behind the nanoid (live, 2026).
        picture = Picture(recipe, f"/files/b/{folder}/{name}.{_EXTENSIONS[recipe.format]}", inline)
        if not inline:
            files.append(picture)
        return picture

    return store


class _Nothing:
    """No wish, without loading the grammar of wishes."""

    queue = run = position = logs = msg = retry = retry_after = None
    cancel = error = ""
    nsfw = False
    loc: tuple[str | int, ...] = ()
    ctx: tuple[tuple[str, JSON], ...] = ()


NOTHING: Final[OutcomeOptions] = _Nothing()
