from __future__ import annotations

import math

import pytest

from mock_fal.clock import EPOCH
from mock_fal.endpoint import EndpointId
from mock_fal.errors import MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.requests.lifecycle import FailedRun, Submission, schedule
from mock_fal.requests.outcome import Outcome, RequestFailure, RunnerResponse, model_error
from mock_fal.requests.queue import FailedAttempt, ModelRequest
from mock_fal.requests.retries import (
    CONDITIONS,
    MAX_ATTEMPTS,
    NOT_BEGUN,
    Attempt,
    attempts,
    condition,
    gap,
    is_retried,
)

FAILURE = RequestFailure("runner_disconnected")

# fal's documentation of retries and of reliability (2026): 503, 504, broken connections and timeouts.
RETRIED = {
    "request_timeout",
    "startup_timeout",
    "runner_scheduling_failure",
    "runner_connection_timeout",
    "runner_disconnected",
    "runner_connection_refused",
    "runner_connection_error",
}


@pytest.mark.parametrize("error_type", REQUEST_ERRORS)
def test_fal_tries_again_after_infrastructure_failures(error_type: str) -> None:
    assert is_retried(RequestFailure(error_type)) == (error_type in RETRIED)


@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_a_model_error_is_tried_again_by_its_status(error_type: str) -> None:
    assert is_retried(model_error(error_type)) == (error_type == "generation_timeout")


@pytest.mark.parametrize("status", [200, 302, 400, 404, 422, 500, 502])
def test_other_statuses_are_final(status: int) -> None:
    assert not is_retried(RunnerResponse(status, {}))


@pytest.mark.parametrize(("status", "heard"), [(422, False), (429, True), (500, True), (503, True)])
def test_a_runner_decides_for_5xx_and_429_only(status: int, heard: bool) -> None:
    response = RunnerResponse(status, {})
    assert is_retried(response, True) == heard
    assert not is_retried(response, False)


@pytest.mark.parametrize(
    ("error_type", "kind"),
    [
        ("runner_disconnected", "connection_error"),
        ("runner_connection_refused", "connection_error"),
        ("runner_connection_timeout", "connection_error"),
        ("request_timeout", "timeout"),
        ("startup_timeout", "timeout"),
        ("runner_scheduling_failure", "server_error"),
        ("runner_server_error", "server_error"),
    ],
)
def test_a_failure_has_a_condition(error_type: str, kind: str) -> None:
    assert condition(RequestFailure(error_type)) == kind
    assert {condition(RequestFailure(name)) for name in REQUEST_ERRORS} == set(CONDITIONS)
    assert condition(model_error("generation_timeout")) == "timeout"


def test_errors_before_a_runner_begins_are_request_errors() -> None:
    assert NOT_BEGUN < set(REQUEST_ERRORS)


def test_gaps_double_up_to_the_time_in_the_queue() -> None:
    assert [gap(number, 8) for number in range(1, 7)] == [1, 2, 4, 8, 8, 8]
    assert gap(3, 0) == 0
    assert MAX_ATTEMPTS == 10


def request(*failed: FailedRun, outcome: Outcome = FAILURE, **options: float) -> ModelRequest:
    submission = Submission(1, EPOCH, 2, 8, failed=failed, **options)  # type: ignore[arg-type]
    planned = ModelRequest("first", EndpointId.parse("a/b"), "ana", submission, RunnerResponse(200, {}), 4)
    planned.planned = schedule(submission, submission.ready_at)
    planned.earlier = tuple(FailedAttempt(id, outcome, 0) for id in ("first", "second")[: len(failed)])
    planned.last_id = "last" if failed else ""
    return planned


def test_an_attempt_appears_when_it_starts_and_has_a_result_when_it_ends() -> None:
    retried = request(FailedRun(4, 1))
    failed = Attempt("first", EPOCH + 2, EPOCH + 6, 503, "runner_disconnected")
    assert attempts(retried, EPOCH + 1) == []
    assert attempts(retried, EPOCH + 2) == [Attempt("first", EPOCH + 2, None, None, None)]
    assert attempts(retried, EPOCH + 6.5) == [failed]
    assert attempts(retried, EPOCH + 7) == [failed, Attempt("last", EPOCH + 7, None, None, None)]
    assert attempts(retried, EPOCH + 15) == [failed, Attempt("last", EPOCH + 7, EPOCH + 15, 200, None)]


def test_a_request_without_retries_has_one_attempt() -> None:
    assert attempts(request(), EPOCH + 99) == [Attempt("first", EPOCH + 2, EPOCH + 10, 200, None)]


def test_a_request_that_never_starts_has_none() -> None:
    assert attempts(request(start_timeout_s=1), EPOCH + 99) == []


def test_attempts_after_the_deadline_are_missing() -> None:
    late = request(FailedRun(4, 1), FailedRun(4, 1), start_timeout_s=8)
    assert [attempt.id for attempt in attempts(late, math.inf)] == ["first", "second"]
    assert late.gateway_id == "second"
    assert late.failure == RequestFailure("request_timeout", by_user=True)


def test_a_stopped_attempt_has_the_result_of_the_request() -> None:
    stopped = request(FailedRun(4, 1), cancelled_at=EPOCH + 3, honours_cancel=True)
    assert attempts(stopped, EPOCH + 9) == [Attempt("first", EPOCH + 2, EPOCH + 3, 499, None)]


def test_an_attempt_names_the_model_error() -> None:
    failed = request(FailedRun(4, 1), outcome=model_error("generation_timeout"))
    assert attempts(failed, EPOCH + 6)[0].error_type == "generation_timeout"


def test_the_gateway_id_is_that_of_the_last_attempt() -> None:
    assert request().gateway_id == "first"
    assert request(FailedRun(4, 1)).gateway_id == "last"
    assert request(FailedRun(4, 1), FailedRun(4, 1)).gateway_id == "last"
