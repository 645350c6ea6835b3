"""`mock-fal ca`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mock_fal import MockFal
from mock_fal.cli import main
from mock_fal.gateway.certificates import fals_authority


def test_it_makes_the_authority_that_a_server_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ca"
    assert main(["ca", str(folder)]) == 0
    first = capsys.readouterr().out
    assert (
        f"certificate: {folder}/ca.pem\n" in first and f"private key: {folder}/private/ca-key.pem\n" in first
    )
    with MockFal(ca_dir=str(folder)) as fal:
        assert Path(fal.env["MOCK_FAL_CA"]).read_text() == (folder / "ca.pem").read_text()
    assert main(["ca", str(folder)]) == 0
    assert capsys.readouterr().out == first


def test_it_prints_the_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ca", str(tmp_path), "--pem"]) == 0
    text = capsys.readouterr().out
    assert fals_authority(text.encode()) == text


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["ca", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("mock-fal: can't keep a certificate authority in ")
