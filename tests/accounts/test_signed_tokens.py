from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.accounts.signed_tokens import SignedTokens
from mock_fal.clock import EPOCH

OURS = SignedTokens(0)
PATH = "/files/b/0aa00000/a_søster.png"


@given(st.text())
def test_a_token_names_its_owner_until_it_is_over(owner: str) -> None:
    token = OURS.token(owner, EPOCH + 10)
    assert [OURS.bearer(token, EPOCH + at) for at in (0, 9.9, 10)] == [owner, owner, None]


def test_a_link_reads_one_file_until_it_is_over() -> None:
    link = OURS.link(PATH, "ana", EPOCH + 10)
    assert OURS.reader(PATH, link, EPOCH + 9) == "ana"
    assert OURS.reader(PATH, link, EPOCH + 10) is None
    assert OURS.reader(PATH + "x", link, EPOCH) is None


def test_one_word_is_not_taken_for_another() -> None:
    token, link = OURS.token("ana", EPOCH + 10), OURS.link(PATH, "ana", EPOCH + 10)
    assert OURS.bearer(link, EPOCH) is OURS.reader(PATH, token, EPOCH) is None
    assert not OURS.is_signature(PATH, link)


def test_the_same_seed_knows_them_again_and_another_does_not() -> None:
    token = SignedTokens(7).token("ana", EPOCH + 10)
    assert SignedTokens(7).bearer(token, EPOCH) == "ana"
    assert SignedTokens(8).bearer(token, EPOCH) is None


@pytest.mark.parametrize("forged", ["", ".", "x", "WyJhbmEiLCAxXQ.", "é.é", "\ud800.\ud800"])
def test_what_is_forged_is_nobody(forged: str) -> None:
    assert OURS.bearer(forged, EPOCH) is OURS.reader(PATH, forged, EPOCH) is None
    assert not OURS.is_signature(PATH, forged)


@given(st.integers(min_value=0), st.characters())
def test_a_token_with_another_letter_in_it_is_forged(at: int, letter: str) -> None:
    token = OURS.token("ana", EPOCH + 10)
    at %= len(token)
    changed = token[:at] + letter + token[at + 1 :]
    assert OURS.bearer(changed, EPOCH) == ("ana" if changed == token else None)


def test_a_signature_is_for_one_address() -> None:
    assert OURS.is_signature(PATH, OURS.signature(PATH))
    assert not OURS.is_signature(PATH, OURS.signature(PATH + "x"))
