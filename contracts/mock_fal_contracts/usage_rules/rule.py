"""Usage rules: a rule is a pure function of the requests that a program sent in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case, Evidence
from mock_fal_contracts.usage_rules.record import Record

# The number of exchanges shown for one finding: the first ones, and the last.
_MAX_EVIDENCE: Final = 5

# The sources of the rules. Each rule states what its source says.
QUEUE_API: Final = "fal's Queue API documentation, 2026"
ERRORS: Final = "fal's documentation of errors, 2026"
WEBHOOKS: Final = "fal's documentation of webhooks, 2026"
AUTHENTICATION: Final = "fal's documentation of authentication, 2026"
FILES: Final = "fal's documentation of files, 2026"
OPENAPI: Final = "the OpenAPI document of each model, 2026"


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation of a rule: what is wrong, how to fix it, and the exchanges that show it."""

    message: str
    exchanges: tuple[Exchange, ...] = ()

    @property
    def evidence(self) -> Iterator[Evidence]:
        """The exchanges as text, without the middle ones when there are many."""
        total = len(self.exchanges)
        for number, exchange in enumerate(self.exchanges, 1):
            if number < _MAX_EVIDENCE or number == total:
                directive = f"; injected fault: {exchange.directive}" if exchange.directive else ""
                yield exchange.evidence(f"exchange {number} of {total}{directive}")


Select = Callable[[Record], Sequence[Any]]
Find = Callable[[Record, Sequence[Any]], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`select` picks what the rule applies to, and `find` yields its violations.

    `subject` describes the selection; it completes "no …" when the selection is empty. A violation of a rule is an
    error: the program breaks, leaks or pays twice. With `is_advice` it works, and could be better.
    """

    case: Case
    subject: str
    select: Select
    find: Find
    is_advice: bool = False


def rule(
    id: str,
    title: str,
    requirement: str,
    source: str,
    *,
    subject: str,
    select: Select,
    is_advice: bool = False,
) -> Callable[[Find], Rule]:
    """Make a rule of a function that yields the violations among the selected items."""

    def decorate(find: Find) -> Rule:
        return Rule(Case(f"usage.{id}", title, requirement, source), subject, select, find, is_advice)

    return decorate
