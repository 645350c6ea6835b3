"""Results for a person: a line for each case as it ends, then what failed and why, then the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import indent

from mock_fal_contracts.results import Result, Status

_MARKS = {
    Status.PASSED: "ok  ",
    Status.FAILED: "FAIL",
    Status.SKIPPED: "skip",
    Status.KNOWN: "known",
    Status.STALE: "STALE",
}


def progress(result: Result, number: int, total: int | None) -> str:
    """One line for a case that has just ended."""
    of = f"/{total}" if total else ""
    return f"[{number:>3}{of}] {_MARKS[result.status]} {result.subject}: {result.case.title}\n"


def summary(results: Sequence[Result]) -> str:
    """What failed, with what to do about it, and the table of subjects."""
    return "".join([*_failures(results), *_table(results)])


def _failures(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if result.status.is_bad:
            case = result.case
            yield f"\n{_MARKS[result.status]} {result.subject}: {case.title}  [{case.id}]\n"
            yield indent(result.message, "    ") + "\n"
            if case.requirement:
                yield f"    Requirement: {case.requirement} ({case.source})\n"
            for each in result.evidence:
                yield indent(
                    f"{each.note or 'seen'}:\n{_short(each.request)}\n{_short(each.response)}", "    | "
                )
                yield "\n"


def _table(results: Sequence[Result]) -> Iterator[str]:
    subjects = list(dict.fromkeys(result.subject for result in results))
    width = max(map(len, subjects), default=0)
    yield "\n"
    for subject in subjects:
        counts = Counter(result.status for result in results if result.subject == subject)
        parts = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
        yield f"{subject:<{width}}  {', '.join(parts)}\n"


def _short(text: str, lines: int = 12) -> str:
    rows = text.rstrip().splitlines()
    rest = len(rows) - lines
    return "\n".join(row[:160] for row in rows[:lines]) + (f"\n… {rest} more lines" if rest > 0 else "")
