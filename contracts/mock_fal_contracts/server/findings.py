"""What the laws found: which were tried, which were broken and by what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case


class Violation(Exception):
    """A law does not hold. `exchanges` show it, the telling one last."""

    def __init__(self, case: Case, message: str, exchanges: Iterable[Exchange] = ()) -> None:
        super().__init__(f"{case.id}: {message}")
        self.case = case
        self.message = message
        self.exchanges = tuple(exchanges)


class NotNow(Exception):
    """A law can't be tried here and now: too dear, or nothing that this target allows."""


@dataclass
class Findings:
    """The laws that were tried so far. One that was broken is not looked at again, so that the others are."""

    tried: set[Case] = field(default_factory=set)
    broken: dict[Case, Violation] = field(default_factory=dict)

    def expect(self, case: Case, holds: bool, message: str, *exchanges: Exchange) -> None:
        """Raise a Violation unless it holds, or is known to be broken."""
        self.tried.add(case)
        if not holds and case not in self.broken:
            raise Violation(case, message, exchanges)

    def same(self, case: Case, seen: object, expected: object, what: str, *exchanges: Exchange) -> None:
        """Expect something to be equal; the message says what was seen and what was expected."""
        self.expect(
            case, seen == expected, f"{what} is {_short(seen)}, expected {_short(expected)}", *exchanges
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
