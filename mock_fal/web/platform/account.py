"""The Platform API about an account: its credits and files, and what everybody may know."""

from __future__ import annotations

from typing import Final

from mock_fal.billing import usage
from mock_fal.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.identity import LINK_S, MAX_LINK_S
from mock_fal.price import CURRENCY, NANO
from mock_fal.web import wire, wire_storage
from mock_fal.web.platform.wire import Invalid, Query, document
from mock_fal.web.question import Question

# unlike fal: every account begins with this, and may go below nothing.
CREDITS_USD: Final = 100


def meta(emulator: Emulator, question: Question) -> JSON:
    """`GET /meta`: where webhooks come from."""
    # unlike fal: webhooks come from this machine.
    return {"webhook_ip_ranges": ["127.0.0.1/32", "::1/128"]}


def billing(emulator: Emulator, question: Question) -> JSON:
    """`GET /account/billing`: whose account it is, and what is left."""
    account: dict[str, JSON] = {"username": question.account}
    if "credits" in Query(question).listed("expand", ("credits",)):
        spent = usage(emulator.charges(question.account)).cost
        left = round((CREDITS_USD - spent) * NANO) / NANO
        account["credits"] = {"current_balance": left, "currency": CURRENCY}
    return account


def acl(emulator: Emulator, question: Question) -> wire.Answering:
    """`GET /storage/files/acl`: who may read a file."""
    return wire_storage.acl_reply(emulator.storage.acl(_path(question), question.account))


def set_acl(emulator: Emulator, question: Question) -> wire.Answering:
    """`PUT /storage/files/acl`: say who may read a file."""
    wanted = wire_storage.acl(document(question))
    return wire_storage.acl_reply(emulator.storage.acl(_path(question), question.account, wanted))


def sign(emulator: Emulator, question: Question) -> JSON:
    """`POST /storage/files/sign`: an address by which anybody may read a file for a while."""
    lives_s = document(question).get("expiration_seconds", LINK_S)
    whole = isinstance(lives_s, int | float) and not isinstance(lives_s, bool) and lives_s % 1 == 0
    if not whole or not 1 <= lives_s <= MAX_LINK_S:
        raise Invalid("expiration_seconds", lives_s, f"a whole number of 1 to {MAX_LINK_S:g}")
    path = _path(question)
    identity = emulator.storage.link(path, question.account, lives_s)
    return {"signed_url": f"{wire_storage.url(path, question.links)}?identity={identity}"}


def _path(question: Question) -> str:
    url = Query(question).text("url")
    if not url:
        raise Invalid("url", url, "the address of a file")
    return wire_storage.path_of(question)
