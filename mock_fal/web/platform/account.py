"""Platform API: account credits, file access, and public metadata."""

from __future__ import annotations

import math
from typing import Final

from mock_fal.accounts.acl import PUBLIC
from mock_fal.accounts.signed_tokens import LINK_S, MAX_LINK_S
from mock_fal.billing.prices import CURRENCY
from mock_fal.billing.usage import balance_usd
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.web import wire, wire_storage
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, Query, document

_MAX_LIFETIME_S: Final = 10**12


def meta(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /meta`: the IP ranges that webhooks are sent from."""
    # deviation: webhooks are sent from this machine.
    return {"webhook_ip_ranges": ["127.0.0.1/32", "::1/128"]}


def billing(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /account/billing`: the account's name and credit balance."""
    account: dict[str, JSON] = {"username": http_request.account}
    if "credits" in Query(http_request).listed("expand", ("credits",)):
        balance = balance_usd(emulator.charges(http_request.account))
        account["credits"] = {"current_balance": balance, "currency": CURRENCY}
    return account


def acl(emulator: Emulator, http_request: HttpRequest) -> wire.AnyResponse:
    """`GET /storage/files/acl`: the access list of a file."""
    return wire_storage.acl_reply(emulator.storage.acl(_path(http_request), http_request.account))


def set_acl(emulator: Emulator, http_request: HttpRequest) -> wire.AnyResponse:
    """`PUT /storage/files/acl`: set the access list of a file."""
    new_acl = wire_storage.acl(document(http_request))
    return wire_storage.acl_reply(emulator.storage.acl(_path(http_request), http_request.account, new_acl))


def sign(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`POST /storage/files/sign`: a URL with which anyone can read a file for a limited time."""
    lifetime_s = document(http_request).get("expiration_seconds", LINK_S)
    is_whole = (
        isinstance(lifetime_s, int | float) and not isinstance(lifetime_s, bool) and lifetime_s % 1 == 0
    )
    if not is_whole or not 1 <= lifetime_s <= MAX_LINK_S:
        raise Invalid("expiration_seconds", lifetime_s, f"a whole number of 1 to {MAX_LINK_S:g}")
    path = _path(http_request)
    identity = emulator.storage.link(path, http_request.account, lifetime_s)
    return {"signed_url": f"{wire_storage.url(path, http_request.links)}?identity={identity}"}


def storage_settings(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /storage/settings`: the lifetime and the access list of new files without a preference of their own."""
    lifecycle = emulator.store.workspaces.lifecycle(http_request.account)
    has_lifetime = lifecycle is not None and lifecycle.lifetime_s < math.inf
    return {
        "expiration_duration_seconds": int(lifecycle.lifetime_s) if lifecycle and has_lifetime else None,
        "initial_acl": wire_storage.acl_document(lifecycle.acl)
        if lifecycle and lifecycle.acl != PUBLIC
        else None,
    }


def set_storage_settings(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`PUT /storage/settings`: replace all of them; what is missing or null is reset."""
    # fal: an empty body and another content type are rejected (Platform API specification, 2026-08).
    if not http_request.header(b"content-type").lower().startswith("application/json"):
        raise Invalid("Content-Type", http_request.header(b"content-type"), "application/json")
    if not http_request.body:
        raise Invalid("the body", "", "JSON")
    body = document(http_request)
    lifetime_s = body.get("expiration_duration_seconds")
    is_whole = isinstance(lifetime_s, int) and not isinstance(lifetime_s, bool)
    if lifetime_s is not None and not (is_whole and 0 < lifetime_s < _MAX_LIFETIME_S):
        raise Invalid("expiration_duration_seconds", lifetime_s, "a whole number of seconds above 0, or null")
    lifecycle = emulator.storage.without_unknown_users(wire_storage.lifecycle(body))
    emulator.store.workspaces.of(http_request.account).lifecycle = lifecycle
    return storage_settings(emulator, http_request)


def _path(http_request: HttpRequest) -> str:
    url = Query(http_request).text("url")
    if not url:
        raise Invalid("url", url, "the address of a file")
    return wire_storage.path_of(http_request)
