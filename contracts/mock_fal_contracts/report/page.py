"""Results as one HTML page that needs nothing beside itself: cases × subjects, each failure with its exchanges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from mock_fal_contracts.results import Case, Evidence, Result, Verdict

_SIGNS = {
    Verdict.PASSED: "✓",
    Verdict.FAILED: "✗",
    Verdict.SKIPPED: "–",
    Verdict.KNOWN: "(✗)",
    Verdict.STALE: "!",
}

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
thead th { position: sticky; top: 0; background: Canvas }
td.v, th.v { text-align: center; white-space: nowrap }
th.group { padding-top: 1.2rem; font-size: 1.1rem }
code, pre { font: 13px/1.45 ui-monospace, monospace }
pre { overflow: auto; padding: .6rem; background: color-mix(in srgb, currentColor 7%, transparent); max-height: 24rem }
.passed { color: #2e7d32 } .failed, .stale { color: #c62828; font-weight: 600 } .known { color: #b26a00 }
.skipped { opacity: .6 } small { opacity: .75 } details { margin: .3rem 0 } .message { white-space: pre-wrap }
"""


def page(results: Sequence[Result], title: str = "fal contract") -> str:
    """The page's text."""
    subjects = list(dict.fromkeys(result.subject for result in results))
    return "".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
            *_totals(results, subjects),
            *_matrix(results, subjects),
            "</html>\n",
        ]
    )


def _totals(results: Sequence[Result], subjects: Sequence[str]) -> Iterator[str]:
    yield "<ul>"
    for subject in subjects:
        counts = Counter(result.verdict for result in results if result.subject == subject)
        parts = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
        yield f"<li><b>{escape(subject)}</b>: {escape(', '.join(parts))}</li>"
    yield "</ul>"


def _matrix(results: Sequence[Result], subjects: Sequence[str]) -> Iterator[str]:
    found = {(result.case.id, result.subject): result for result in results}
    cases = list({result.case.id: result.case for result in results}.values())
    heads = "".join(f'<th class="v">{escape(subject)}</th>' for subject in subjects)
    yield f"<table><thead><tr><th>case</th>{heads}</tr></thead>"
    for group, members in groupby(cases, key=lambda case: case.id.partition(".")[0]):
        yield f'<tr><th class="group" colspan="{len(subjects) + 1}">{escape(group)}</th></tr>'
        for case in members:
            yield from _row(case, [found.get((case.id, subject)) for subject in subjects])
    yield "</table>"


def _row(case: Case, results: Sequence[Result | None]) -> Iterator[str]:
    yield f'<tr id="{escape(case.id)}"><td>{escape(case.title)} <small><code>{escape(case.id)}</code></small>'
    if case.requirement:
        yield f"<br><small>{escape(case.requirement)} ({escape(case.source)})</small>"
    for result in results:
        if result is not None and result.message:
            yield from _details(result)
    yield "</td>"
    for result in results:
        if result is None:
            yield '<td class="v"></td>'
        else:
            kind = result.verdict.name.lower()
            hint = escape(result.verdict.value)
            yield f'<td class="v {kind}" title="{hint}">{_SIGNS[result.verdict]}</td>'
    yield "</tr>"


def _details(result: Result) -> Iterator[str]:
    opened = " open" if result.verdict.is_bad else ""
    kind = result.verdict.name.lower()
    yield f'<details{opened}><summary class="{kind}">{escape(result.subject)}: {escape(result.verdict.value)}</summary>'
    yield f'<div class="message">{escape(result.message)}</div>'
    for each in result.evidence:
        yield from _exchange(each)
    yield "</details>"


def _exchange(each: Evidence) -> Iterator[str]:
    yield f"<small>{escape(each.note)}</small><pre>{escape(each.question)}</pre>"
    if each.answer:
        yield f"<pre>{escape(each.answer)}</pre>"
