"""The invariants that were tested, and the violations that were found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case

_MAX_VALUE_LENGTH = 300


class Violation(Exception):
    """An invariant does not hold. `exchanges` show it; the decisive one is the last."""

    def __init__(self, case: Case, message: str, exchanges: Iterable[Exchange] = ()) -> None:
        super().__init__(f"{case.id}: {message}")
        self.case = case
        self.message = message
        self.exchanges = tuple(exchanges)


class NotTestable(Exception):
    """An invariant can't be tested on this target: it costs too much, or the target's setup does not allow it."""


@dataclass
class Findings:
    """The invariants tested so far. A violated one is reported once and then ignored, so that the others are tested."""

    tested: set[Case] = field(default_factory=set)
    violations: dict[Case, Violation] = field(default_factory=dict)

    def expect(self, case: Case, holds: bool, message: str, *exchanges: Exchange) -> None:
        """Raise a Violation unless the condition holds, or the invariant is already known to be violated."""
        self.tested.add(case)
        if not holds and case not in self.violations:
            raise Violation(case, message, exchanges)

    def expect_equal(
        self, case: Case, actual: object, expected: object, subject: str, *exchanges: Exchange
    ) -> None:
        """Expect two values to be equal; the message states the actual and the expected value."""
        message = f"{subject} is {_short(actual)}, expected {_short(expected)}"
        self.expect(case, actual == expected, message, *exchanges)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}…"
