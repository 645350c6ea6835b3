"""Machine-readable results: JUnit XML, JSON, and an SVG badge."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any
from xml.etree import ElementTree as ET

from mock_fal_contracts.results import Result, Status

# Characters that XML 1.0 can't contain, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[Result]) -> str:
    """JUnit XML: one test suite for each subject, one test case for each result."""
    root = ET.Element("testsuites", name="mock-fal check")
    for subject in dict.fromkeys(result.subject for result in results):
        own = [result for result in results if result.subject == subject]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_xml(subject),
            tests=str(len(own)),
            failures=str(sum(result.status.is_bad for result in own)),
            errors="0",
            skipped=str(sum(result.status in (Status.SKIPPED, Status.KNOWN) for result in own)),
            time=f"{sum(result.duration_s for result in own):.3f}",
        )
        for result in own:
            _junit_case(suite, result)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _junit_case(suite: ET.Element, result: Result) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_xml(result.subject),
        name=result.case.id,
        time=f"{result.duration_s:.3f}",
    )
    if result.status.is_bad:
        failure = ET.SubElement(case, "failure", message=_xml(result.message.partition("\n")[0]))
        failure.text = _xml("\n\n".join([result.message, *(_evidence_texts(result))]))
    elif result.status in (Status.SKIPPED, Status.KNOWN):
        ET.SubElement(case, "skipped", message=_xml(f"{result.status.value}: {result.message}"))
    elif result.status is Status.ADVICE:
        ET.SubElement(case, "system-out").text = _xml(f"{result.status.value}: {result.message}")


def _evidence_texts(result: Result) -> list[str]:
    return [
        f"{evidence.note}\n{evidence.request}\n{evidence.response}".strip() for evidence in result.evidence
    ]


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def as_json(results: Sequence[Result]) -> str:
    """The results as a JSON document: `{"results": [{"case", "subject", "status", …}]}`."""
    return json.dumps({"results": [_object(result) for result in results]}, indent=2) + "\n"


def _object(result: Result) -> dict[str, Any]:
    case = result.case
    return {
        "case": case.id,
        "title": case.title,
        "requirement": case.requirement,
        "source": case.source,
        "subject": result.subject,
        "status": result.status.value,
        "message": result.message,
        "duration_s": round(result.duration_s, 3),
        "evidence": [
            {"note": evidence.note, "request": evidence.request, "response": evidence.response}
            for evidence in result.evidence
        ],
    }


def badge(results: Sequence[Result]) -> str:
    """An SVG badge with the number of passed cases out of those that ran. A case with advice has passed."""
    ran = [result for result in results if result.status is not Status.SKIPPED]
    passed = sum(result.status in (Status.PASSED, Status.ADVICE) for result in ran)
    color = "#2e7d32" if not any(result.status.is_bad for result in ran) else "#b71c1c"
    left, right = "fal contract", f"{passed} of {len(ran)}"
    left_width, right_width = 6.5 * len(left) + 12, 6.5 * len(right) + 12
    total = left_width + right_width
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total:g}" height="20" role="img" '
        f'aria-label="{escape(left)}: {escape(right)}">'
        f'<rect width="{left_width:g}" height="20" rx="3" fill="#444"/>'
        f'<rect x="{left_width:g}" width="{right_width:g}" height="20" rx="3" fill="{color}"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,sans-serif" font-size="11">'
        f'<text x="{left_width / 2:g}" y="14">{escape(left)}</text>'
        f'<text x="{left_width + right_width / 2:g}" y="14">{escape(right)}</text></g></svg>\n'
    )
