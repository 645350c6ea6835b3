from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.webhooks.retry_policy import (
    LARGE_BYTES,
    POLICIES,
    AttemptResult,
    RetryPolicy,
    attempt_timeout_s,
    attempt_times,
    classify,
)

REAL, FAST, NONE = POLICIES["real"], POLICIES["fast"], POLICIES["none"]

start_times = st.floats(0, 4e9)
policies = st.sampled_from([REAL, FAST, NONE])


@given(start_times, policies, st.integers(0, 1_000_000))
def test_the_first_attempt_is_immediate_and_the_others_are_later(
    first: float, policy: RetryPolicy, size: int
) -> None:
    times = list(attempt_times(first, policy, size))
    assert times[0] == first
    assert all(earlier < later for earlier, later in pairwise(times))
    assert len(times) <= 31


def test_the_gaps_grow_until_the_stored_result_expires() -> None:
    times = list(attempt_times(0.0, REAL))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == [2, 20, 40, 80, 160, 320, 600, 600, 600, 600]
    assert times[-1] < 3600 <= times[-1] + 600


def test_a_large_result_expires_sooner() -> None:
    assert list(attempt_times(0.0, REAL, LARGE_BYTES)) == [0, 2, 22, 62, 142, 302]
    assert list(attempt_times(0.0, REAL, LARGE_BYTES - 1)) == list(attempt_times(0.0, REAL))


def test_fast_is_a_hundredth_of_real() -> None:
    assert list(attempt_times(0.0, FAST)) == pytest.approx([time / 100 for time in attempt_times(0.0, REAL)])
    assert len(list(attempt_times(0.0, FAST, LARGE_BYTES))) == 6


def test_none_makes_one_attempt() -> None:
    assert list(attempt_times(5.0, NONE)) == [5.0]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    assert classify(status) is AttemptResult.DELIVERED


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 399])
def test_a_redirect_is_final(status: int) -> None:
    assert classify(status) is AttemptResult.FAILED


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 599])
def test_other_statuses_are_retried(status: int) -> None:
    assert classify(status) is AttemptResult.RETRY


def test_the_first_attempt_has_a_shorter_timeout() -> None:
    assert [attempt_timeout_s(REAL, attempt) for attempt in (1, 2, 31)] == [15, 120, 120]
