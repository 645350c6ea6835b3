from __future__ import annotations

from pathlib import Path

import pytest

from mock_fal_contracts.cli import main


@pytest.mark.parametrize("flag", ["--json", "--junit", "--html", "--badge"])
def test_an_unwritable_report_is_rejected_before_any_case_runs(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([flag, str(tmp_path / "no" / "such")], ["true"]) == 2
    assert f"{flag}: can't write {tmp_path / 'no' / 'such'}: there is no folder" in capsys.readouterr().err


def test_a_folder_is_rejected_as_a_report_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--html", str(tmp_path)], ["true"]) == 2
    assert "it is a folder" in capsys.readouterr().err


def test_a_missing_baseline_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--baseline", str(tmp_path / "known.txt")], ["true"]) == 2
    assert "No such file or directory; --write-baseline creates it" in capsys.readouterr().err


def test_write_baseline_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write-baseline"], ["true"]) == 2
    assert "--write-baseline: name the file" in capsys.readouterr().err


def test_a_missing_driver_command_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--client", "mine=nosuchcommand --flag"]) == 2
    assert "--client mine: nosuchcommand: command not found" in capsys.readouterr().err


def test_flags_can_not_be_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["--stres"], ["true"])
    assert ending.value.code == 2
    assert "unrecognized arguments: --stres" in capsys.readouterr().err
