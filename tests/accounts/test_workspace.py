"""What an account has set up."""

from __future__ import annotations

import pytest

from mock_fal.accounts.acl import ObjectLifecycle
from mock_fal.accounts.workspace import Workspaces


def test_a_workspace_is_that_of_its_account() -> None:
    workspaces = Workspaces()
    assert not workspaces and workspaces.lifecycle("ana") is None
    workspaces.of("ana").lifecycle = lifecycle = ObjectLifecycle(60)
    assert workspaces.lifecycle("ana") is workspaces.of("ana").lifecycle is lifecycle
    assert workspaces.of("bob").lifecycle is None
    workspaces.clear("ana")
    assert workspaces.lifecycle("ana") is None and workspaces
    workspaces.clear()
    assert not workspaces


def test_the_oldest_workspace_is_forgotten_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.accounts.workspace.MAX_WORKSPACES", 1)
    workspaces = Workspaces()
    workspaces.of("ana").lifecycle = ObjectLifecycle(60)
    workspaces.of("bob")
    assert workspaces.lifecycle("ana") is None
