"""What the tests of real clients share."""

from __future__ import annotations

import pytest

from tests.clients.programs import NODES, Node


@pytest.fixture(params=NODES, ids=[f"node{version}" for version in NODES])
def node(request: pytest.FixtureRequest) -> Node:
    """Each of the three Nodes."""
    return Node(request.param)


@pytest.fixture
def newest_node() -> Node:
    """One Node, where all three would show the same."""
    return Node(NODES[-1])
