"""The suite is a black box test: it imports nothing of mock-fal except the command that starts a server."""

from __future__ import annotations

import ast
from pathlib import Path

import mock_fal_contracts

SUITE = Path(mock_fal_contracts.__file__).parent


def imported(node: ast.AST) -> list[str]:
    """The modules that an import statement names; none for other nodes."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_the_suite_imports_only_the_command_line_of_the_mock() -> None:
    by_file = {}
    for file in SUITE.rglob("*.py"):
        names = [name for node in ast.walk(ast.parse(file.read_text("utf-8"))) for name in imported(node)]
        if ours := [name for name in names if name.partition(".")[0] == "mock_fal"]:
            by_file[file.relative_to(SUITE).as_posix()] = ours
    assert by_file == {"served.py": ["mock_fal.cli"]}
