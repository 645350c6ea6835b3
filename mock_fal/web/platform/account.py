"""The Platform API about an account: its credits and files, and what everybody may know."""

from __future__ import annotations

from typing import Final

from mock_fal.accounts.signed_tokens import LINK_S, MAX_LINK_S
from mock_fal.billing.prices import CURRENCY, NANO
from mock_fal.billing.usage import usage
from mock_fal.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.web import wire, wire_storage
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, Query, document

# deviation: every account begins with this, and may go below nothing.
CREDITS_USD: Final = 100


def meta(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /meta`: where webhooks come from."""
    # deviation: webhooks come from this machine.
    return {"webhook_ip_ranges": ["127.0.0.1/32", "::1/128"]}


def billing(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /account/billing`: whose account it is, and what is left."""
    account: dict[str, JSON] = {"username": http_request.account}
    if "credits" in Query(http_request).listed("expand", ("credits",)):
        spent = usage(emulator.charges(http_request.account)).cost
        left = round((CREDITS_USD - spent) * NANO) / NANO
        account["credits"] = {"current_balance": left, "currency": CURRENCY}
    return account


def acl(emulator: Emulator, http_request: HttpRequest) -> wire.AnyResponse:
    """`GET /storage/files/acl`: who may read a file."""
    return wire_storage.acl_reply(emulator.storage.acl(_path(http_request), http_request.account))


def set_acl(emulator: Emulator, http_request: HttpRequest) -> wire.AnyResponse:
    """`PUT /storage/files/acl`: say who may read a file."""
    wanted = wire_storage.acl(document(http_request))
    return wire_storage.acl_reply(emulator.storage.acl(_path(http_request), http_request.account, wanted))


def sign(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`POST /storage/files/sign`: an address by which anybody may read a file for a while."""
    lives_s = document(http_request).get("expiration_seconds", LINK_S)
    whole = isinstance(lives_s, int | float) and not isinstance(lives_s, bool) and lives_s % 1 == 0
    if not whole or not 1 <= lives_s <= MAX_LINK_S:
        raise Invalid("expiration_seconds", lives_s, f"a whole number of 1 to {MAX_LINK_S:g}")
    path = _path(http_request)
    identity = emulator.storage.link(path, http_request.account, lives_s)
    return {"signed_url": f"{wire_storage.url(path, http_request.links)}?identity={identity}"}


def _path(http_request: HttpRequest) -> str:
    url = Query(http_request).text("url")
    if not url:
        raise Invalid("url", url, "the address of a file")
    return wire_storage.path_of(http_request)
