"""What a key may do: permissions by name, and fal's presets of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

# Calling a model, and uploading a file for it.
RUN: Final = "models:run"

# fal: the names and presets of `auth:keys:write`, `billing:usage:read`, `assets:write`, `workflows:write`,
# `serverless:queues:write` and `account:settings:write` (Platform API specification, 2026-10).
# assumption: the other permissions, named in the same way, and the presets that have them.
_READ: Final = frozenset(
    {
        "models:read",
        "requests:read",
        "billing:account:read",
        "billing:usage:read",
        "assets:read",
        "workflows:read",
        "account:settings:read",
        "auth:keys:read",
        "serverless:apps:read",
        "serverless:queues:read",
        "serverless:logs:read",
        "organization:read",
        "compute:instances:read",
    }
)
_WRITE: Final = frozenset(
    {
        RUN,
        "requests:delete",
        "assets:write",
        "workflows:write",
        "account:settings:write",
        "auth:keys:write",
        "serverless:apps:write",
        "serverless:queues:write",
        "compute:instances:write",
    }
)
PERMISSIONS: Final = _READ | _WRITE

_API: Final = frozenset(
    {RUN, "models:read", "requests:read", "assets:read", "assets:write", "workflows:read"}
    | {"serverless:apps:read", "serverless:queues:read", "serverless:logs:read", "account:settings:read"}
)
_DEPLOY: Final = frozenset({"serverless:apps:read", "serverless:apps:write", "serverless:logs:read"})

# fal: the names of the presets; a key that is created without a scope has that of API (specification, 2026-10).
PRESETS: Final[dict[str, Collection[str]]] = {
    "FULL": PERMISSIONS,
    "API": _API,
    "DEPLOY": _DEPLOY,
    "READONLY": _READ,
    "BILLING": frozenset({"billing:account:read", "billing:usage:read"}),
    "COMPUTE": frozenset({"compute:instances:read", "compute:instances:write"}),
    "SERVERLESS": _API | _DEPLOY | {"workflows:write", "serverless:queues:write"},
    "AGENT": frozenset({RUN, "models:read", "requests:read", "assets:read"}),
}
# fal: the older name of all permissions (fal SDK, 2026).
PRESETS["ADMIN"] = PRESETS["FULL"]
