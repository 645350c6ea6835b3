"""Rules about asking again after an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import (
    CALLS,
    Record,
    Request,
    pauses_s,
    request_key,
    runs,
    sent_at,
)
from mock_fal_contracts.usage_rules.rule import AUTHENTICATION, ERRORS, QUEUE_API, Finding, rule

# So often in a row, with nothing else in between: no test suite, but somebody who does not give up.
STUBBORN: Final = 5

# A storm: so many times in a row, each within this time of the refusal. With the official clients the sixth comes after
# seconds: their pauses double, from 0.1 s (fal_client 1.0.3) and 1 s (@fal-ai/client 1.10.1).
STORM: Final = 6
STORM_PAUSE_S: Final = 0.5

# Retry-After counts as ignored when so many come one after the other, all within a tenth of what was asked for, and
# the pauses don't grow either.
IGNORED: Final = 3
EARLY: Final = 0.1
# The third pause of fal_client is at least 0.2 s and its first at most 0.15 s, by chance.
GROWTH: Final = 1.1
NOISE_S: Final = 0.03


def _refused(record: Record, *statuses: int) -> list[Exchange]:
    return [each for each in record.exchanges if each.status in statuses and each.operation != "download"]


def _stubborn(record: Record, *statuses: int) -> Iterator[list[Exchange]]:
    """The same question, refused again and again."""
    for run in runs(record.tries):
        refused = list(takewhile(lambda each: each.status in statuses, run))
        if len(refused) >= STUBBORN:
            yield refused


@rule(
    "refused-key",
    "stops when its key is refused",
    "401 and 403 stay: the key is wrong, the account locked, or a right is missing. Asking again changes nothing.",
    f"{AUTHENTICATION}; seen live, 2025-26",
    about="key was refused (--stress unknown-key does that)",
    of=lambda record: _refused(record, 401, 403),
)
def refused_key(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for run in _stubborn(record, 401, 403):
        yield Finding(
            f"{run[0].method} {run[0].url} was asked {len(run)} times in a row, and refused each time with "
            f"{run[0].status}; stop, and say so to whoever holds the key.",
            tuple(run),
        )


@rule(
    "not-found",
    "stops when there is nothing",
    "404 stays: the request is unknown or its result has expired, or there is no such app.",
    f"{QUEUE_API}; seen live, 2026",
    about="answer was 404 (--stress gone does that)",
    of=lambda record: _refused(record, 404),
)
def not_found(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for run in _stubborn(record, 404):
        yield Finding(
            f"{run[0].method} {run[0].url} was asked {len(run)} times in a row, and was 404 each time; treat it as "
            "the end.",
            tuple(run),
        )


def _invalid(record: Record) -> list[Exchange]:
    told = [each for each in record.exchanges_of("result", "run", "stream") if each.status == 422]
    return [
        each
        for each in told
        if (each.response_header("x-fal-needs-retry") or "false").lower() in ("false", "0")
    ]


@rule(
    "refused-input",
    "does not repeat an input that was refused",
    "422 is about the input; the same input is refused again. X-Fal-Needs-Retry says what is worth another try.",
    ERRORS,
    about="input was refused (--stress refused does that)",
    of=_invalid,
)
def refused_input(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for run in _repeated_calls(record, {id(each) for each in exchanges}):
        yield Finding(
            f"the same input was sent {len(run)} times to {run[0].endpoint}, and refused each time with 422; change "
            "the input, or give up.",
            tuple(run),
        )


def _repeated_calls(record: Record, refused: set[int]) -> Iterator[list[Exchange]]:
    """Calls with the same input, one after the other, whose result is among the refused."""
    ends = {each.submission.request_id: _end(each) for each in record.requests}
    run: list[Exchange] = []
    for each in record.tries:
        if each.operation not in CALLS:
            continue
        end = ends.get(each.request_id) if each.operation == "submit" else each
        hopeless = end is not None and id(end) in refused
        goes_on = run and request_key(run[-1]) == request_key(each) and each.received_at >= sent_at(run[-1])
        if not (hopeless and goes_on):
            if len(run) >= STUBBORN:
                yield run
            run = []
        if hopeless:
            run.append(each)
    if len(run) >= STUBBORN:
        yield run


def _end(request: Request) -> Exchange | None:
    results = request.exchanges_of("result")
    return results[-1] if results else None


def _repeated_requests(record: Record) -> list[list[Exchange]]:
    """All that was asked more than once, each question apart, as far as nobody asked it side by side."""
    apart: dict[object, list[Exchange]] = {}
    for each in record.tries:
        apart.setdefault(request_key(each), []).append(each)
    return [group for group in apart.values() if len(group) > 1 and min(pauses_s(group)) >= 0]


def _waits(record: Record) -> list[Exchange]:
    return [each for each in record.exchanges if _retry_after_s(each) >= 1]


def _retry_after_s(exchange: Exchange) -> float:
    text = exchange.response_header("retry-after") or "" if exchange.status in (429, 503) else ""
    return float(text) if text.isascii() and text.isdigit() else 0.0


@rule(
    "retry-after",
    "waits when it is told to",
    "Who is refused with Retry-After waits so many seconds, or at least longer from try to try.",
    "RFC 9110, section 10.2.3; fal_client 1.0.3 and @fal-ai/client 1.10.1 double their pauses",
    about="answer said Retry-After (--stress busy does that)",
    of=_waits,
)
def retry_after(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for group in _repeated_requests(record):
        refused = list(takewhile(lambda each: _retry_after_s(each) >= 1, group))
        tries = group[: len(refused) + 1]
        pauses = pauses_s(tries)
        wanted = _retry_after_s(group[0])
        early = len(pauses) >= IGNORED and max(pauses) < wanted * EARLY
        if early and pauses[-1] < pauses[0] * GROWTH + NOISE_S:
            yield Finding(
                f"{group[0].status} said Retry-After: {wanted:.0f}, and the same question came back {len(pauses)} "
                f"times, each after at most {max(pauses):.2f} s; wait as long as the answer says.",
                tuple(tries),
            )


@rule(
    "backoff",
    "waits longer from try to try",
    "429 and 5xx pass with time: wait before the next try, and each time longer.",
    f"{ERRORS}; fal_client 1.0.3; @fal-ai/client 1.10.1",
    about="answer was a temporary refusal (--stress broken does that)",
    of=lambda record: [each for each in record.exchanges if each.status in (408, 429) or each.status >= 500],
)
def backoff(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    refused = {id(each) for each in exchanges}
    for group in _repeated_requests(record):
        tries = list(takewhile(lambda each: id(each) in refused, group))
        pauses = pauses_s(tries)
        if len(pauses) >= STORM and max(pauses) < STORM_PAUSE_S:
            yield Finding(
                f"{tries[0].method} {tries[0].url} was asked {len(tries)} times, always within {max(pauses):.2f} s of "
                f"a {tries[0].status}; wait, and each time longer.",
                tuple(tries),
            )
