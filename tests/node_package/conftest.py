"""Fixtures for the tests of the npm package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mock_fal import MockFal
from tests.clients.programs import NODES, Node
from tests.node_package.project import add_packages, user_environment

Program = Callable[..., Any]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a user, for the tests of a module."""
    return add_packages(tmp_path_factory.mktemp("project"))


@pytest.fixture(params=NODES, ids=[f"node{version}" for version in NODES])
def node(request: pytest.FixtureRequest) -> Path:
    """The binary of each of the three Node versions."""
    return Node(request.param).binary


@pytest.fixture(scope="session")
def newest_node() -> Path:
    """The binary of the newest Node, for tests that do not depend on the version."""
    return Node(NODES[-1]).binary


@pytest.fixture
def joined(mock_fal_server: MockFal) -> dict[str, str]:
    """The environment of a program under `mock-fal run`: the package joins the server of these tests."""
    return mock_fal_server.child_environment(user_environment())
