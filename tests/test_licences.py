"""The licences of all run-time dependencies permit what ours permits."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.licences import ALLOWED, EXTRAS, Package, packages

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.name)
def test_a_licence_is_allowed(package: Package) -> None:
    assert package.choices & ALLOWED, f"{package.name}: {package.licence}; expected one of {sorted(ALLOWED)}"


def test_every_direct_dependency_is_listed() -> None:
    names = {package.name for package in packages()}
    extras = PROJECT["optional-dependencies"]
    assert sorted(extras) == sorted(EXTRAS)
    direct = [*PROJECT["dependencies"], *(name for extra in extras.values() for name in extra)]
    assert {re.split(r"[<>=; ]", text)[0].lower() for text in direct} <= names


def test_a_package_offers_each_licence_of_its_expression() -> None:
    assert Package("a", "Apache-2.0 OR BSD-3-Clause", "always").choices == {"Apache-2.0", "BSD-3-Clause"}
    assert not Package("a", "GPL-3.0-only", "always").choices & ALLOWED
    assert not Package("a", "MIT AND GPL-3.0-only", "always").choices & ALLOWED
