"""The Pythons of `make test-pythons`."""

from __future__ import annotations

import sys

import pytest

from tests import pythons

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_running_python_is_supported_and_found() -> None:
    assert RUNNING in pythons.supported()
    python = pythons.find(RUNNING)
    assert python is not None
    assert pythons._version(python) == RUNNING


def test_a_program_that_does_not_run_is_no_python() -> None:
    assert pythons._version("/nowhere/python") is None
    assert pythons._version("false") is None


def test_each_version_gets_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tested: list[tuple[str, str, list[str]]] = []

    def test(version: str, python: str, paths: list[str]) -> bool:
        tested.append((version, python, paths))
        return version != "3.9"

    monkeypatch.setattr(pythons, "supported", lambda: ["3.8", "3.9", "3.10"])
    monkeypatch.setattr(pythons, "find", {"3.8": "/eight", "3.9": "/nine"}.get)
    monkeypatch.setattr(pythons, "test", test)
    assert pythons.main(["tests/web"]) == 1
    assert tested == [("3.8", "/eight", ["tests/web"]), ("3.9", "/nine", ["tests/web"])]
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "Python 3.8: passed",
        "Python 3.9: FAILED",
        "Python 3.10: not found on PATH, in pyenv and by uv",
    ]
    monkeypatch.setattr(pythons, "find", {"3.8": "/eight"}.get)
    assert pythons.main([]) == 0
    monkeypatch.setattr(pythons, "find", {}.get)
    assert pythons.main([]) == 1
