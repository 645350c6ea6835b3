"""Rules about retries after an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import (
    CALLS,
    QueuedRequest,
    Record,
    RequestKey,
    answered_at,
    pauses_s,
    request_key,
    runs,
)
from mock_fal_contracts.usage_rules.rule import AUTHENTICATION, ERRORS, QUEUE_API, Finding, rule

# The number of rejections in a row, with no other request in between, that counts as retrying for ever. A test suite
# does not repeat a request that often.
MAX_REJECTED: Final = 5

# A retry storm: so many retries in a row, each within this time of the error. With the official clients the sixth
# retry comes after seconds: their pauses double, from 0.1 s (fal_client 1.0.3) and 1 s (@fal-ai/client 1.10.1).
STORM_RETRIES: Final = 6
STORM_PAUSE_S: Final = 0.5

# Retry-After counts as ignored after so many retries in a row, all within a tenth of the stated time, without backoff.
IGNORED_RETRIES: Final = 3
EARLY: Final = 0.1
# Backoff: the last pause is at least this long, and longer than the first. The pauses of fal_client are random, but its
# third is at least 0.2 s (less the rounding of clocks) and its first at most 0.15 s. A shorter pause may just be a busy
# machine.
BACKOFF_S: Final = 0.19
GROWTH: Final = 1.1


def _rejected(record: Record, *statuses: int) -> list[Exchange]:
    return [
        exchange
        for exchange in record.exchanges
        if exchange.status in statuses and exchange.operation != "download"
    ]


def _rejected_runs(record: Record, *statuses: int) -> Iterator[list[Exchange]]:
    """The runs of one request that was rejected at least MAX_REJECTED times."""
    for run in runs(record.retry_candidates):
        rejected = list(takewhile(lambda exchange: exchange.status in statuses, run))
        if len(rejected) >= MAX_REJECTED:
            yield rejected


@rule(
    "refused-key",
    "stops when its key is rejected",
    "401 and 403 are permanent: the key is wrong, the account is locked, or a permission is missing. Retries can't "
    "succeed.",
    f"{AUTHENTICATION}; seen live, 2025-26",
    subject="key was rejected (--stress unknown-key does that)",
    select=lambda record: _rejected(record, 401, 403),
)
def refused_key(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for run in _rejected_runs(record, 401, 403):
        yield Finding(
            f"{run[0].method} {run[0].url} was sent {len(run)} times in a row, and rejected each time with "
            f"{run[0].status}; stop, and report the error.",
            tuple(run),
        )


@rule(
    "not-found",
    "stops when it gets a 404",
    "404 is permanent: the request is unknown, its result has expired, or the app does not exist.",
    f"{QUEUE_API}; seen live, 2026",
    subject="response was 404 (--stress gone does that)",
    select=lambda record: _rejected(record, 404),
)
def not_found(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for run in _rejected_runs(record, 404):
        yield Finding(
            f"{run[0].method} {run[0].url} was sent {len(run)} times in a row, and answered 404 each time; treat it "
            "as final.",
            tuple(run),
        )


def _validation_errors(record: Record) -> list[Exchange]:
    errors = [
        exchange for exchange in record.exchanges_of("result", "run", "stream") if exchange.status == 422
    ]
    return [
        error
        for error in errors
        if (error.response_header("x-fal-needs-retry") or "false").lower() in ("false", "0")
    ]


@rule(
    "refused-input",
    "does not resend a rejected input",
    "A 422 is an error in the input, which is rejected again. X-Fal-Needs-Retry marks the errors that are worth a "
    "retry.",
    ERRORS,
    subject="input was rejected (--stress refused does that)",
    select=_validation_errors,
)
def refused_input(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for run in _repeated_calls(record, {id(exchange) for exchange in exchanges}):
        yield Finding(
            f"the same input was sent {len(run)} times to {run[0].endpoint}, and rejected each time with 422; change "
            "the input, or stop.",
            tuple(run),
        )


def _repeated_calls(record: Record, rejected: set[int]) -> Iterator[list[Exchange]]:
    """Calls in a row with the same input, whose results are among the rejected ones."""
    results = {request.submission.request_id: _last_result(request) for request in record.requests}
    run: list[Exchange] = []
    for call in record.retry_candidates:
        if call.operation not in CALLS:
            continue
        result = results.get(call.request_id) if call.operation == "submit" else call
        is_rejected = result is not None and id(result) in rejected
        continues_run = (
            run and request_key(run[-1]) == request_key(call) and call.received_at >= answered_at(run[-1])
        )
        if not (is_rejected and continues_run):
            if len(run) >= MAX_REJECTED:
                yield run
            run = []
        if is_rejected:
            run.append(call)
    if len(run) >= MAX_REJECTED:
        yield run


def _last_result(request: QueuedRequest) -> Exchange | None:
    results = request.exchanges_of("result")
    return results[-1] if results else None


def _repeated_requests(record: Record) -> list[list[Exchange]]:
    """The requests that were sent more than once, grouped by request, without those that overlap."""
    groups: dict[RequestKey, list[Exchange]] = {}
    for exchange in record.retry_candidates:
        groups.setdefault(request_key(exchange), []).append(exchange)
    return [group for group in groups.values() if len(group) > 1 and min(pauses_s(group)) >= 0]


def _has_retry_after(exchange: Exchange) -> bool:
    return _retry_after_s(exchange) >= 1


def _retry_after_s(exchange: Exchange) -> float:
    text = exchange.response_header("retry-after") or "" if exchange.status in (429, 503) else ""
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _is_backoff(pauses: Sequence[float]) -> bool:
    return pauses[-1] >= max(BACKOFF_S, pauses[0] * GROWTH)


@rule(
    "retry-after",
    "obeys Retry-After",
    "After an error with Retry-After, a client waits that many seconds, or at least increases its pauses.",
    "RFC 9110, section 10.2.3; fal_client 1.0.3 and @fal-ai/client 1.10.1 double their pauses",
    subject="response had Retry-After (--stress busy does that)",
    select=lambda record: [exchange for exchange in record.exchanges if _has_retry_after(exchange)],
    is_advice=True,
)
def retry_after(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for group in _repeated_requests(record):
        rejected = list(takewhile(_has_retry_after, group))
        attempts = group[: len(rejected) + 1]
        pauses = pauses_s(attempts)
        expected = _retry_after_s(group[0])
        is_early = len(pauses) >= IGNORED_RETRIES and max(pauses) < expected * EARLY
        if is_early and not _is_backoff(pauses):
            yield Finding(
                f"after {group[0].status} with Retry-After: {expected:.0f} the request was sent {len(pauses)} times "
                f"more, with pauses of at most {max(pauses):.2f} s; wait as long as Retry-After says.",
                tuple(attempts),
            )


@rule(
    "backoff",
    "increases its pauses between retries",
    "429 and 5xx are temporary: wait before a retry, and longer before each further one.",
    f"{ERRORS}; fal_client 1.0.3; @fal-ai/client 1.10.1",
    subject="response was a temporary error (--stress broken does that)",
    select=lambda record: [
        exchange for exchange in record.exchanges if exchange.status in (408, 429) or exchange.status >= 500
    ],
    is_advice=True,
)
def backoff(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    errors = {id(exchange) for exchange in exchanges}
    for group in _repeated_requests(record):
        attempts = list(takewhile(lambda exchange: id(exchange) in errors, group))
        pauses = pauses_s(attempts)
        if len(pauses) >= STORM_RETRIES and max(pauses) < STORM_PAUSE_S:
            yield Finding(
                f"{attempts[0].method} {attempts[0].url} was sent {len(attempts)} times, each within "
                f"{max(pauses):.2f} s of a {attempts[0].status}; wait before a retry, and longer each time.",
                tuple(attempts),
            )
