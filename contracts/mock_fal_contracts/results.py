"""What a check came to: one `Result` for each case and subject, with the exchanges that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How a case ended. `KNOWN` failed, and the baseline says so; `STALE` passed, and the baseline says it fails."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    KNOWN = "known failure"
    STALE = "stale baseline entry"

    @property
    def is_bad(self) -> bool:
        """Whether it makes the whole check fail."""
        return self in (Status.FAILED, Status.STALE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One exchange as text: `question` and `answer` are heads and bodies as they went over the wire.

    `note` says what to look at. Secrets are masked by whoever makes it.
    """

    request: str
    response: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """What is checked. `id` never changes once it is published: baselines name it.

    `requirement` is the rule in one sentence, `source` where fal (or HTTP) says so.
    """

    id: str
    title: str
    requirement: str
    source: str


@dataclass(frozen=True, slots=True)
class Result:
    """How one case ended for one subject (a client, or a server). `message` says what was seen and what to do."""

    case: Case
    subject: str
    status: Status
    message: str = ""
    evidence: tuple[Evidence, ...] = ()
    duration_s: float = 0.0


# Called with each result as soon as it is there, and with how many there will be where that is known.
Tell = Callable[[Result, int | None], None]


def passed(case: Case, subject: str, duration_s: float = 0.0) -> Result:
    """The case holds."""
    return Result(case, subject, Status.PASSED, duration_s=duration_s)


def failed(
    case: Case, subject: str, message: str, evidence: Iterable[Evidence] = (), duration_s: float = 0.0
) -> Result:
    """The case does not hold."""
    return Result(case, subject, Status.FAILED, message, tuple(evidence), duration_s)


def skipped(case: Case, subject: str, reason: str) -> Result:
    """The case could not be tried."""
    return Result(case, subject, Status.SKIPPED, reason)
