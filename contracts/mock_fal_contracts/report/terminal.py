"""Terminal output: one line for each case as it ends, then failures and advice with their reasons, then totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import indent

from mock_fal_contracts.results import Result, Status

_MARKS = {
    Status.PASSED: "ok  ",
    Status.FAILED: "FAIL",
    Status.ADVICE: "advice",
    Status.SKIPPED: "skip",
    Status.KNOWN: "known",
    Status.STALE: "STALE",
}


def progress(result: Result, number: int, total: int | None) -> str:
    """The progress line of a case that has ended."""
    of = f"/{total}" if total else ""
    return f"[{number:>3}{of}] {_MARKS[result.status]} {result.subject}: {result.case.title}\n"


def summary(results: Sequence[Result]) -> str:
    """The advice, the failures, each with its evidence, and the totals of each subject."""
    advice = [result for result in results if result.status is Status.ADVICE]
    failures = [result for result in results if result.status.is_bad]
    return "".join([*_reasons([*advice, *failures]), *_totals(results)])


def _reasons(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        case = result.case
        yield f"\n{_MARKS[result.status]} {result.subject}: {case.title}  [{case.id}]\n"
        yield indent(result.message, "    ") + "\n"
        if case.requirement:
            yield f"    Requirement: {case.requirement} ({case.source})\n"
        for evidence in result.evidence:
            yield indent(
                f"{evidence.note or 'seen'}:\n{_short(evidence.request)}\n{_short(evidence.response)}",
                "    | ",
            )
            yield "\n"


def _totals(results: Sequence[Result]) -> Iterator[str]:
    subjects = list(dict.fromkeys(result.subject for result in results))
    width = max(map(len, subjects), default=0)
    yield "\n"
    for subject in subjects:
        counts = Counter(result.status for result in results if result.subject == subject)
        parts = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
        yield f"{subject:<{width}}  {', '.join(parts)}\n"


def _short(text: str, lines: int = 12) -> str:
    rows = text.rstrip().splitlines()
    hidden = len(rows) - lines
    return "\n".join(row[:160] for row in rows[:lines]) + (f"\n… {hidden} more lines" if hidden > 0 else "")
