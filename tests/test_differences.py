"""Every guess about fal, and every difference on purpose, stands in contracts/README.md: the lists are the code's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LISTED = (ROOT / "contracts/README.md").read_text()

GUESS = "fal: unverified,"
DIFFERENCE = "unlike fal:"


def remarks(mark: str) -> list[str]:
    """A row for each remark in the code: the module, the name it stands at, and the remark as one line."""
    rows = []
    for path in sorted((ROOT / "mock_fal").rglob("*.py")):
        module = path.relative_to(ROOT / "mock_fal").as_posix()
        rows += [f"| {module} | {name} | {remark} |" for name, remark in _remarks(path.read_text(), mark)]
    return rows


def _remarks(source: str, mark: str) -> Iterator[tuple[str, str]]:
    """Comments are joined over their lines; a remark ends where the comment does, or another one begins."""
    tree = ast.parse(source)
    for comment in re.finditer(r"(?:^[ \t]*#.*\n)+", source, re.MULTILINE):
        name = _name_at(tree, source[: comment.start()].count("\n") + 1)
        text = " ".join(line.strip().lstrip("#").strip() for line in comment.group().splitlines())
        for remark in re.split(r"(?<!unlike )(?=\b(?:unlike )?fal: )", text):
            guess = remark.partition("unverified, ")[2]
            if mark == DIFFERENCE and remark.startswith(mark):
                yield name, remark.removeprefix(mark).strip()
            elif mark == GUESS and remark.startswith("fal: ") and guess:
                yield name, guess.strip()


def _name_at(tree: ast.Module, line: int) -> str:
    """The function or class around a line; outside of all, the name that comes next."""
    named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    around = [node for node in ast.walk(tree) if isinstance(node, named) and _holds(node, line)]
    if around:
        return ".".join(node.name for node in around)
    near = next((node for node in tree.body if node.lineno > line or _holds(node, line)), None)
    match near:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def listed(heading: str) -> list[str]:
    section = LISTED.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| where")]


def missing(mark: str, heading: str) -> str:
    """What to change in the list, in lines to paste."""
    code, document = set(remarks(mark)), {row for row in listed(heading) if not row.startswith("| ---")}
    return "\n".join(
        [*sorted(f"+{row}" for row in code - document), *sorted(f"-{row}" for row in document - code)]
    )


def test_every_guess_is_listed() -> None:
    assert remarks(GUESS) and missing(GUESS, "Guesses") == ""


def test_every_difference_is_listed() -> None:
    assert remarks(DIFFERENCE) and missing(DIFFERENCE, "Differences on purpose") == ""
