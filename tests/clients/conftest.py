"""Fixtures for the tests of real clients."""

from __future__ import annotations

import pytest

from tests.clients.programs import NODES, Node


@pytest.fixture(params=NODES, ids=[f"node{version}" for version in NODES])
def node(request: pytest.FixtureRequest) -> Node:
    """Each of the three Node versions."""
    return Node(request.param)


@pytest.fixture
def newest_node() -> Node:
    """The newest Node, for tests that do not depend on the version."""
    return Node(NODES[-1])
