"""Platform API: keys with a preset of permissions, or with a list of them."""

from __future__ import annotations

from typing import Final

from mock_fal.accounts.keys import MAX_CREATED, CreatedKey
from mock_fal.accounts.permissions import PERMISSIONS, PRESETS
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.ids import random_secret
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, PlatformError, Query, document, paged, timestamp

_MAX_ALIAS: Final = 256

# The scope of a key with a list of permissions.
_CUSTOM: Final = "CUSTOM"


def keys(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /keys`: the keys that were created, latest first, without their secrets."""
    # deviation: keys that were not created here, such as that of the program, are not listed.
    query = Query(http_request)
    page = query.page(default=50, most=100)
    with_creator = "creator_info" in query.listed("expand", ("creator_info",))
    account = http_request.account
    creator = {"creator_nickname": account, "creator_email": f"{account}@mock-fal.invalid"}
    return paged(
        "keys",
        [_item(key) | (creator if with_creator else {}) for key in emulator.keys.created(account)],
        page,
    )


def create(emulator: Emulator, http_request: HttpRequest) -> wire.Reply:
    """`POST /keys`: a key with the permissions of its scope; the only response with its secret."""
    body = document(http_request)
    alias = body.get("alias")
    if not isinstance(alias, str) or not 0 < len(alias) <= _MAX_ALIAS:
        raise Invalid("alias", alias, f"a text of 1 to {_MAX_ALIAS} characters")
    scope, permissions = _scope(body.get("scope", "API"))
    now = emulator.clock.now()
    # fal: the id is a UUID, the secret 32 hex digits (fal's keys of 2026).
    key = CreatedKey(
        emulator.new_request_id(""), http_request.account, alias, scope, frozenset(permissions), now
    )
    secret = random_secret()
    if not emulator.keys.create(key, secret):
        raise PlatformError(400, "validation_error", f"mock-fal: {MAX_CREATED} keys were created already")
    return wire.reply(201, {"key_id": key.id, "key_secret": secret, "key": f"{key.id}:{secret}"})


def delete(emulator: Emulator, http_request: HttpRequest, key_id: str) -> None:
    """`DELETE /keys/{key_id}`: make a key invalid. fal: 204 for an unknown one too (specification, 2026-10)."""
    emulator.keys.delete(key_id, http_request.account)


def _scope(scope: JSON) -> tuple[str, frozenset[str]]:
    """The name of a scope and its permissions. Raises Invalid."""
    if isinstance(scope, str) and scope in PRESETS:
        return scope, frozenset(PRESETS[scope])
    if isinstance(scope, list) and scope and all(isinstance(name, str) for name in scope):
        unknown = sorted(set(scope) - PERMISSIONS)
        if unknown:
            raise Invalid("scope", unknown[0], f"one of {', '.join(sorted(PERMISSIONS))}")
        return _CUSTOM, frozenset(scope)
    raise Invalid("scope", scope, f"one of {', '.join(PRESETS)}, or a list of permissions")


def _item(key: CreatedKey) -> dict[str, JSON]:
    item: dict[str, JSON] = {
        "key_id": key.id,
        "alias": key.alias,
        "scope": key.scope,
        "created_at": timestamp(key.created_at),
    }
    # assumption: the permissions of a key without a preset are listed.
    return item | ({"permissions": sorted(key.permissions)} if key.scope == _CUSTOM else {})
