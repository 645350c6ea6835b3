from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mock_fal.pictures.random_stream import RandomStream


def test_the_same_seeds_give_the_same_numbers_in_every_run() -> None:
    random = RandomStream("a cat", 7)
    assert [random.integer(1000) for _ in range(10)] == [708, 644, 264, 357, 596, 224, 644, 216, 234, 266]


def test_bytes_do_not_depend_on_the_numbers_drawn_before() -> None:
    random = RandomStream("a cat", 7)
    before, _, after = random.bytes(8), random.unit(), random.bytes(8)
    assert before == after == bytes.fromhex("905d3ab3d4bfb528")


def test_seeds_are_kept_separate() -> None:
    assert RandomStream("ab", "c").unit() != RandomStream("a", "bc").unit()


@given(st.text(st.characters()), st.integers(1, 10**6))
def test_a_number_is_below_its_bound(seed: str, below: int) -> None:
    random = RandomStream(seed)
    assert 0 <= random.integer(below) < below
    assert 0 <= random.unit() < 1
    assert random.choice("abc") in "abc"
