from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.accounts.signed_tokens import SignedTokens
from mock_fal.clock import EPOCH

TOKENS = SignedTokens(0)
PATH = "/files/b/0aa00000/a_søster.png"


@given(st.text())
def test_a_token_names_its_owner_until_it_expires(owner: str) -> None:
    token = TOKENS.token(owner, EPOCH + 10)
    assert [TOKENS.bearer(token, EPOCH + at) for at in (0, 9.9, 10)] == [owner, owner, None]


def test_a_link_gives_access_to_one_file_until_it_expires() -> None:
    link = TOKENS.link(PATH, "ana", EPOCH + 10)
    assert TOKENS.reader(PATH, link, EPOCH + 9) == "ana"
    assert TOKENS.reader(PATH, link, EPOCH + 10) is None
    assert TOKENS.reader(PATH + "x", link, EPOCH) is None


def test_a_token_of_one_kind_is_not_valid_as_another() -> None:
    token, link = TOKENS.token("ana", EPOCH + 10), TOKENS.link(PATH, "ana", EPOCH + 10)
    assert TOKENS.bearer(link, EPOCH) is TOKENS.reader(PATH, token, EPOCH) is None
    assert not TOKENS.is_signature(PATH, link)


def test_a_token_is_valid_on_servers_with_the_same_seed_only() -> None:
    token = SignedTokens(7).token("ana", EPOCH + 10)
    assert SignedTokens(7).bearer(token, EPOCH) == "ana"
    assert SignedTokens(8).bearer(token, EPOCH) is None


@pytest.mark.parametrize("forged", ["", ".", "x", "WyJhbmEiLCAxXQ.", "é.é", "\ud800.\ud800"])
def test_a_forged_token_is_invalid(forged: str) -> None:
    assert TOKENS.bearer(forged, EPOCH) is TOKENS.reader(PATH, forged, EPOCH) is None
    assert not TOKENS.is_signature(PATH, forged)


@given(st.integers(min_value=0), st.characters())
def test_a_token_with_a_changed_letter_is_invalid(at: int, letter: str) -> None:
    token = TOKENS.token("ana", EPOCH + 10)
    at %= len(token)
    changed = token[:at] + letter + token[at + 1 :]
    assert TOKENS.bearer(changed, EPOCH) == ("ana" if changed == token else None)


def test_a_signature_is_valid_for_one_path() -> None:
    assert TOKENS.is_signature(PATH, TOKENS.signature(PATH))
    assert not TOKENS.is_signature(PATH, TOKENS.signature(PATH + "x"))
