from __future__ import annotations

from mock_fal.models.own_storage import NOT_LOCAL, stored
from mock_fal.models.runner import RunResult
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile, RequestFailure, RunnerResponse, media_files
from mock_fal.requests.upload_policy import parse

LOCAL = parse('{"url": "http://localhost:9000/b", "fields": {"key": "${filename}"}}')
AMAZON = parse('{"url": "https://b.s3.amazonaws.com", "fields": {"key": "${filename}"}}')
FILE = MediaFile(Recipe("a/b", "a cat", 1, 64, 48, 0, "jpeg"), "/files/b/0/a.jpg")


def run(body: object) -> RunResult:
    return RunResult(RunnerResponse(200, body, billable_units=3), 4, (), [FILE])


def test_all_files_of_a_result_go_to_the_bucket() -> None:
    inline = MediaFile(FILE.recipe, "", inline=True)
    result = stored(run({"images": [{"url": FILE}], "preview": inline}), LOCAL, allow_egress=False)
    assert isinstance(result.outcome, RunnerResponse)
    first, second = media_files(result.outcome.body)
    assert (first.bucket, first.inline, first.path) == (LOCAL, True, FILE.path)
    assert second is inline
    assert (result.outcome.inline, result.files, result.warning) == (True, [], "")


def test_an_address_elsewhere_needs_egress() -> None:
    assert stored(run({"url": FILE}), AMAZON, allow_egress=False).warning == f"{AMAZON.url} {NOT_LOCAL}"
    assert stored(run({"url": FILE}), AMAZON, allow_egress=True).warning == ""


def test_an_invalid_policy_is_the_result_and_costs_nothing() -> None:
    result = stored(run({"url": FILE}), "Invalid", allow_egress=False)
    assert result.outcome == RunnerResponse(422, {"detail": "Invalid"}, billable_units=0)
    assert (result.steps, result.files) == (0, [])


def test_results_without_files_and_failures_stay() -> None:
    for result in (
        run({"text": "hello"}),
        RunResult(RequestFailure("runner_disconnected"), 0, (), []),
        RunResult(RunnerResponse(422, {"detail": []}), 0, (), []),
    ):
        assert stored(result, LOCAL, allow_egress=False) == result
