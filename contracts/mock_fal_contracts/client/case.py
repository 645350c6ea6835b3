"""A case of the catalogue: the scenario of the mock, the jobs for the client, and the checks of what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mock_fal_contracts.client.driver import Job
from mock_fal_contracts.client.observation import Observation
from mock_fal_contracts.results import Case

# Yields a sentence for each violation.
Check = Callable[[Observation], Iterable[str]]


@dataclass(frozen=True, slots=True)
class ClientCase:
    """One case. A job may be a function of the observation so far; `rules` are the scenario of the mock.

    `deadline_s` is the time limit of each answer. `linger_s` is how long to wait after the last answer before the
    exchanges are read. `slow_s` is how long a correct client takes, where that is long.
    """

    case: Case
    jobs: tuple[Job | Callable[[Observation], Job], ...]
    checks: tuple[Check, ...]
    rules: tuple[str | Mapping[str, Any], ...] = ()
    deadline_s: float = 20.0
    linger_s: float = 0.0
    slow_s: float = 0.0


def case(
    id: str,
    title: str,
    requirement: str,
    source: str,
    jobs: Iterable[Job | Callable[[Observation], Job]],
    checks: Iterable[Check],
    rules: Iterable[str | Mapping[str, Any]] = (),
    deadline_s: float = 20.0,
    linger_s: float = 0.0,
    slow_s: float = 0.0,
) -> ClientCase:
    """A case in the form in which the modules of the catalogue write it."""
    return ClientCase(
        Case(id, title, requirement, source),
        tuple(jobs),
        tuple(checks),
        tuple(rules),
        deadline_s,
        linger_s,
        slow_s,
    )
