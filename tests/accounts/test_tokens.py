from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.accounts.tokens import Tokens
from mock_fal.clock import EPOCH
from mock_fal.errors import InvalidAppToken, WrongAppToken

TOKENS = Tokens(0)


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    decoded: dict[str, object] = json.loads(urlsafe_b64decode(part + "=="))
    return decoded


@given(st.text(), st.text(min_size=1))
def test_a_token_names_its_account_until_it_expires(account: str, app: str) -> None:
    token = TOKENS.issue(account, ["flux", app], 10, EPOCH)
    assert [TOKENS.account(token, app, EPOCH + at) for at in (0, 9.9)] == [account, account]
    with pytest.raises(InvalidAppToken):
        TOKENS.account(token, app, EPOCH + 10)


def test_a_token_is_valid_for_the_apps_that_it_names() -> None:
    token = TOKENS.issue("ana", ["flux", "fast-lcm-diffusion"], 10, EPOCH)
    assert TOKENS.account(token, "fast-lcm-diffusion", EPOCH) == "ana"
    with pytest.raises(WrongAppToken):
        TOKENS.account(token, "fast", EPOCH)


def test_a_token_is_a_jwt() -> None:
    token = TOKENS.issue("ana", ["flux"], 120, EPOCH)
    head, body, signature = token.split(".")
    assert json.loads(urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    expected = hmac.digest(b"mock-fal/0/tokens", f"{head}.{body}".encode(), "sha256")
    assert signature == urlsafe_b64encode(expected).decode().rstrip("=")
    issued = claims(token)
    assert (issued["sub"], issued["apps"]) == ("ana", ["flux"])
    assert (issued["iat"], issued["exp"]) == (EPOCH, EPOCH + 120)


def test_a_token_is_valid_on_servers_with_the_same_seed_only() -> None:
    token = Tokens(7).issue("ana", ["flux"], 10, EPOCH)
    assert Tokens(7).account(token, "flux", EPOCH) == "ana"
    with pytest.raises(InvalidAppToken):
        Tokens(8).account(token, "flux", EPOCH)


@pytest.mark.parametrize("forged", ["", ".", "..", "x", "a.b.c", "é.é.é", "\ud800.\ud800.\ud800"])
def test_a_forged_token_is_rejected(forged: str) -> None:
    with pytest.raises(InvalidAppToken):
        TOKENS.account(forged, "flux", EPOCH)


def test_a_token_with_changed_claims_is_rejected() -> None:
    head, body, signature = TOKENS.issue("ana", ["flux"], 10, EPOCH).split(".")
    changed = urlsafe_b64decode(body + "==").replace(b"ana", b"bob")
    forged = urlsafe_b64encode(changed).decode().rstrip("=")
    assert forged != body
    with pytest.raises(InvalidAppToken):
        TOKENS.account(f"{head}.{forged}.{signature}", "flux", EPOCH)
