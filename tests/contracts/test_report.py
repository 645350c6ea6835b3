from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal_contracts.report import baseline, machine, page, terminal
from mock_fal_contracts.results import Case, Evidence, Result, Status, advised, failed, passed, skipped

POLLS = Case("poll.gap", "pauses between polls", "No busy loop.", "fal's queue documentation")
LOGS = Case("poll.logs", "accepts null logs", "logs may be null.", "live capture")

EVIDENCE = Evidence("GET /status <b>", "HTTP/1.1 202\n\n{}", "the third of 900 polls")

RESULTS = [
    passed(POLLS, "python"),
    failed(POLLS, "curl", "polled 900 times a second; wait at least 100 ms", [EVIDENCE]),
    passed(LOGS, "python"),
    skipped(LOGS, "curl", "it reads no logs"),
]


def statuses(results: list[Result]) -> dict[tuple[str, str], Status]:
    return {(result.subject, result.case.id): result.status for result in results}


def test_a_failure_listed_in_the_baseline_is_known() -> None:
    known = frozenset({("curl", "poll.gap")})
    assert statuses(baseline.compare(RESULTS, known))["curl", "poll.gap"] is Status.KNOWN


def test_a_listed_case_that_passes_is_stale() -> None:
    [stale] = [
        result
        for result in baseline.compare(RESULTS, frozenset({("python", "poll.gap")}))
        if result.status is Status.STALE
    ]
    assert stale.status.is_bad and "remove the line" in stale.message


def test_a_line_without_a_checked_case_is_stale_in_a_whole_run_only() -> None:
    known = frozenset({("curl", "no.such-case")})
    assert statuses(baseline.compare(RESULTS, known))["curl", "no.such-case"] is Status.STALE
    assert baseline.compare(RESULTS, known, whole=False) == RESULTS


def test_a_written_baseline_makes_the_same_results_pass(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text(baseline.render(RESULTS), "utf-8")
    assert not any(result.status.is_bad for result in baseline.compare(RESULTS, baseline.read(file)))


def test_a_malformed_line_is_reported_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text("# a remark\n\npython\n", "utf-8")
    with pytest.raises(ValueError, match=r"known.txt:3: 'python': expected a subject and the id"):
        baseline.read(file)


def test_the_name_of_a_subject_may_have_several_words(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text("my own client poll.gap  # ticket 7\n", "utf-8")
    assert baseline.read(file) == {("my own client", "poll.gap")}


def test_the_terminal_summary_shows_failures_with_message_and_evidence() -> None:
    text = terminal.summary(RESULTS)
    assert "FAIL curl: pauses between polls  [poll.gap]" in text
    assert "wait at least 100 ms" in text
    assert "No busy loop. (fal's queue documentation)" in text
    assert "the third of 900 polls" in text
    assert "python  2 passed" in text
    assert "curl    1 failed, 1 skipped" in text


def test_progress_is_one_line() -> None:
    assert terminal.progress(RESULTS[1], 2, 80) == "[  2/80] FAIL curl: pauses between polls\n"


def test_junit_counts_tests_failures_and_skips() -> None:
    root = ET.fromstring(machine.junit(RESULTS))
    suites = {suite.get("name"): suite for suite in root}
    assert (suites["curl"].get("tests"), suites["curl"].get("failures"), suites["curl"].get("skipped")) == (
        "2",
        "1",
        "1",
    )
    [failure] = root.iter("failure")
    assert failure.get("message") == "polled 900 times a second; wait at least 100 ms"
    assert failure.text is not None and "HTTP/1.1 202" in failure.text


@given(st.text())
def test_reports_of_any_text_can_be_written_and_parsed(text: str) -> None:
    results = [failed(POLLS, text, text, [Evidence(text, text, text)])]
    assert len(ET.fromstring(machine.junit(results))) == 1
    assert json.loads(machine.as_json(results))["results"][0]["message"] == text
    assert page.page(results)
    assert terminal.summary(results)


def test_the_page_is_self_contained_and_escapes_html() -> None:
    text = page.page(RESULTS)
    assert "GET /status &lt;b&gt;" in text and "<b>" not in text.partition("<pre>")[2].partition("</pre>")[0]
    assert not any(word in text for word in ("<script", "http://", "https://", "@import", "<link"))


@pytest.mark.parametrize(("results", "label"), [(RESULTS, "2 of 3"), ([], "0 of 0")])
def test_the_badge_shows_how_many_cases_passed(results: list[Result], label: str) -> None:
    root = ET.fromstring(machine.badge(results))
    assert root.get("aria-label") == f"fal contract: {label}"


ADVICE = [
    advised(POLLS, "app.py", "polled 30 times a second; wait at least 100 ms", [EVIDENCE]),
    passed(LOGS, "app.py"),
]


def test_advice_is_shown_and_fails_nothing() -> None:
    assert not any(result.status.is_bad for result in ADVICE)
    text = terminal.summary(ADVICE)
    assert "advice app.py: pauses between polls  [poll.gap]\n    polled 30 times a second" in text
    assert "app.py  1 passed, 1 advice" in text
    assert "2 of 2" in machine.badge(ADVICE)
    suite = ET.fromstring(machine.junit(ADVICE))[0]
    assert suite.get("failures") == "0" and "wait at least 100 ms" in (suite[0].findtext("system-out") or "")
    assert json.loads(machine.as_json(ADVICE))["results"][0]["status"] == "advice"
    assert 'title="advice"' in page.page(ADVICE)


def test_advice_that_the_baseline_lists_is_known() -> None:
    assert baseline.compare(ADVICE, frozenset({("app.py", "poll.gap")}))[0].status is Status.KNOWN
