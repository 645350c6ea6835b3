"""The outcome of a request: the response of a runner, or the gateway's error if there is none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, RequestErrorKind

if TYPE_CHECKING:
    from mock_fal.media.recipe import MediaRecipe
    from mock_fal.requests.upload_policy import UploadPolicy

T = TypeVar("T")


# Not frozen: each result has one, and a frozen one takes three times as long to create.
@dataclass(slots=True, unsafe_hash=True)
class MediaFile:
    """A file in a result, in place of its URL, which depends on the media host that a client can reach.

    `path` is the path on the media host; `inline` selects a data URI instead, or the address in `bucket`.
    """

    recipe: MediaRecipe
    path: str
    inline: bool = False
    # Where the file goes instead of fal's media host.
    bucket: UploadPolicy | None = None


@dataclass(slots=True, unsafe_hash=True)
class MediaSize:
    """The size of a file in bytes, in place of the number, which is known once the file is rendered."""

    file: MediaFile


class Deferred(ABC):
    """A part of a result body that is computed when the body is written, because it is large."""

    __slots__ = ()

    @abstractmethod
    def json(self) -> JSON:
        """The part."""


class RunnerResponse(NamedTuple):
    """The response of a runner: a result or a model error. `body` is JSON with a `MediaFile` for each file.

    `inline` is set if some of them are data URIs.
    """

    status: int
    body: JSON
    billable_units: int | float | None = None
    needs_retry: bool | None = None
    inline: bool = False


class RequestFailure(NamedTuple):
    """The error of the gateway when no runner responded. `error_type` is a key of REQUEST_ERRORS.

    `by_user` marks a deadline that the client had set; official clients don't retry these. `msg`, `retry` and
    `retry_after_s` (seconds) are set by directives.
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
        """The text of the error."""
        return self.kind.detail if self.msg is None else self.msg

    @property
    def needs_retry(self) -> bool:
        """Whether a retry may succeed."""
        if self.retry is not None:
            return self.retry
        # fal: the queue retries after 503 and 504 only; a deadline of the client is final.
        return self.kind.status in (429, 503, 504) and not self.by_user


Outcome = RunnerResponse | RequestFailure


def media_files(body: JSON) -> Iterator[MediaFile]:
    """The files in a response body, in order."""
    return _parts(body, MediaFile)


def media_sizes(body: JSON) -> Iterator[MediaSize]:
    """The sizes of files in a response body, in order."""
    return _parts(body, MediaSize)


def _parts(body: JSON, kind: type[T]) -> Iterator[T]:
    """What stands in a body in place of JSON, of one kind."""
    if isinstance(body, kind):
        yield body
    elif isinstance(body, dict | list):
        for part in body.values() if isinstance(body, dict) else body:
            yield from _parts(part, kind)


def needs_rendering(body: JSON) -> bool:
    """Whether a response body has data URIs or sizes, for which files must be rendered before it is written."""
    return any(file.inline for file in media_files(body)) or any(True for _ in media_sizes(body))


# What is known of files once they are rendered: data URIs or addresses elsewhere, and sizes in bytes.
Rendered = Mapping[MediaFile | MediaSize, str | int]


def media_urls(media: str, rendered: Rendered) -> Callable[[Any], JSON]:
    """A function for `json.dumps(default=…)` that writes a file as its URL below `media` or as its data URI."""

    def url(value: Any) -> JSON:
        if isinstance(value, Deferred):
            return value.json()
        if isinstance(value, MediaSize):
            return rendered[value]
        if not isinstance(value, MediaFile):
            raise TypeError(f"{value!r} is not JSON")
        return rendered[value] if value.inline else media + value.path

    return url


def rejected(items: list[JSON]) -> RunnerResponse:
    """A runner's 422 for an input that doesn't match its schema."""
    # fal: a rejected input reports 0 billable units (fal SDK, the runner's validation handler).
    return RunnerResponse(422, {"detail": items}, billable_units=0)


def model_error(
    error_type: str,
    seen: JSON = None,
    *,
    loc: tuple[str | int, ...] = (),
    ctx: Mapping[str, JSON] | None = None,
    msg: str | None = None,
    retry: bool | None = None,
    billable_units: float = 0,
) -> RunnerResponse:
    """A documented model error, with the keys in fal's order: `loc, msg, type, url, ctx, input`."""
    kind = MODEL_ERRORS[error_type]
    item: dict[str, JSON] = {
        "loc": list(loc or kind.loc),
        "msg": kind.msg if msg is None else msg,
        "type": error_type,
        # fal: live responses have no slash before the fragment; the documentation has one.
        "url": f"https://docs.fal.ai/errors#{error_type}",
    }
    if ctx or kind.ctx:
        item["ctx"] = dict(ctx or kind.ctx)
    item["input"] = seen
    needs_retry = kind.retryable if retry is None else retry
    return RunnerResponse(
        kind.status, {"detail": [item]}, billable_units=billable_units, needs_retry=needs_retry
    )
