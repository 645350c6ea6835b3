"""The rules of a server: those of `--scenario` and their reset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mock_fal import MockFal, ScenarioError, SettingsError
from mock_fal.cli import main


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(["error=internal_error", {"operation": "status", "status": 503}]))
    return str(path)


def test_a_server_starts_with_the_rules_of_a_file(rules: str) -> None:
    fal = MockFal(scenario=rules)
    assert [str(rule) for rule in fal.scenario.rules] == [
        "error=internal_error",
        "operation=status status=503",
    ]


def test_a_reset_restores_the_rules_of_the_file(rules: str) -> None:
    fal = MockFal(scenario=rules)
    fal.scenario.clear()
    fal.reset("ana:secret")
    assert not fal.scenario.rules
    fal.reset()
    assert len(fal.scenario.rules) == 2


def test_a_file_that_cannot_be_read_fails_at_startup(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('["rum=5"]')
    with pytest.raises(ScenarioError, match="bad.json: rule 1, line 1, column 2: text column 1: unknown"):
        MockFal(scenario=str(tmp_path / "bad.json"))
    with pytest.raises(SettingsError, match="^--scenario: can't read"):
        MockFal(scenario=str(tmp_path / "none.json"))


def test_the_command_line_reports_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("- status: 503\n  opertion: run\n")
    assert main(["run", "--scenario", str(tmp_path / "bad.yaml"), "--", "true"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "bad.yaml: rule 1, line 2, column 3: unknown option 'opertion'; did you mean 'operation'?" in line
