"""The public names: documented in docs/reference/python-api.md and imported on first use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mock_fal

REFERENCE = (Path(__file__).parent.parent / "docs/reference/python-api.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(set(mock_fal.__all__) - {"__version__"}))
def test_a_public_name_exists_and_is_documented(name: str) -> None:
    assert getattr(mock_fal, name).__name__ == mock_fal._HOMES[name].rpartition(".")[2]
    assert f"`{name}`" in REFERENCE or f"`{name}(" in REFERENCE


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert version("mock-fal") == mock_fal.__version__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Fal"):
        mock_fal.Fal  # noqa: B018 (it raises)


def test_dir_lists_the_public_names() -> None:
    assert dir(mock_fal) == mock_fal.__all__


def test_importing_the_package_imports_no_other_module() -> None:
    code = "import sys, mock_fal; print([name for name in sys.modules if name.startswith('mock_fal.')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
