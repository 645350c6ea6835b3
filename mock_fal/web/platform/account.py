"""Platform API: account credits, file access, and public metadata."""

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

# deviation: every account starts with 100 USD, and its balance may become negative.
CREDITS_USD: Final = 100


def meta(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /meta`: the IP ranges that webhooks are sent from."""
    # deviation: webhooks are sent from this machine.
    return {"webhook_ip_ranges": ["127.0.0.1/32", "::1/128"]}


def billing(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /account/billing`: the account's name and credit balance."""
    account: dict[str, JSON] = {"username": http_request.account}
    if "credits" in Query(http_request).listed("expand", ("credits",)):
        spent = usage(emulator.charges(http_request.account)).cost
        balance = round((CREDITS_USD - spent) * NANO) / NANO
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


def _path(http_request: HttpRequest) -> str:
    url = Query(http_request).text("url")
    if not url:
        raise Invalid("url", url, "the address of a file")
    return wire_storage.path_of(http_request)
