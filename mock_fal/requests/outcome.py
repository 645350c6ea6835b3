"""What comes out of a request: a model's answer, or the gateway's word that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, RequestErrorKind
from mock_fal.pictures.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of a result, in the place of its URL: where it is read depends on who asks.

    `path` is the file's path on the media host; `inline` asks for a data URI instead.
    """

    recipe: Recipe
    path: str
    inline: bool = False


@dataclass(frozen=True, slots=True)
class RunnerResponse:
    """What a runner said, a result or a model error. `body` is JSON with a `Picture` for each file.

    `inline` says that some of them are to be data URIs.
    """

    status: int
    body: JSON
    billable_units: int | float | None = None
    needs_retry: bool | None = None
    inline: bool = False


@dataclass(frozen=True, slots=True)
class RequestFailure:
    """What the gateway says when no runner answered. `error_type` is a key of REQUEST_ERRORS.

    `by_user` marks a deadline that the caller had set: clients don't try these again. The others are what a test
    may ask for: another text, a word about trying again, and when to, in seconds.
    """

    error_type: str
    by_user: bool = False
    msg: str | None = None
    retry: bool | None = None
    retry_after_s: int | None = None

    @property
    def kind(self) -> RequestErrorKind:
        return REQUEST_ERRORS[self.error_type]

    @property
    def detail(self) -> str:
        """What it says."""
        return self.kind.detail if self.msg is None else self.msg

    @property
    def needs_retry(self) -> bool:
        """Whether another try may help."""
        if self.retry is not None:
            return self.retry
        # fal: the queue tries again after 503 and 504, never after other codes; a caller's deadline is final.
        return self.kind.status in (429, 503, 504) and not self.by_user


Outcome = RunnerResponse | RequestFailure


def pictures_in(body: JSON) -> Iterator[Picture]:
    """The pictures of an answer's body, in their order."""
    if isinstance(body, Picture):
        yield body
    elif isinstance(body, dict | list):
        for part in body.values() if isinstance(body, dict) else body:
            yield from pictures_in(part)


def addresses(media: str, inline: Mapping[Picture, str]) -> Callable[[Any], str]:
    """For `json.dumps(default=…)`: the address of a picture below `media`, or its data URI."""

    def address(value: Any) -> str:
        if not isinstance(value, Picture):
            raise TypeError(f"{value!r} has no place in JSON")
        return inline[value] if value.inline else media + value.path

    return address


def is_deeper(document: JSON, levels: int) -> bool:
    """Whether lists and objects lie inside each other at more than `levels` levels."""
    layer = [document]
    for _ in range(levels):
        layer = [part for value in layer for part in _parts(value)]
        if not layer:
            return False
    return True


def _parts(value: JSON) -> Iterable[JSON]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def rejected(items: list[JSON]) -> RunnerResponse:
    """A runner's 422 for an input that does not fit its schema."""
    # fal: a rejected input costs nothing and says so (fal SDK, the runner's validation handler).
    return RunnerResponse(422, {"detail": items}, billable_units=0)


def model_error(
    error_type: str,
    seen: JSON = None,
    *,
    loc: tuple[str | int, ...] = (),
    ctx: Mapping[str, JSON] | None = None,
    msg: str | None = None,
    retry: bool | None = None,
) -> RunnerResponse:
    """A model error of fal's documentation, as its own error classes print it: `loc, msg, type, url, ctx, input`."""
    kind = MODEL_ERRORS[error_type]
    item: dict[str, JSON] = {
        "loc": list(loc or kind.loc),
        "msg": kind.msg if msg is None else msg,
        "type": error_type,
        # fal: live answers write it without the slash that the documentation has.
        "url": f"https://docs.fal.ai/errors#{error_type}",
    }
    if ctx or kind.ctx:
        item["ctx"] = dict(ctx or kind.ctx)
    item["input"] = seen
    needs_retry = kind.retryable if retry is None else retry
    return RunnerResponse(kind.status, {"detail": [item]}, billable_units=0, needs_retry=needs_retry)
