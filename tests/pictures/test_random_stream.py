from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mock_fal.pictures.random_stream import RandomStream


def test_the_same_words_give_the_same_draws_in_every_run() -> None:
    chance = RandomStream("a cat", 7)
    assert [chance.whole(1000) for _ in range(10)] == [708, 644, 264, 357, 596, 224, 644, 216, 234, 266]


def test_bytes_are_the_same_whatever_was_drawn_before() -> None:
    chance = RandomStream("a cat", 7)
    before, _, after = chance.bytes(8), chance.unit(), chance.bytes(8)
    assert before == after == bytes.fromhex("905d3ab3d4bfb528")


def test_words_are_told_apart_where_they_meet() -> None:
    assert RandomStream("ab", "c").unit() != RandomStream("a", "bc").unit()


@given(st.text(st.characters()), st.integers(1, 10**6))
def test_a_draw_stays_below_its_bound(word: str, below: int) -> None:
    chance = RandomStream(word)
    assert 0 <= chance.whole(below) < below
    assert 0 <= chance.unit() < 1
    assert chance.pick("abc") in "abc"
