from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.webhooks.retry_policy import (
    LARGE_BYTES,
    POLICIES,
    Policy,
    Verdict,
    attempts,
    patience_s,
    verdict,
)

REAL, FAST, NONE = POLICIES["real"], POLICIES["fast"], POLICIES["none"]

moments = st.floats(0, 4e9)
policies = st.sampled_from([REAL, FAST, NONE])


@given(moments, policies, st.integers(0, 1_000_000))
def test_the_first_attempt_is_at_once_and_the_others_come_later(
    first: float, policy: Policy, size: int
) -> None:
    timetable = list(attempts(first, policy, size))
    assert timetable[0] == first
    assert all(earlier < later for earlier, later in pairwise(timetable))
    assert len(timetable) <= 31


def test_the_gaps_grow_until_the_stored_result_expires() -> None:
    timetable = list(attempts(0.0, REAL))
    gaps = [later - earlier for earlier, later in pairwise(timetable)]
    assert gaps == [2, 20, 40, 80, 160, 320, 600, 600, 600, 600]
    assert timetable[-1] < 3600 <= timetable[-1] + 600


def test_a_large_result_expires_sooner() -> None:
    assert list(attempts(0.0, REAL, LARGE_BYTES)) == [0, 2, 22, 62, 142, 302]
    assert list(attempts(0.0, REAL, LARGE_BYTES - 1)) == list(attempts(0.0, REAL))


def test_fast_is_a_hundredth_of_real() -> None:
    assert list(attempts(0.0, FAST)) == pytest.approx([moment / 100 for moment in attempts(0.0, REAL)])
    assert len(list(attempts(0.0, FAST, LARGE_BYTES))) == 6


def test_none_tries_once() -> None:
    assert list(attempts(5.0, NONE)) == [5.0]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    assert verdict(status) is Verdict.DELIVERED


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 399])
def test_a_redirect_is_final(status: int) -> None:
    assert verdict(status) is Verdict.FAILED


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 599])
def test_all_else_is_tried_again(status: int) -> None:
    assert verdict(status) is Verdict.AGAIN


def test_the_first_attempt_has_less_patience() -> None:
    assert [patience_s(REAL, attempt) for attempt in (1, 2, 31)] == [15, 120, 120]
