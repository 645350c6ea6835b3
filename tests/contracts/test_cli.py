from __future__ import annotations

from pathlib import Path

import pytest

from mock_fal_contracts.cli import main


@pytest.mark.parametrize("flag", ["--json", "--junit", "--html", "--badge"])
def test_a_result_that_could_not_be_written_is_told_before_the_work(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([flag, str(tmp_path / "no" / "such")], ["true"]) == 2
    assert f"{flag}: can't write {tmp_path / 'no' / 'such'}: there is no folder" in capsys.readouterr().err


def test_a_folder_is_no_place_for_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--html", str(tmp_path)], ["true"]) == 2
    assert "it is a folder" in capsys.readouterr().err


def test_a_baseline_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--baseline", str(tmp_path / "known.txt")], ["true"]) == 2
    assert "No such file or directory; --write-baseline makes one" in capsys.readouterr().err


def test_a_baseline_is_written_where_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write-baseline"], ["true"]) == 2
    assert "--write-baseline: say which file" in capsys.readouterr().err


def test_a_driver_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--client", "mine=nosuchcommand --flag"]) == 2
    assert "--client mine: nosuchcommand: command not found" in capsys.readouterr().err


def test_half_a_flag_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["--stres"], ["true"])
    assert ending.value.code == 2
    assert "unrecognized arguments: --stres" in capsys.readouterr().err
