"""Automatic retries: after which failures fal tries a queued request again, when, and the attempts that were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from mock_fal.requests.outcome import Outcome, RequestFailure, RunnerResponse
from mock_fal.requests.queue import ModelRequest

# fal: at most 10 attempts (fal's documentation of reliability and of retries, 2026).
MAX_ATTEMPTS: Final = 10

# The wait before the second attempt, as a part of the time in the queue; it doubles up to the whole.
_FIRST_GAP: Final = 1 / 8

# Errors of the gateway at which no runner has begun, so that nothing was logged.
NOT_BEGUN: Final = frozenset(
    {
        "startup_timeout",
        "runner_scheduling_failure",
        "runner_connection_timeout",
        "runner_connection_refused",
        "runner_connection_error",
    }
)


def is_retried(outcome: Outcome, retry: bool | None = None) -> bool:
    """Whether fal tries a queued request again. `retry` is what the runner says in `X-Fal-Needs-Retry`."""
    # fal: after 503, 504, broken connections and timeouts; never after another 4xx, 500 or 502. The header decides for
    # 5xx and 429 (fal's documentation of retries, 2026).
    # assumption: fal's own model errors with status 500 are not tried again, although they carry the header.
    status = outcome.kind.status if isinstance(outcome, RequestFailure) else outcome.status
    if retry is not None and (status >= 500 or status == 429):
        return retry
    return status in (503, 504)


# fal: the conditions of `X-Fal-Retry-Config` (fal's documentation of retries, 2026).
CONDITIONS: Final = ("server_error", "timeout", "connection_error")

# How many more attempts there are after failures of each condition; without a number there is no limit of its own.
RetryConfig = Mapping[str, int]
NO_RETRY_CONFIG: Final[RetryConfig] = {}


def condition(outcome: Outcome) -> str:
    """The condition of a failure: one of CONDITIONS."""
    # assumption: which failures belong to which condition, from their names.
    if isinstance(outcome, RequestFailure):
        if outcome.error_type.startswith(("runner_connection", "runner_disconnected")):
            return "connection_error"
        return "timeout" if outcome.kind.status == 504 else "server_error"
    return "timeout" if outcome.status == 504 else "server_error"


def gap(number: int, queue_duration: float) -> float:
    """The seconds between attempt `number`, counted from 1, and the next one.

    >>> [gap(number, 8.0) for number in range(1, 6)]
    [1.0, 2.0, 4.0, 8.0, 8.0]
    """
    # assumption: the gaps; documented is a backoff without numbers.
    # assumption: during a gap the status stays IN_PROGRESS, and the next attempt waits for no other request.
    return float(min(_FIRST_GAP * 2 ** (number - 1), 1) * queue_duration)


class Attempt(NamedTuple):
    """An attempt at a request: its id and moments, and once it has ended the HTTP status and the type of its error.

    `ends_at` and `status` are None before the end; `error_type` is None without an error.
    """

    id: str
    starts_at: float
    ends_at: float | None
    status: int | None
    error_type: str | None


def attempts(request: ModelRequest, now: float) -> list[Attempt]:
    """The attempts at a request that have started by `now`, first to last."""
    spans = request.schedule.spans
    ids = [*(attempt.id for attempt in request.earlier), request.last_id or request.id]
    outcomes: list[Outcome] = [attempt.outcome for attempt in request.earlier]
    found: list[Attempt] = []
    for number, span in enumerate(spans):
        if span.starts_at > now:
            break
        if span.ends_at > now:
            found.append(Attempt(ids[number], span.starts_at, None, None, None))
            continue
        # One that was stopped has the result of the request.
        stopped = request.is_stopped and number == len(spans) - 1
        outcome = outcomes[number] if number < len(outcomes) and not stopped else request.result
        found.append(Attempt(ids[number], span.starts_at, span.ends_at, *status_and_error(outcome)))
    return found


def status_and_error(outcome: Outcome) -> tuple[int, str | None]:
    """The HTTP status of an outcome, and the type of its error, if it is one."""
    if isinstance(outcome, RequestFailure):
        return outcome.kind.status, outcome.error_type
    return outcome.status, _model_error_type(outcome)


def _model_error_type(outcome: RunnerResponse) -> str | None:
    """The type of the first error in a runner's response."""
    detail = outcome.body.get("detail") if isinstance(outcome.body, dict) else None
    first = detail[0] if isinstance(detail, list) and detail else None
    error_type = first.get("type") if outcome.status >= 400 and isinstance(first, dict) else None
    return error_type if isinstance(error_type, str) else None
