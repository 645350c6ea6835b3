from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mock_fal.media.h264 import se, ue


@given(st.integers(0, 10_000))
def test_codes_of_exp_golomb_are_read_back(value: int) -> None:
    code = ue(value)
    zeros = code.index("1")
    assert int(code[zeros:], 2) - 1 == value and len(code) == 2 * zeros + 1
    assert se(-value) == ue(2 * value)
