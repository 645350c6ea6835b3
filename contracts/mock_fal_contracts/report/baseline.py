"""The baseline of known failures: a file of lines `subject case-id`. A line that no longer holds fails the check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mock_fal_contracts.results import Case, Result, Status

Known = frozenset[tuple[str, str]]


def read(path: Path) -> Known:
    """The pairs of subject and case id. Raises ValueError, with the line number, for a malformed line."""
    known = set()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) < 2:
            raise ValueError(f"{path}:{number}: {line!r}: expected a subject and the id of a case")
        known.add((" ".join(words[:-1]), words[-1]))
    return frozenset(known)


def render(results: Iterable[Result]) -> str:
    """The text of a baseline that lists all current failures."""
    failures = sorted(
        {
            (result.subject, result.case.id)
            for result in results
            if result.status in (Status.FAILED, Status.KNOWN)
        }
    )
    head = (
        "# Known failures: subject, then the id of the case. A line that no longer holds fails the check.\n"
    )
    return head + "".join(f"{subject} {case}\n" for subject, case in failures)


def compare(results: Sequence[Result], known: Known, *, whole: bool = True) -> list[Result]:
    """The results in the light of a baseline.

    A listed failure becomes KNOWN, and a listed case that passes becomes STALE. In a `whole` run, with no cases
    filtered out, a line whose case was not checked at all is STALE too.
    """
    checked = {(result.subject, result.case.id) for result in results}
    unchecked = sorted(known - checked) if whole else []
    return [_compared(result, known) for result in results] + [
        Result(Case(case, case, "", ""), subject, Status.STALE, "no such case was checked; remove the line")
        for subject, case in unchecked
    ]


def _compared(result: Result, known: Known) -> Result:
    if (result.subject, result.case.id) not in known:
        return result
    if result.status in (Status.FAILED, Status.ADVICE):
        return replace(result, status=Status.KNOWN)
    if result.status is Status.PASSED:
        return replace(
            result, status=Status.STALE, message="the case passes now; remove the line from the baseline"
        )
    return result
