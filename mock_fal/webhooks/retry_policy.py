"""When delivery attempts of a webhook are made, and what the receiver's response means."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

# fal: the lifetime of a stored result, and the size from which it is shorter (documentation, 2026).
LIFETIME_S: Final = 3600.0
LARGE_LIFETIME_S: Final = 360.0
LARGE_BYTES: Final = 10_000


class RetryPolicy(NamedTuple):
    """The number, gaps and timeouts of delivery attempts. Gaps are emulated seconds, timeouts real seconds.

    After `first_gap_s`, the gaps double from `gap_s` to `longest_gap_s`. The lifetime of a result, after which nothing
    is sent, is divided by `pace`.
    """

    max_attempts: int
    first_gap_s: float
    gap_s: float
    longest_gap_s: float
    pace: float
    first_timeout_s: float
    timeout_s: float


# fal: up to 31 attempts, with growing gaps, until the stored result expires; the first has a timeout of 15 s,
# the others of 120 s (documentation, 2026-08; older pages: 10 attempts in 2 hours).
# assumption: the gaps. Seen live (2026-07) were 2, 39, 75, 55, 190 and 340 s: doubling, with jitter.
# deviation: no jitter, so that a run is reproducible.
_REAL: Final = RetryPolicy(31, 2.0, 20.0, 600.0, 1.0, 15.0, 120.0)

POLICIES: Final = {
    "real": _REAL,
    # A hundredth of the gaps. Receivers are as slow as before, so the timeouts shrink less.
    "fast": RetryPolicy(31, 0.02, 0.2, 6.0, 100.0, 5.0, 10.0),
    "none": RetryPolicy(1, 0.0, 0.0, 0.0, 1.0, 15.0, 15.0),
}


class AttemptResult(Enum):
    """What a response means for the delivery."""

    DELIVERED = "delivered"
    FAILED = "failed, not retried"
    RETRY = "retried"


def classify(status: int) -> AttemptResult:
    """What a status code means for the delivery."""
    # fal: any 2xx is success, a redirect is final failure, all else is retried (documentation, 2026-08).
    if 200 <= status < 300:
        return AttemptResult.DELIVERED
    return AttemptResult.FAILED if 300 <= status < 400 else AttemptResult.RETRY


def attempt_times(first: float, policy: RetryPolicy, size_bytes: int = 0) -> Iterator[float]:
    """The times of all attempts for a webhook of that size, in order.

    >>> list(attempt_times(0.0, POLICIES["real"]))
    [0.0, 2.0, 22.0, 62.0, 142.0, 302.0, 622.0, 1222.0, 1822.0, 2422.0, 3022.0]
    """
    lifetime_s = LARGE_LIFETIME_S if size_bytes >= LARGE_BYTES else LIFETIME_S
    expires_at = first + lifetime_s / policy.pace
    time, gap = first, policy.first_gap_s
    for number in range(policy.max_attempts):
        if time >= expires_at:
            return
        yield time
        time += gap
        gap = min(policy.gap_s * 2.0**number, policy.longest_gap_s)


def attempt_timeout_s(policy: RetryPolicy, attempt: int) -> float:
    """How long an attempt waits for the response, in real seconds. The first attempt is 1."""
    return policy.first_timeout_s if attempt == 1 else policy.timeout_s
