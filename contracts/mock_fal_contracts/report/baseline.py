"""Known failures: a file of `subject case-id` lines that keeps CI green, and fails when a line has become untrue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mock_fal_contracts.results import Case, Result, Status

Known = frozenset[tuple[str, str]]


def read(path: Path) -> Known:
    """The pairs of subject and case id. Raises ValueError for a line that is none, with its number."""
    known = set()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) < 2:
            raise ValueError(f"{path}:{number}: {line!r}: expected a subject and the id of a case")
        known.add((" ".join(words[:-1]), words[-1]))
    return frozenset(known)


def written(results: Iterable[Result]) -> str:
    """The text of a baseline that holds everything that fails now."""
    bad = sorted(
        {(r.subject, r.case.id) for r in results if r.status in (Status.FAILED, Status.KNOWN)},
    )
    head = (
        "# Known failures: subject, then the id of the case. A line that is no longer true fails the check.\n"
    )
    return head + "".join(f"{subject} {case}\n" for subject, case in bad)


def compared(results: Sequence[Result], known: Known, *, whole: bool = True) -> list[Result]:
    """The results as the baseline sees them.

    A failure that it names is known; a pass that it names as failing is stale; so is, in a `whole` run, a name
    that nothing was checked for.
    """
    seen = {(result.subject, result.case.id) for result in results}
    compared = [_compared(result, known) for result in results]
    lost = sorted(known - seen) if whole else []
    return compared + [
        Result(Case(case, case, "", ""), subject, Status.STALE, "no such case was checked; take the line out")
        for subject, case in lost
    ]


def _compared(result: Result, known: Known) -> Result:
    if (result.subject, result.case.id) not in known:
        return result
    if result.status is Status.FAILED:
        return replace(result, status=Status.KNOWN)
    if result.status is Status.PASSED:
        return replace(
            result, status=Status.STALE, message="it passes now; take the line out of the baseline"
        )
    return result
