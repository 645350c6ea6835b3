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

OURS = Tokens(0)


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    its: dict[str, object] = json.loads(urlsafe_b64decode(part + "=="))
    return its


@given(st.text(), st.text(min_size=1))
def test_a_token_names_its_account_until_it_is_over(account: str, app: str) -> None:
    token = OURS.issue(account, ["flux", app], 10, EPOCH)
    assert [OURS.account(token, app, EPOCH + at) for at in (0, 9.9)] == [account, account]
    with pytest.raises(InvalidAppToken):
        OURS.account(token, app, EPOCH + 10)


def test_a_token_is_good_for_the_apps_that_it_names() -> None:
    token = OURS.issue("ana", ["flux", "fast-lcm-diffusion"], 10, EPOCH)
    assert OURS.account(token, "fast-lcm-diffusion", EPOCH) == "ana"
    with pytest.raises(WrongAppToken):
        OURS.account(token, "fast", EPOCH)


def test_a_token_is_a_jwt() -> None:
    token = OURS.issue("ana", ["flux"], 120, EPOCH)
    head, body, signature = token.split(".")
    assert json.loads(urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    seal = hmac.digest(b"mock-fal/0/tokens", f"{head}.{body}".encode(), "sha256")
    assert signature == urlsafe_b64encode(seal).decode().rstrip("=")
    facts = claims(token)
    assert (facts["sub"], facts["apps"]) == ("ana", ["flux"])
    assert (facts["iat"], facts["exp"]) == (EPOCH, EPOCH + 120)


def test_the_same_seed_knows_a_token_again_and_another_does_not() -> None:
    token = Tokens(7).issue("ana", ["flux"], 10, EPOCH)
    assert Tokens(7).account(token, "flux", EPOCH) == "ana"
    with pytest.raises(InvalidAppToken):
        Tokens(8).account(token, "flux", EPOCH)


@pytest.mark.parametrize("forged", ["", ".", "..", "x", "a.b.c", "é.é.é", "\ud800.\ud800.\ud800"])
def test_what_is_forged_is_refused(forged: str) -> None:
    with pytest.raises(InvalidAppToken):
        OURS.account(forged, "flux", EPOCH)


def test_who_changes_what_a_token_says_is_refused() -> None:
    head, body, signature = OURS.issue("ana", ["flux"], 10, EPOCH).split(".")
    said = urlsafe_b64decode(body + "==").replace(b"ana", b"bob")
    forged = urlsafe_b64encode(said).decode().rstrip("=")
    assert forged != body
    with pytest.raises(InvalidAppToken):
        OURS.account(f"{head}.{forged}.{signature}", "flux", EPOCH)
