"""A rule of the verdict: a pure function of what a program asked in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case, Evidence
from mock_fal_contracts.usage_rules.record import Record

# Exchanges that are shown of one finding: the first ones, and the last.
_SHOWN: Final = 5

# Where the rules come from. What fal says of each stands with the rule.
QUEUE_API: Final = "fal's Queue API documentation, 2026"
ERRORS: Final = "fal's documentation of errors, 2026"
WEBHOOKS: Final = "fal's documentation of webhooks, 2026"
AUTHENTICATION: Final = "fal's documentation of authentication, 2026"
FILES: Final = "fal's documentation of files, 2026"
OPENAPI: Final = "the OpenAPI document of each model, 2026"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, with what to do about it, and the exchanges that show it."""

    message: str
    exchanges: tuple[Exchange, ...] = ()

    @property
    def evidence(self) -> Iterator[Evidence]:
        """The exchanges as text, not all of them when there are many."""
        total = len(self.exchanges)
        for number, each in enumerate(self.exchanges, 1):
            if number < _SHOWN or number == total:
                directive = f"; the mock was told: {each.directive}" if each.directive else ""
                yield each.evidence(f"exchange {number} of {total}{directive}")


Subjects = Callable[[Record], Sequence[Any]]
Judge = Callable[[Record, Sequence[Any]], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`subjects` picks what a rule looks at; where there is none, nothing is judged. `about` says what that is."""

    case: Case
    about: str
    subjects: Subjects
    judge: Judge


def rule(
    id: str, title: str, requirement: str, source: str, *, about: str, of: Subjects
) -> Callable[[Judge], Rule]:
    """Make a rule of a function that yields what is wrong with the subjects."""

    def made(judge: Judge) -> Rule:
        return Rule(Case(f"verdict.{id}", title, requirement, source), about, of, judge)

    return made
