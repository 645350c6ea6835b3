"""When a webhook is tried: a timetable, computed at once, and what an answer means for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

# fal: what a stored result lives for, and from which size on it lives shorter (documentation, 2026).
LIFETIME_S: Final = 3600.0
LARGE_LIFETIME_S: Final = 360.0
LARGE_BYTES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Policy:
    """How patiently webhooks are sent. Gaps are seconds of the emulated clock, patience is real time.

    The first gap stands alone, the later ones double from `gap_s` to `longest_gap_s`. `pace` divides a result's
    lifetime, after which nothing is sent any more.
    """

    most: int
    first_gap_s: float
    gap_s: float
    longest_gap_s: float
    pace: float
    first_patience_s: float
    patience_s: float


# fal: up to 31 attempts, with growing gaps, until the stored result expires; the first has 15 s to be answered,
# the others 120 s (documentation, 2026-08; older pages: 10 attempts in 2 hours).
# assumption: the gaps. Seen live (2026-07) were 2, 39, 75, 55, 190 and 340 s: doubling, with chance in it.
# deviation: no chance, so that a run repeats.
_REAL: Final = Policy(31, 2.0, 20.0, 600.0, 1.0, 15.0, 120.0)

POLICIES: Final = {
    "real": _REAL,
    # A hundredth of the gaps. Receivers don't get faster by that, so patience shrinks less.
    "fast": Policy(31, 0.02, 0.2, 6.0, 100.0, 5.0, 10.0),
    "none": Policy(1, 0.0, 0.0, 0.0, 1.0, 15.0, 15.0),
}


class Verdict(Enum):
    """What an answer means for a webhook."""

    DELIVERED = "taken"
    FAILED = "never tried again"
    AGAIN = "tried again"


def verdict(status: int) -> Verdict:
    """fal: any 2xx is success, a redirect is final failure, all else is tried again (documentation, 2026-08)."""
    if 200 <= status < 300:
        return Verdict.DELIVERED
    return Verdict.FAILED if 300 <= status < 400 else Verdict.AGAIN


def attempts(first: float, policy: Policy, size_bytes: int = 0) -> Iterator[float]:
    """The moments at which a webhook of that size is tried, soonest first.

    >>> list(attempts(0.0, POLICIES["real"]))
    [0.0, 2.0, 22.0, 62.0, 142.0, 302.0, 622.0, 1222.0, 1822.0, 2422.0, 3022.0]
    """
    lifetime_s = LARGE_LIFETIME_S if size_bytes >= LARGE_BYTES else LIFETIME_S
    expires = first + lifetime_s / policy.pace
    moment, gap = first, policy.first_gap_s
    for number in range(policy.most):
        if moment >= expires:
            return
        yield moment
        moment += gap
        gap = min(policy.gap_s * 2.0**number, policy.longest_gap_s)


def patience_s(policy: Policy, attempt: int) -> float:
    """How long a receiver may take to answer, in real seconds. The first attempt is 1."""
    return policy.first_patience_s if attempt == 1 else policy.patience_s
