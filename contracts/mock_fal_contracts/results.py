"""Results of a check: one `Result` for each case and subject, with the exchanges that prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """The outcome of a case.

    `ADVICE`: it works, but could be better. `KNOWN`: failed as the baseline says. `STALE`: passed although the baseline
    lists it.
    """

    PASSED = "passed"
    FAILED = "failed"
    ADVICE = "advice"
    SKIPPED = "skipped"
    KNOWN = "known failure"
    STALE = "stale baseline entry"

    @property
    def is_bad(self) -> bool:
        """Whether this outcome makes the whole check fail."""
        return self in (Status.FAILED, Status.STALE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One exchange as text: `request` and `response` are head and body as sent over the wire.

    `note` says what to look at. The caller masks secrets.
    """

    request: str
    response: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A requirement to check. `id` never changes once published, because baselines refer to it.

    `requirement` is the rule in one sentence; `source` says where fal (or HTTP) states it.
    """

    id: str
    title: str
    requirement: str
    source: str


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one case for one subject: a client or a server. `message` says what is wrong and how to fix it."""

    case: Case
    subject: str
    status: Status
    message: str = ""
    evidence: tuple[Evidence, ...] = ()
    duration_s: float = 0.0


# Called with each result as soon as it is known, and with the total number of results where that is known.
OnResult = Callable[[Result, int | None], None]


def passed(case: Case, subject: str, duration_s: float = 0.0) -> Result:
    """The subject meets the requirement."""
    return Result(case, subject, Status.PASSED, duration_s=duration_s)


def failed(
    case: Case, subject: str, message: str, evidence: Iterable[Evidence] = (), duration_s: float = 0.0
) -> Result:
    """The subject violates the requirement."""
    return Result(case, subject, Status.FAILED, message, tuple(evidence), duration_s)


def advised(case: Case, subject: str, message: str, evidence: Iterable[Evidence] = ()) -> Result:
    """The subject works, but does not meet the recommendation."""
    return Result(case, subject, Status.ADVICE, message, tuple(evidence))


def skipped(case: Case, subject: str, reason: str) -> Result:
    """The case could not be run."""
    return Result(case, subject, Status.SKIPPED, reason)
