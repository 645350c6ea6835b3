from __future__ import annotations

import ast
from pathlib import Path

import mock_fal_contracts

SUITE = Path(mock_fal_contracts.__file__).parent


def test_the_suite_knows_of_the_mock_only_how_to_start_it() -> None:
    known = {}
    for file in SUITE.rglob("*.py"):
        tree = ast.walk(ast.parse(file.read_text("utf-8")))
        imports = [node for node in tree if isinstance(node, ast.Import | ast.ImportFrom)]
        names = [
            name
            for node in imports
            for name in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [each.name for each in node.names]
            )
        ]
        if ours := [name for name in names if name.partition(".")[0] == "mock_fal"]:
            known[file.relative_to(SUITE).as_posix()] = ours
    assert known == {"served.py": ["mock_fal.cli"]}
