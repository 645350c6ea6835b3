"""Presets of permissions."""

from __future__ import annotations

import pytest

from mock_fal.accounts.permissions import PERMISSIONS, PRESETS, RUN


def test_the_presets_are_those_of_fal() -> None:
    names = "FULL API DEPLOY READONLY BILLING COMPUTE SERVERLESS AGENT ADMIN"
    assert list(PRESETS) == names.split()
    assert all(set(PRESETS[name]) <= PERMISSIONS for name in PRESETS)


@pytest.mark.parametrize(
    ("permission", "presets"),
    [
        ("auth:keys:write", {"FULL", "ADMIN"}),
        ("billing:usage:read", {"BILLING", "READONLY", "FULL", "ADMIN"}),
        ("workflows:write", {"SERVERLESS", "FULL", "ADMIN"}),
        ("serverless:queues:write", {"SERVERLESS", "FULL", "ADMIN"}),
        ("assets:write", {"API", "SERVERLESS", "FULL", "ADMIN"}),
    ],
)
def test_a_documented_permission_is_in_its_presets(permission: str, presets: set[str]) -> None:
    assert {name for name in PRESETS if permission in PRESETS[name]} == presets


def test_a_key_to_read_runs_nothing() -> None:
    assert RUN not in PRESETS["READONLY"] and not any("write" in name for name in PRESETS["READONLY"])
