"""Results as one self-contained HTML page: a matrix of cases and subjects, each failure with its exchanges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from mock_fal_contracts.results import Case, Evidence, Result, Status

_SIGNS = {
    Status.PASSED: "✓",
    Status.FAILED: "✗",
    Status.ADVICE: "i",
    Status.SKIPPED: "–",
    Status.KNOWN: "(✗)",
    Status.STALE: "!",
}

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent);
  --good: light-dark(#2e7d32, #81c784); --bad: light-dark(#c62828, #ef9a9a); --known: light-dark(#a65f00, #ffb74d) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top }
.matrix { table-layout: fixed } .matrix .v { width: 6.5rem } .totals { width: auto } .totals td { text-align: right }
.matrix thead th { position: sticky; top: 0; background: Canvas; z-index: 1; overflow-wrap: anywhere }
td.v, th.v { text-align: center } td.v a { color: inherit; display: block }
th.group { padding-top: 1.4rem; font-size: 1.1rem }
td { overflow-wrap: anywhere } tr.reasons td { border: 0; padding-left: 1.5rem }
code, pre { font: 13px/1.45 ui-monospace, monospace }
pre { white-space: pre-wrap; overflow-wrap: anywhere; overflow-y: auto; max-height: 24rem; margin: .2rem 0 .8rem;
  padding: .5rem .7rem; background: color-mix(in srgb, currentColor 7%, transparent) }
.passed { color: var(--good) } .failed, .stale { color: var(--bad); font-weight: 600 } .known, .advice {
  color: var(--known) }
.skipped { opacity: .6 } small { opacity: .8 } summary { cursor: pointer } .message { white-space: pre-wrap }
body:has(#only:checked) tr.fine { display: none }
@media (max-width: 40rem) { .matrix .v { width: 2.6rem; padding: .3rem .1rem; font-size: .8rem }
  .requirement { display: none } }
@media print { details::details-content { content-visibility: visible } }
"""


def page(results: Sequence[Result], title: str = "fal contract") -> str:
    """The HTML of the page."""
    subjects = list(dict.fromkeys(result.subject for result in results))
    return "".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
            *_totals(results, subjects),
            '<p><label><input type="checkbox" id="only"> failures only</label></p>',
            *_matrix(results, subjects),
            "</html>\n",
        ]
    )


def _totals(results: Sequence[Result], subjects: Sequence[str]) -> Iterator[str]:
    present = [status for status in Status if any(result.status is status for result in results)]
    heads = "".join(f"<th>{escape(status.value)}</th>" for status in present)
    yield f'<table class="totals"><tr><th></th>{heads}</tr>'
    for subject in subjects:
        counts = Counter(result.status for result in results if result.subject == subject)
        cells = "".join(f'<td class="{status.name.lower()}">{counts[status]}</td>' for status in present)
        yield f"<tr><th>{escape(subject)}</th>{cells}</tr>"
    yield "</table>"


def _matrix(results: Sequence[Result], subjects: Sequence[str]) -> Iterator[str]:
    by_case = {(result.case.id, result.subject): result for result in results}
    cases = list({result.case.id: result.case for result in results}.values())
    heads = "".join(f'<th class="v">{escape(subject)}</th>' for subject in subjects)
    yield f'<table class="matrix"><thead><tr><th>case</th>{heads}</tr></thead>'
    for group, cases_of_group in groupby(cases, key=lambda case: case.id.partition(".")[0]):
        yield f'<tr><th class="group" colspan="{len(subjects) + 1}">{escape(group)}</th></tr>'
        for case in cases_of_group:
            yield from _rows(case, [by_case.get((case.id, subject)) for subject in subjects])
    yield "</table>"


def _rows(case: Case, results: Sequence[Result | None]) -> Iterator[str]:
    """The row of a case, and below it a row with the reasons of all subjects that failed or skipped it."""
    reasons = [result for result in results if result is not None and result.message]
    fine = "" if any(result.status is not Status.SKIPPED for result in reasons) else ' class="fine"'
    yield f'<tr id="{escape(case.id)}"{fine}><td>{escape(case.title)} <small><code>{escape(case.id)}</code></small>'
    if case.requirement:
        requirement = f"{escape(case.requirement)} ({escape(case.source)})"
        yield f'<br class="requirement"><small class="requirement">{requirement}</small>'
    yield "</td>"
    yield from map(_cell, results)
    yield "</tr>"
    if reasons:
        yield f'<tr class="reasons {"fine" if fine else ""}"><td colspan="{len(results) + 1}">'
        for result in reasons:
            yield from _details(result)
        yield "</td></tr>"


def _cell(result: Result | None) -> str:
    if result is None:
        return '<td class="v"></td>'
    sign = _SIGNS[result.status]
    inner = f'<a href="#{escape(_anchor(result))}">{sign}</a>' if result.message else sign
    return f'<td class="v {result.status.name.lower()}" title="{escape(result.status.value)}">{inner}</td>'


def _details(result: Result) -> Iterator[str]:
    css_class, first = result.status.name.lower(), result.message.partition("\n")[0]
    yield f'<details id="{escape(_anchor(result))}"><summary><span class="{css_class}">{escape(result.subject)}: '
    yield f"{escape(result.status.value)}</span> <small>{escape(first)}</small></summary>"
    if first != result.message:
        yield f'<div class="message">{escape(result.message)}</div>'
    for evidence in result.evidence:
        yield from _exchange(evidence)
    yield "</details>"


def _anchor(result: Result) -> str:
    return f"{result.case.id}/{result.subject}"


def _exchange(evidence: Evidence) -> Iterator[str]:
    yield f"<small>{escape(evidence.note)}</small><pre>{escape(evidence.request)}</pre>"
    if evidence.response:
        yield f"<pre>{escape(evidence.response)}</pre>"
