"""Assumptions and known deviations are marked in the code, and docs/explanation/fidelity.md lists exactly those."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs/explanation/fidelity.md"

# A comment in the code begins with the mark; the document has a section for each.
SECTIONS = {"assumption": "Assumptions", "deviation": "Known deviations"}


def remarks(mark: str) -> list[str]:
    """A table row for each marked comment: the module, the enclosing or next name, the comment as one line."""
    rows = []
    for path in sorted((ROOT / "mock_fal").rglob("*.py")):
        module = path.relative_to(ROOT / "mock_fal").as_posix()
        rows += [
            f"| {module} | {name} | {remark} |" for name, remark in _remarks(path.read_text("utf-8"), mark)
        ]
    return rows


def _remarks(source: str, mark: str) -> Iterator[tuple[str, str]]:
    """A remark ends at the end of its comment or at the next mark."""
    tree = _parsed(source)
    for comment in re.finditer(r"(?:^[ \t]*#.*\n)+", source, re.MULTILINE):
        text = " ".join(line.strip().lstrip("#").strip() for line in comment.group().splitlines())
        for remark in re.split(r"(?=\b(?:fal|assumption|deviation): )", text):
            if remark.startswith(f"{mark}: "):
                yield (
                    _name_at(tree, source[: comment.start()].count("\n") + 1),
                    remark.removeprefix(f"{mark}: ").strip(),
                )


def _name_at(tree: ast.Module, line: int) -> str:
    """The enclosing function or class; at module level, the next name."""
    enclosing = [node for node in _named(tree) if _contains(node, line)]
    if enclosing:
        return ".".join(node.name for node in enclosing)
    following = next((node for node in tree.body if node.lineno > line or _contains(node, line)), None)
    match following:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def _named(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in ast.walk(tree) if isinstance(node, named)]


def _contains(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def listed(heading: str) -> list[str]:
    section = DOCUMENT.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.startswith(("| module", "| ---"))]


@pytest.mark.parametrize("mark", SECTIONS)
def test_the_document_lists_what_the_code_marks(mark: str) -> None:
    """On failure: the rows to add (+) and to remove (-), ready to paste."""
    code, document = set(remarks(mark)), set(listed(SECTIONS[mark]))
    assert code
    changes = [*sorted(f"+{row}" for row in code - document), *sorted(f"-{row}" for row in document - code)]
    assert "\n".join(changes) == ""
