"""What a start imports. Each module costs time in every run: move the import of a new one, or raise the limit."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The modules of mock_fal that a start and its first answer import.
MOST_OWN = 52

_SERVER = """
import sys
from http.client import HTTPConnection
import mock_fal.cli
from mock_fal.server import MockFal
with MockFal() as fal:
    GATEWAY
    connection = HTTPConnection("127.0.0.1", int(fal.url.rpartition(":")[2]))
    connection.request("GET", "/_mock/health")
    assert connection.getresponse().status == 200
print(*sorted(sys.modules))
"""
_BARE = """
import sys, uvicorn, uvloop
from starlette.applications import Starlette
from starlette.routing import Route
import uvicorn.protocols.http.httptools_impl
print(*sorted(sys.modules))
"""
# Parts of the standard library that take more than a millisecond, and that no start needs.
_SLOW = {"decimal", "fractions", "html.parser", "sqlite3", "statistics", "unittest", "xml", "zipfile"}


def modules(code: str) -> set[str]:
    """The modules that a program has imported."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def packages(names: set[str]) -> set[str]:
    """The packages of other authors among them."""
    ignored = {
        "_cffi_backend",
        "_openssl",
        "_distutils_hack",
        "__mp_main__",
        "sitecustomize",
        "usercustomize",
    }
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - ignored
    return {name for name in tops if not name.startswith("__editable__") and name != "mock_fal"}


@pytest.fixture(scope="module")
def started() -> set[str]:
    return modules(_SERVER.replace("GATEWAY", "pass"))


@pytest.fixture(scope="module")
def with_gateway() -> set[str]:
    return modules(_SERVER.replace("GATEWAY", "fal.env"))


@pytest.fixture(scope="module")
def bare() -> set[str]:
    return modules(_BARE)


def test_a_start_imports_no_package_that_a_bare_application_does_not(
    started: set[str], bare: set[str]
) -> None:
    assert packages(started) - packages(bare) == set()


def test_the_gateway_imports_one_package_more(with_gateway: set[str], started: set[str]) -> None:
    assert packages(with_gateway) - packages(started) == {"cryptography"}


def test_a_start_imports_few_modules_of_its_own(started: set[str]) -> None:
    own = [name for name in started if name.partition(".")[0] == "mock_fal"]
    assert len(own) <= MOST_OWN, "\n".join(sorted(own))


def test_a_start_imports_no_slow_part_of_the_standard_library(started: set[str], bare: set[str]) -> None:
    assert started & (_SLOW - bare) == set()
