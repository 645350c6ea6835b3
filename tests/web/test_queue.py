"""queue.fal.run: exact status codes, bytes and headers."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from mock_fal.errors import MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.scenario.options import CONCURRENCY_ERROR
from tests.web.conftest import DEV, OURS, QUEUE, QUEUE_S, RUN_S, SCHNELL, Fal, Handle, Serve

UNKNOWN_ID = "019f6b1b-49c3-7163-9866-2d7bdfec2232"
TEXT = "text/plain; charset=utf-8"


def urls(handle: Handle, base: str = "https://queue.fal.run/fal-ai/flux") -> str:
    """The JSON members with the id and URLs, which every status has."""
    url = f"{base}/requests/{handle.id}"
    return (
        f'"request_id":"{handle.id}","response_url":"{url}","status_url":"{url}/status",'
        f'"cancel_url":"{url}/cancel"'
    )


def line(message: str, timestamp: str) -> str:
    return f'{{"message":"{message}","level":"INFO","source":"USER","timestamp":"{timestamp}"}}'


FIRST = line(" 25%|██        | 1/4 [00:02,  0.50it/s]", "2026-01-01T00:00:04.000Z")
SECOND = line(" 50%|█████     | 2/4 [00:04,  0.50it/s]", "2026-01-01T00:00:06.000Z")


# -- submit


def test_the_response_to_a_submission_is_200_and_the_status(fal: Fal) -> None:
    handle = fal.submit()
    assert handle.response.status_code == 200
    assert handle.response.headers["content-type"] == "application/json"
    assert handle.response.headers["x-fal-request-id"] == handle.id
    assert handle.response.text == (
        f'{{"status":"IN_QUEUE",{urls(handle)},"logs":null,"metrics":{{}},"queue_position":0}}'
    )


def test_a_submission_that_starts_at_once_is_in_progress(serve: Serve) -> None:
    handle = serve(queue_duration=0.0).submit()
    assert handle.response.text == (f'{{"status":"IN_PROGRESS",{urls(handle)},"logs":null,"metrics":{{}}}}')


@pytest.mark.parametrize("clock", ["manual", "auto-advance", "system"])
def test_the_response_to_a_submission_that_ends_at_once_is_in_queue(serve: Serve, clock: str) -> None:
    """Clients that read a status in it would not poll, nor fetch the result."""
    handle = serve(queue_duration=0.0, run_duration=0.0, clock=clock).submit()
    assert handle.response.text == (
        f'{{"status":"IN_QUEUE",{urls(handle)},"logs":null,"metrics":{{}},"queue_position":0}}'
    )
    assert handle.status().json()["status"] == "COMPLETED"
    assert handle.result().status_code == 200


def test_a_submission_returns_its_queue_position(fal: Fal) -> None:
    assert [fal.submit().response.json()["queue_position"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("path", [SCHNELL, f"{SCHNELL}/", DEV, "fal-ai/flux-1/schnell/"])
def test_the_urls_of_a_request_contain_the_app_id_only(fal: Fal, path: str) -> None:
    handle = fal.submit(endpoint=path)
    owner, app, *_ = path.split("/")
    assert handle.url == f"https://queue.fal.run/{owner}/{app}/requests/{handle.id}"


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": "text/plain; charset=x"}],
)
def test_a_body_is_parsed_as_json_for_every_content_type(fal: Fal, headers: dict[str, str]) -> None:
    assert fal.completed(headers=headers).result().json()["prompt"] == "a cat"


def test_the_error_for_an_unknown_app_names_its_alias_only(fal: Fal) -> None:
    response = fal.request("POST", f"{QUEUE}/fal-ai/h3-max/turbo", body=b"{}")
    assert response.status_code == 404
    assert response.text == r'{"detail":"Application \"h3-max\" not found"}'
    assert response.headers["x-fal-request-id"]


def test_an_unknown_path_in_a_known_app_is_rejected_by_the_runner(fal: Fal) -> None:
    result = fal.completed(endpoint="fal-ai/flux/nope").result()
    assert (result.status_code, result.text) == (404, '{"detail":"Path /nope not found"}')
    assert result.headers["x-fal-billable-units"] == "0"


@pytest.mark.parametrize("path", ["/", "/fal-ai", "/fal-ai/", "/workflows/fal-ai"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_without_an_app_is_a_404_page(fal: Fal, method: str, path: str) -> None:
    response = fal.request(method, QUEUE + path)
    assert (response.status_code, response.content) == (404, b"404: Not Found")
    assert response.headers["content-type"] == TEXT
    assert response.headers["x-fal-request-id"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"])
def test_only_post_submits(fal: Fal, method: str) -> None:
    response = fal.request(method, f"{QUEUE}/{SCHNELL}", body=b'{"prompt":"a cat"}')
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.headers["content-type"] == TEXT
    assert response.headers["x-fal-request-id"]
    assert response.content == (b"" if method == "HEAD" else b"405: Method Not Allowed")
    assert not fal.emulator.store.requests


def test_low_priority_requests_are_queued_behind_normal_ones(fal: Fal) -> None:
    low = fal.submit(headers={"x-fal-queue-priority": "low"})
    normal = fal.submit(headers={"x-fal-queue-priority": "normal"})
    unknown = fal.submit(headers={"x-fal-queue-priority": "urgent"})
    assert [handle.status().json()["queue_position"] for handle in (low, normal, unknown)] == [2, 0, 1]


def test_a_submission_to_a_queue_over_its_maximum_length_is_rejected(fal: Fal) -> None:
    fal.submit(query="?fal_max_queue_length=0")
    fal.submit(query="?fal_max_queue_length=1")
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}?fal_max_queue_length=1", body=b'{"prompt":"a cat"}')
    assert (response.status_code, response.text) == (429, '{"detail":"Queue is full"}')
    assert response.headers["x-fal-request-id"]
    fal.advance(QUEUE_S)
    fal.submit(query="?fal_max_queue_length=0")


@pytest.mark.parametrize("length", ["", "-1", "ten", "1.5", "9" * 5000])
def test_an_invalid_maximum_queue_length_is_rejected(fal: Fal, length: str) -> None:
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}?fal_max_queue_length={length}", body=b"{}")
    assert response.status_code == 422
    assert response.json()["detail"].startswith("fal_max_queue_length is ")


def test_submissions_beyond_retention_are_rejected_while_all_requests_are_active(serve: Serve) -> None:
    fal = serve(retention=1)
    first = fal.submit()
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", body=b"{}")
    assert (response.status_code, response.text) == (429, '{"detail":"Queue is full"}')
    fal.advance(QUEUE_S + RUN_S)
    assert fal.submit().status().status_code == 202
    assert first.result().status_code == 404


def test_an_invalid_directive_is_rejected_with_its_column(fal: Fal) -> None:
    body = b'{"prompt":"a cat [mock: queue=soon]"}'
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", body=body)
    assert response.status_code == 400
    assert response.json() == {
        "detail": "mock-fal: column 14: queue: 'soon', expected seconds from 0 to 100000"
    }


def test_a_directive_can_be_in_a_header(fal: Fal) -> None:
    handle = fal.submit(headers={"x-mock-fal": "queue=0 run=1"})
    assert handle.status().json()["status"] == "IN_PROGRESS"
    fal.advance(1)
    assert handle.status().json()["metrics"] == {"inference_time": 1.0}


def test_an_invalid_directive_in_a_header_is_rejected_too(fal: Fal) -> None:
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", headers={"x-mock-fal": "run=1 nfsw"}, body=b"{}")
    assert response.status_code == 400
    assert response.json()["detail"] == "mock-fal: column 7: unknown option 'nfsw'; did you mean 'nsfw'?"


# -- authentication

ANONYMOUS = (
    r'{"detail":"Cannot access application \"fal-ai/flux\". '
    r'Authentication is required to access this application."}'
)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Key"},
        {"authorization": "Key alice"},
        {"authorization": "Key :"},
        {"authorization": "Basic YTpi"},
    ],
)
def test_a_submission_needs_a_key(fal: Fal, headers: dict[str, str]) -> None:
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", key=None, headers=headers, body=b"{}")
    assert (response.status_code, response.text) == (401, ANONYMOUS)
    assert response.headers["x-fal-request-id"]


def test_an_unknown_key_is_rejected(serve: Serve) -> None:
    fal = serve(key=("alice:secret",))
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", key="alice:wrong", body=b"{}")
    assert (response.status_code, response.text) == (401, '{"detail":"invalid key credentials"}')
    assert fal.submit(key="alice:secret").status().status_code == 202


def test_a_bearer_token_is_rejected(fal: Fal) -> None:
    response = fal.request(
        "POST", f"{QUEUE}/{SCHNELL}", key=None, headers={"authorization": "Bearer nope"}, body=b"{}"
    )
    assert (response.status_code, response.text) == (401, '{"detail":"bearer: unable to decode issuer"}')


@pytest.mark.parametrize("path", ["", "/status", "/status/stream", "/cancel"])
def test_a_request_for_an_unknown_id_validates_the_key(serve: Serve, path: str) -> None:
    """Many programs check a key this way: 404 means that it is valid, 401 that it is not."""
    fal = serve(key=("alice:secret",))
    url = f"{QUEUE}/fal-ai/flux/requests/{UNKNOWN_ID}{path}"
    method = "PUT" if path == "/cancel" else "GET"
    assert fal.request(method, url, key="alice:secret").status_code == 404
    bad = fal.request(method, url, key="alice:wrong")
    assert (bad.status_code, bad.text) == (401, '{"detail":"invalid key credentials"}')
    assert bad.headers["x-fal-request-id"] == UNKNOWN_ID


def test_reading_needs_no_key(fal: Fal) -> None:
    handle = fal.completed()
    assert handle.status(key=None).status_code == 200
    assert handle.result(key=None).status_code == 200
    assert handle.watch(key=None).events()[0]["status"] == "COMPLETED"


# -- status


def test_the_statuses_of_a_request_are_exact(fal: Fal) -> None:
    handle = fal.submit()
    common = urls(handle)
    queued = handle.status()
    assert queued.status_code == 202
    assert queued.text == f'{{"status":"IN_QUEUE",{common},"logs":null,"metrics":{{}},"queue_position":0}}'
    fal.advance(QUEUE_S)
    running = handle.status()
    assert running.status_code == 202
    assert running.text == f'{{"status":"IN_PROGRESS",{common},"logs":null,"metrics":{{}}}}'
    fal.advance(RUN_S)
    completed = handle.status()
    assert completed.status_code == 200
    assert completed.text == (
        f'{{"status":"COMPLETED",{common},"logs":null,"metrics":{{"inference_time":8.0}}}}'
    )


@pytest.mark.parametrize("elapsed_s", [0.0, QUEUE_S, QUEUE_S + RUN_S])
def test_a_status_has_the_request_id_and_no_billable_units(fal: Fal, elapsed_s: float) -> None:
    handle = fal.submit()
    fal.advance(elapsed_s)
    headers = handle.status().headers
    assert headers["x-fal-request-id"] == handle.id
    assert headers["content-type"] == "application/json"
    assert "x-fal-billable-units" not in headers


def test_the_queue_position_decreases(serve: Serve) -> None:
    fal = serve(runners=1, queue_duration=0.0)
    _, _, third = (fal.submit() for _ in range(3))
    assert third.status().json()["queue_position"] == 1
    fal.advance(RUN_S)
    assert third.status().json()["queue_position"] == 0
    fal.advance(RUN_S)
    assert "queue_position" not in third.status().json()


@pytest.mark.parametrize("query", ["?logs=1", "?logs=true", "?x=y&logs=1", "?logs=0&logs=1"])
def test_logs_are_included_on_request(fal: Fal, query: str) -> None:
    handle = fal.submit()
    fal.advance(6)
    response = handle.status(query)
    assert response.text == (
        f'{{"status":"IN_PROGRESS",{urls(handle)},"logs":[{FIRST},{SECOND}],"metrics":{{}}}}'
    )


@pytest.mark.parametrize("query", ["", "?logs=0", "?logs=false", "?logs=", "?logs", "?logs=yes", "?log=1"])
def test_logs_are_null_by_default(fal: Fal, query: str) -> None:
    handle = fal.completed()
    assert handle.status(query).text == (
        f'{{"status":"COMPLETED",{urls(handle)},"logs":null,"metrics":{{"inference_time":8.0}}}}'
    )


def test_logs_are_null_while_queued_and_a_list_afterwards(fal: Fal) -> None:
    handle = fal.submit()
    assert handle.status("?logs=1").json()["logs"] is None
    fal.advance(QUEUE_S)
    assert handle.status("?logs=1").json()["logs"] == []
    fal.advance(RUN_S)
    assert len(handle.status("?logs=1").json()["logs"]) == 4


def test_each_status_has_all_lines_so_far(fal: Fal) -> None:
    handle = fal.submit()
    fal.advance(5)
    early = handle.status("?logs=1").json()["logs"]
    fal.advance(5)
    late = handle.status("?logs=1").json()["logs"]
    assert late[: len(early)] == early
    assert (len(early), len(late)) == (1, 4)


def test_the_status_does_not_show_a_model_error(fal: Fal) -> None:
    handle = fal.completed(num_inference_steps=28)
    status = handle.status("?logs=1")
    assert status.status_code == 200
    assert status.text == (
        f'{{"status":"COMPLETED",{urls(handle)},"logs":[],"metrics":{{"inference_time":0.004}}}}'
    ).replace("0.004", str(status.json()["metrics"]["inference_time"]))
    assert status.json()["metrics"]["inference_time"] == pytest.approx(0.004, abs=1e-6)


def test_the_status_shows_an_infrastructure_failure(fal: Fal) -> None:
    handle = fal.completed("a cat [mock: error=runner_disconnected]", headers={"x-fal-no-retry": "1"})
    status = handle.status()
    assert status.status_code == 200
    assert status.text == (
        f'{{"status":"COMPLETED",{urls(handle)},"logs":null,"metrics":{{}},'
        '"error":"Runner disconnected","error_type":"runner_disconnected"}'
    )


def test_the_status_shows_a_start_timeout(fal: Fal) -> None:
    handle = fal.completed(headers={"x-fal-request-timeout": "1"})
    assert handle.status().text == (
        f'{{"status":"COMPLETED",{urls(handle)},"logs":null,"metrics":{{}},'
        '"error":"Request timed out","error_type":"request_timeout"}'
    )


def test_the_status_shows_a_cancellation(fal: Fal) -> None:
    handle = fal.submit()
    handle.cancel()
    status = handle.status()
    assert status.status_code == 200
    assert status.text == (
        f'{{"status":"COMPLETED",{urls(handle)},"logs":null,"metrics":{{}},'
        '"error":"Request cancelled","error_type":"client_cancelled"}'
    )


def test_a_cancelled_run_has_an_inference_time(fal: Fal) -> None:
    handle = fal.submit("a cat [mock: cancel=honoured]")
    fal.advance(QUEUE_S + 3)
    handle.cancel()
    assert handle.status().text == (
        f'{{"status":"COMPLETED",{urls(handle)},"logs":null,"metrics":{{"inference_time":3.0}}}}'
    )


# -- result


def test_a_result_is_the_output_of_the_model(fal: Fal) -> None:
    result = fal.completed(seed=42).result()
    url = result.json()["images"][0]["url"]
    assert result.status_code == 200
    assert result.text == (
        f'{{"images":[{{"url":"{url}","width":1024,"height":768,"content_type":"image/jpeg"}}],'
        '"timings":{"inference":7.68},"seed":42,"has_nsfw_concepts":[false],"prompt":"a cat"}'
    )


def test_a_result_names_its_runner_and_billable_units(fal: Fal) -> None:
    handle = fal.completed()
    headers = handle.result().headers
    assert headers["content-type"] == "application/json"
    assert headers["x-fal-request-id"] == handle.id
    assert headers["x-fal-billable-units"] == "1"
    assert len(headers["x-fal-served-from"]) == 32
    assert "x-fal-error-type" not in headers


def test_endpoints_of_one_app_have_the_same_runner_id(fal: Fal) -> None:
    dev, schnell, other = (
        fal.completed(endpoint=endpoint) for endpoint in (DEV, SCHNELL, "fal-ai/flux-1/dev")
    )
    runners = [handle.result().headers["x-fal-served-from"] for handle in (dev, schnell, other)]
    assert runners[0] == runners[1] != runners[2]


@pytest.mark.parametrize(
    ("fields", "units"),
    [
        ({"image_size": "square"}, "1"),
        ({"image_size": {"width": 1000, "height": 1000}}, "1"),
        ({"image_size": "square_hd"}, "2"),
        ({"image_size": {"width": 1, "height": 1}}, "1"),
        ({"image_size": "square", "num_images": 4}, "4"),
        ({"image_size": {"width": 1500, "height": 1500}, "num_images": 2}, "6"),
    ],
)
def test_each_picture_is_billed_in_whole_megapixels(fal: Fal, fields: dict[str, object], units: str) -> None:
    assert fal.completed(**fields).result().headers["x-fal-billable-units"] == units


def test_a_result_can_be_read_repeatedly(fal: Fal) -> None:
    handle = fal.completed()
    assert handle.result().content == handle.result().content


def test_an_invalid_input_is_rejected_in_the_result(fal: Fal) -> None:
    handle = fal.completed(num_inference_steps=28)
    result = handle.result()
    assert result.status_code == 422
    assert result.text == (
        '{"detail":[{"type":"less_than_equal","loc":["body","num_inference_steps"],'
        '"msg":"Input should be less than or equal to 12","input":28,"ctx":{"le":12}}]}'
    )
    assert result.headers["x-fal-billable-units"] == "0"
    assert result.headers["x-fal-request-id"] == handle.id
    assert "x-fal-served-from" in result.headers


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", '[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]'),
        (
            b"[1]",
            '[{"type":"model_attributes_type","loc":["body"],'
            '"msg":"Input should be a valid dictionary or object to extract fields from","input":[1]}]',
        ),
        (
            b'{"prompt":"a cat"',
            '[{"type":"json_invalid","loc":["body",17],"msg":"JSON decode error","input":{},'
            '"ctx":{"error":"Expecting \',\' delimiter"}}]',
        ),
    ],
)
def test_an_invalid_body_is_accepted_and_rejected_in_the_result(fal: Fal, body: bytes, detail: str) -> None:
    handle = fal.completed(body=body)
    result = handle.result()
    assert (result.status_code, result.text) == (422, f'{{"detail":{detail}}}')
    assert result.headers["x-fal-billable-units"] == "0"


_UNREADABLE = '{"detail":"There was an error parsing the body"}'


@pytest.mark.parametrize("body", [b"\xff\xfe\x80", b'{"prompt":"\xe9"}'])
def test_a_body_that_cannot_be_parsed_is_accepted_and_rejected_in_the_result(fal: Fal, body: bytes) -> None:
    result = fal.completed(body=body).result()
    assert (result.status_code, result.text) == (400, _UNREADABLE)


def test_deep_nesting_is_accepted_and_rejected_in_the_result(fal: Fal) -> None:
    """Python 3.14 parses so many levels, and finds that the end is missing. Before, they are too many."""
    result = fal.completed(body=b"[" * 60_000).result()
    if sys.version_info >= (3, 14):
        assert (result.status_code, result.json()["detail"][0]["type"]) == (422, "json_invalid")
    else:
        assert (result.status_code, result.text) == (400, _UNREADABLE)


@pytest.mark.parametrize("depth", [90, 100, 101, 500, 800])
def test_a_deep_input_is_validated_like_a_flat_one(fal: Fal, depth: int) -> None:
    """More levels can be read than written."""
    body = b'{"prompt":' + b"[" * depth + b"]" * depth + b"}"
    result = fal.completed(body=body).result()
    assert (result.status_code, result.json()["detail"][0]["type"]) == (422, "string_type")


def test_a_lone_surrogate_is_returned_escaped(fal: Fal) -> None:
    result = fal.completed(body=rb'{"prompt":"\ud83d"}').result()
    assert result.status_code == 200
    assert result.content.endswith(rb'"prompt":"\ud83d"}')


@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_a_model_error_has_its_own_status_and_body(fal: Fal, error_type: str) -> None:
    kind = MODEL_ERRORS[error_type]
    result = fal.completed(f"a cat [mock: error={error_type}]", headers={"x-fal-no-retry": "1"}).result()
    (item,) = result.json()["detail"]
    assert result.status_code == kind.status
    assert list(item) == ["loc", "msg", "type", "url", *(["ctx"] if kind.ctx else []), "input"]
    assert (item["type"], item["msg"]) == (error_type, kind.msg)
    assert item["url"] == f"https://docs.fal.ai/errors#{error_type}"
    assert result.headers["x-fal-needs-retry"] == ("false" if kind.status == 422 else "true")
    assert result.headers["x-fal-billable-units"] == "0"
    assert "x-fal-error-type" not in result.headers


def test_the_body_of_a_content_policy_violation_is_exact(fal: Fal) -> None:
    result = fal.completed("a cat [mock: error=content_policy_violation]").result()
    assert result.text == (
        '{"detail":[{"loc":["body","prompt"],"msg":"The content could not be processed because it contained '
        'material flagged by a content checker.","type":"content_policy_violation",'
        '"url":"https://docs.fal.ai/errors#content_policy_violation","input":null}]}'
    )


@pytest.mark.parametrize("error_type", sorted(set(REQUEST_ERRORS) - {CONCURRENCY_ERROR}))
def test_the_gateway_responds_if_the_runner_fails(fal: Fal, error_type: str) -> None:
    kind = REQUEST_ERRORS[error_type]
    handle = fal.completed(f"a cat [mock: error={error_type}]", headers={"x-fal-no-retry": "1"})
    result = handle.result()
    assert result.status_code == kind.status
    assert result.text == f'{{"detail":"{kind.detail}","error_type":"{error_type}"}}'
    assert result.headers["x-fal-error-type"] == error_type
    assert result.headers["x-fal-request-id"] == handle.id
    assert result.headers["x-fal-needs-retry"] == ("1" if kind.status in (429, 503, 504) else "0")
    assert "x-fal-billable-units" not in result.headers
    assert "x-fal-request-timeout-type" not in result.headers


def test_an_unsafe_picture_is_flagged_and_not_an_error(fal: Fal) -> None:
    result = fal.completed("a cat [mock: nsfw]").result()
    assert (result.status_code, result.json()["has_nsfw_concepts"]) == (200, [True])


@pytest.mark.parametrize("elapsed_s", [0.0, QUEUE_S])
def test_a_result_requested_too_early_is_still_in_progress(fal: Fal, elapsed_s: float) -> None:
    handle = fal.submit()
    fal.advance(elapsed_s)
    early = handle.result()
    assert early.status_code == 400
    assert early.text == f'{{"detail":"Request is still in progress",{urls(handle)}}}'
    assert early.headers["x-fal-request-id"] == handle.id
    assert "x-fal-billable-units" not in early.headers


def test_each_result_request_moves_an_auto_advance_clock(auto_advance: Fal) -> None:
    handle = auto_advance.submit()
    assert [handle.result().status_code for _ in range(3)] == [400, 400, 200]


# -- start deadline


@pytest.mark.parametrize(
    "headers",
    [
        {"x-fal-request-timeout": "1"},
        {"x-fal-request-timeout": "1.0"},
        {"x-fal-request-start-timeout": "1"},
        {"x-fal-request-start-timeout": "1", "x-fal-request-timeout": "30.0"},
    ],
)
def test_an_exceeded_start_timeout_is_a_user_timeout(fal: Fal, headers: dict[str, str]) -> None:
    handle = fal.submit(headers=headers)
    assert handle.status().json()["status"] == "IN_QUEUE"
    fal.advance(1)
    result = handle.result()
    assert result.status_code == 504
    assert result.text == '{"detail":"Request timed out","error_type":"request_timeout"}'
    assert result.headers["x-fal-request-timeout-type"] == "user"
    assert result.headers["x-fal-error-type"] == "request_timeout"
    assert result.headers["x-fal-needs-retry"] == "0"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-fal-request-timeout": "2"},
        {"x-fal-request-timeout": "soon"},
        {"x-fal-request-timeout": ""},
        {"x-fal-request-timeout": "nan"},
        {"x-fal-request-timeout": "-1"},
        {"x-fal-request-timeout": "0.1"},
        {"x-fal-request-timeout": "1e999"},
        {"x-fal-request-start-timeout": "30", "x-fal-request-timeout": "1"},
        {"x-fal-request-start-timeout": "soon", "x-fal-request-timeout": "1"},
    ],
)
def test_a_start_timeout_that_is_met_or_invalid_has_no_effect(fal: Fal, headers: dict[str, str]) -> None:
    assert fal.completed(headers=headers).result().status_code == 200


# -- cancel


def test_a_queued_request_is_cancelled_at_once(fal: Fal) -> None:
    handle = fal.submit()
    response = handle.cancel()
    assert (response.status_code, response.text) == (200, '{"status":"OK"}')
    assert response.headers["x-fal-request-id"] == handle.id
    result = handle.result()
    assert result.status_code == 499
    assert result.text == '{"detail":"Request cancelled","error_type":"client_cancelled"}'
    assert result.headers["x-fal-error-type"] == "client_cancelled"


def test_a_runner_may_ignore_a_cancellation(fal: Fal) -> None:
    handle = fal.submit()
    fal.advance(QUEUE_S)
    response = handle.cancel()
    assert (response.status_code, response.text) == (202, '{"status":"CANCELLATION_REQUESTED"}')
    assert response.headers["x-fal-request-id"] == handle.id
    assert handle.status().json()["status"] == "IN_PROGRESS"
    fal.advance(RUN_S)
    assert handle.result().status_code == 200


def test_a_runner_that_honours_a_cancellation_returns_its_own_error(fal: Fal) -> None:
    handle = fal.submit("a cat [mock: cancel=honoured]")
    fal.advance(QUEUE_S)
    assert handle.cancel().status_code == 202
    result = handle.result()
    assert (result.status_code, result.text) == (499, '{"detail":"Request cancelled"}')
    assert "x-fal-error-type" not in result.headers


@pytest.mark.parametrize(
    "directive", ["", "[mock: error=runner_server_error]", "[mock: error=image_too_small]"]
)
def test_a_completed_request_cannot_be_cancelled(fal: Fal, directive: str) -> None:
    handle = fal.completed(f"a cat {directive}")
    response = handle.cancel()
    assert (response.status_code, response.text) == (400, '{"status":"ALREADY_COMPLETED"}')
    assert response.headers["x-fal-request-id"] == handle.id


def test_a_cancelled_request_is_completed(fal: Fal) -> None:
    handle = fal.submit()
    handle.cancel()
    assert handle.cancel().text == '{"status":"ALREADY_COMPLETED"}'


def test_a_cancellation_may_have_a_body(fal: Fal) -> None:
    assert fal.submit().cancel(body=b"{}").status_code == 200


# -- unknown ids


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", '{"detail":"Request not found"}'),
        ("GET", "/status", '{"status":"NOT_FOUND"}'),
        ("GET", "/status/stream", '{"status":"NOT_FOUND"}'),
        ("PUT", "/cancel", '{"status":"NOT_FOUND"}'),
    ],
)
@pytest.mark.parametrize("key", ["alice:secret", None])
def test_an_unknown_id_is_not_found(fal: Fal, method: str, path: str, body: str, key: str | None) -> None:
    response = fal.request(method, f"{QUEUE}/fal-ai/flux/requests/{UNKNOWN_ID}{path}", key=key)
    assert (response.status_code, response.text) == (404, body)
    assert response.headers["x-fal-request-id"] == UNKNOWN_ID


def test_a_request_of_another_account_is_not_found(fal: Fal) -> None:
    handle = fal.submit(key="alice:secret")
    assert handle.status(key="bob:secret").text == '{"status":"NOT_FOUND"}'
    assert handle.result(key="bob:secret").text == '{"detail":"Request not found"}'
    assert handle.cancel(key="bob:secret").text == '{"status":"NOT_FOUND"}'
    assert handle.watch(key="bob:secret").response().status_code == 404
    assert handle.status(key="alice:other").status_code == 202


def test_a_request_under_another_app_is_not_found(fal: Fal) -> None:
    handle = fal.submit()
    response = fal.request("GET", f"{QUEUE}/fal-ai/flux-1/requests/{handle.id}/status")
    assert (response.status_code, response.text) == (404, '{"status":"NOT_FOUND"}')


@pytest.mark.parametrize("id", ["x%0d%0aset-cookie:%20a=b", "%E6%BC%A2", "%00", "%C3%A9", "a%7fb"])
@pytest.mark.parametrize("path", ["", "/status"])
def test_an_id_that_is_invalid_in_a_header_is_not_returned(fal: Fal, id: str, path: str) -> None:
    """Otherwise a URL could inject headers into the response."""
    response = fal.request("GET", f"{QUEUE}/fal-ai/flux/requests/{id}{path}")
    assert response.status_code == 404
    assert len(response.headers["x-fal-request-id"]) == 36


def test_an_empty_id_is_not_found(fal: Fal) -> None:
    response = fal.request("GET", f"{QUEUE}/fal-ai/flux/requests//status")
    assert (response.status_code, response.text) == (404, '{"status":"NOT_FOUND"}')
    assert len(response.headers["x-fal-request-id"]) == 36


# -- methods and paths


@pytest.mark.parametrize("path", ["", "/status", "/status/stream", "/cancel"])
def test_request_urls_below_a_whole_endpoint_id_take_post_only(fal: Fal, path: str) -> None:
    """A common mistake of programs that use the whole endpoint id in these URLs."""
    handle = fal.submit()
    response = fal.request("GET", f"{QUEUE}/{SCHNELL}/requests/{handle.id}{path}")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.content == b"405: Method Not Allowed"


@pytest.mark.parametrize(
    "path", ["requests", "requests/{id}/response", "requests/{id}/status/more", "other/{id}"]
)
def test_other_paths_of_an_app_take_post_only(fal: Fal, path: str) -> None:
    handle = fal.completed()
    response = fal.request("GET", f"{QUEUE}/fal-ai/flux/{path.format(id=handle.id)}")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "", "GET,HEAD"),
        ("PUT", "", "GET,HEAD"),
        ("DELETE", "", "GET,HEAD"),
        ("POST", "/status", "GET,HEAD"),
        ("PUT", "/status/stream", "GET,HEAD"),
        ("POST", "/cancel", "PUT"),
        ("GET", "/cancel", "PUT"),
        ("HEAD", "/cancel", "PUT"),
    ],
)
def test_request_urls_reject_other_methods(fal: Fal, method: str, path: str, allowed: str) -> None:
    handle = fal.submit()
    response = fal.request(method, f"{handle.url}{path}")
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.headers["content-type"] == TEXT
    assert response.headers["x-fal-request-id"] == handle.id
    assert handle.status().json()["status"] == "IN_QUEUE"


def test_a_trailing_slash_is_ignored(fal: Fal) -> None:
    handle = fal.completed()
    assert fal.request("GET", f"{handle.url}/").content == handle.result().content
    assert fal.request("GET", f"{handle.url}/status/").content == handle.status().content
    assert fal.start_request("GET", f"{handle.url}/status/stream/").events()[0]["status"] == "COMPLETED"
    assert fal.request("PUT", f"{handle.url}/cancel/").text == '{"status":"ALREADY_COMPLETED"}'


@pytest.mark.parametrize("path", ["", "/status"])
def test_head_is_get_without_the_body(fal: Fal, path: str) -> None:
    handle = fal.completed()
    head = fal.request("HEAD", f"{handle.url}{path}")
    get = fal.request("GET", f"{handle.url}{path}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers
    assert int(head.headers["content-length"]) == len(get.content) > 0


def test_head_of_a_status_stream_does_not_wait_for_the_end(fal: Fal) -> None:
    """Otherwise it would block later requests on a kept connection."""
    handle = fal.submit()
    call = fal.start_request("HEAD", f"{handle.url}/status/stream")
    assert call.is_over
    assert call.response().headers["content-type"] == "text/event-stream"
    assert call.response().content == b""


# -- status stream


def test_a_status_stream_sends_each_change(fal: Fal) -> None:
    handle = fal.submit()
    common = urls(handle)
    watcher = handle.watch("?logs=1")
    assert watcher.new_text() == (
        f'data: {{"status":"IN_QUEUE",{common},"logs":null,"metrics":{{}},"queue_position":0}}\n\n'
    )
    fal.advance(1)
    assert watcher.new_text() == ""
    fal.advance(1)
    assert watcher.new_text() == f'data: {{"status":"IN_PROGRESS",{common},"logs":[],"metrics":{{}}}}\n\n'
    fal.advance(2)
    assert (
        watcher.new_text() == f'data: {{"status":"IN_PROGRESS",{common},"logs":[{FIRST}],"metrics":{{}}}}\n\n'
    )
    fal.advance(2)
    assert (
        watcher.new_text()
        == f'data: {{"status":"IN_PROGRESS",{common},"logs":[{SECOND}],"metrics":{{}}}}\n\n'
    )
    fal.advance(3)
    assert len(watcher.events()[0]["logs"]) == 1
    assert not watcher.is_over
    fal.advance(1)
    (last,) = watcher.events()
    assert (last["status"], last["metrics"], len(last["logs"])) == ("COMPLETED", {"inference_time": 8.0}, 1)
    assert watcher.is_over


def test_a_status_stream_is_an_event_stream(fal: Fal) -> None:
    handle = fal.submit()
    head = handle.watch().head()
    assert head.status_code == 200
    assert head.headers["content-type"] == "text/event-stream"
    assert head.headers["cache-control"] == "no-cache"
    assert head.headers["x-fal-request-id"] == handle.id


@pytest.mark.parametrize("query", ["", "?logs=0", "?logs=false", "?logs=maybe"])
def test_a_status_stream_without_logs_sends_state_changes_only(fal: Fal, query: str) -> None:
    watcher = fal.submit().watch(query)
    for _ in range(20):
        fal.advance(0.5)
    events = watcher.events()
    assert [event["status"] for event in events] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert [event["logs"] for event in events] == [None, None, None]


def test_the_joined_log_lines_of_a_stream_are_those_of_the_status(fal: Fal) -> None:
    handle = fal.submit()
    watcher = handle.watch("?logs=true")
    for _ in range(20):
        fal.advance(0.5)
    lines = [line for event in watcher.events() for line in event["logs"] or ()]
    assert lines == handle.status("?logs=1").json()["logs"]


def test_the_stream_of_a_completed_request_has_one_event(fal: Fal) -> None:
    handle = fal.completed()
    watcher = handle.watch("?logs=1")
    assert watcher.is_over
    assert watcher.events() == [handle.status("?logs=1").json()]


def test_an_idle_stream_sends_a_comment_every_fifteen_seconds(fal: Fal) -> None:
    watcher = fal.submit("a cat [mock: queue=40]").watch()
    assert watcher.events()[0]["status"] == "IN_QUEUE"
    fal.advance(14.75)
    assert watcher.new_text() == ""
    fal.advance(0.25)
    assert watcher.new_text() == ": ping\n\n"
    fal.advance(14.75)
    assert watcher.new_text() == ""
    fal.advance(0.25)
    assert watcher.new_text() == ": ping\n\n"
    fal.advance(10)
    assert watcher.events()[0]["status"] == "IN_PROGRESS"
    fal.advance(14)
    assert watcher.events()[0]["status"] == "COMPLETED"


def test_log_lines_that_were_not_requested_cause_no_event(fal: Fal) -> None:
    watcher = fal.submit("a cat [mock: queue=0 run=40]").watch()
    assert watcher.events()[0]["status"] == "IN_PROGRESS"
    fal.advance(10)
    assert watcher.new_text() == ""
    fal.advance(5)
    assert watcher.new_text() == ": ping\n\n"


def test_a_stream_sends_a_changed_queue_position(serve: Serve) -> None:
    fal = serve(runners=1, queue_duration=0.0)
    _, second, third = (fal.submit() for _ in range(3))
    watcher = third.watch()
    assert watcher.events()[0]["queue_position"] == 1
    second.cancel()
    fal.run_until_idle()
    assert watcher.events()[0]["queue_position"] == 0
    fal.advance(RUN_S)
    assert watcher.events()[0]["status"] == "IN_PROGRESS"


def test_a_cancellation_ends_a_stream_at_once(fal: Fal) -> None:
    handle = fal.submit()
    watcher = handle.watch()
    watcher.new_text()
    handle.cancel()
    fal.run_until_idle()
    assert watcher.new_text() == (
        f'data: {{"status":"COMPLETED",{urls(handle)},"logs":null,"metrics":{{}},'
        '"error":"Request cancelled","error_type":"client_cancelled"}\n\n'
    )
    assert watcher.is_over


def test_all_streams_of_a_request_have_the_same_events(fal: Fal) -> None:
    handle = fal.submit()
    first, second = handle.watch("?logs=1"), handle.watch("?logs=1")
    fal.advance(2)
    late = handle.watch("?logs=1")
    for _ in range(16):
        fal.advance(0.5)
    events = first.events()
    assert second.events() == events
    assert late.events() == events[1:]
    assert [first.is_over, second.is_over, late.is_over] == [True, True, True]


def test_a_disconnect_ends_a_stream(fal: Fal) -> None:
    handle = fal.submit()
    gone, stays = handle.watch(), handle.watch()
    gone.disconnect()
    assert gone.is_over
    fal.advance(QUEUE_S)
    assert len(gone.events()) == 1
    assert len(stays.events()) == 2


def test_a_stream_runs_to_its_end_with_an_auto_advance_clock(auto_advance: Fal) -> None:
    watcher = auto_advance.submit().watch()
    assert [event["status"] for event in watcher.events()] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert watcher.is_over


def test_a_stream_outlives_a_reset(fal: Fal) -> None:
    watcher = fal.submit().watch()
    fal.emulator.reset()
    fal.advance(QUEUE_S + RUN_S)
    assert watcher.events()[-1]["status"] == "COMPLETED"


# -- automatic retries


def attempts_at(fal: Fal, handle: Handle) -> list[dict[str, Any]]:
    """The attempts at a request, as the control API lists them."""
    listed = fal.request("GET", f"{OURS}/_mock/requests?operation=submit&request_id={handle.id}").json()
    found: list[dict[str, Any]] = listed["requests"][0]["attempts"]
    return found


@pytest.mark.parametrize(
    "error_type",
    ["runner_disconnected", "runner_scheduling_failure", "request_timeout", "generation_timeout"],
)
def test_a_failed_attempt_is_followed_by_another(fal: Fal, error_type: str) -> None:
    handle = fal.submit(f"a cat [mock: error={error_type} run=8 times=1]")
    fal.advance(QUEUE_S + RUN_S + QUEUE_S / 8)
    assert handle.status().json()["status"] == "IN_PROGRESS"
    fal.advance(RUN_S)
    assert handle.status().json()["status"] == "COMPLETED"
    assert handle.result().status_code == 200
    assert handle.result().headers["x-fal-request-id"] == handle.id
    first, second = attempts_at(fal, handle)
    assert (first["id"], first["error_type"], second["status"]) == (handle.id, error_type, 200)
    assert second["id"] != handle.id


@pytest.mark.parametrize(
    "error_type", ["runner_server_error", "runner_incomplete_response", "image_too_small"]
)
def test_other_failures_are_final(fal: Fal, error_type: str) -> None:
    handle = fal.completed(f"a cat [mock: error={error_type} times=1]")
    assert handle.result().status_code >= 400
    assert len(attempts_at(fal, handle)) == 1


def test_both_attempts_are_in_the_logs(fal: Fal) -> None:
    handle = fal.submit("a cat [mock: error=runner_disconnected logs=3 times=1]")
    fal.advance(100)
    assert len(handle.status("?logs=1").json()["logs"]) == 3 + 4


def test_a_rule_fails_an_attempt_and_not_the_request(fal: Fal) -> None:
    fal.request("POST", f"{OURS}/_mock/scenario", body=b'"error=runner_disconnected times=2"')
    first, second = fal.submit(), fal.submit()
    fal.advance(100)
    assert [first.result().status_code, second.result().status_code] == [200, 200]
    assert [len(attempts_at(fal, handle)) for handle in (first, second)] == [3, 1]


def test_there_are_at_most_ten_attempts(fal: Fal) -> None:
    handle = fal.submit("a cat [mock: error=runner_disconnected]")
    fal.advance(1000)
    result = handle.result()
    assert (result.status_code, result.headers["x-fal-error-type"]) == (503, "runner_disconnected")
    assert [attempt["status"] for attempt in attempts_at(fal, handle)] == [503] * 10


def test_the_attempts_can_be_limited(serve: Serve) -> None:
    fal = serve(request_attempts=1)
    handle = fal.completed("a cat [mock: error=runner_disconnected times=1]")
    assert handle.result().status_code == 503


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_a_client_can_refuse_retries(fal: Fal, value: str) -> None:
    handle = fal.completed(
        "a cat [mock: error=runner_disconnected times=1]", headers={"x-fal-no-retry": value}
    )
    assert handle.result().status_code == 503


@pytest.mark.parametrize("value", ["0", "no", ""])
def test_other_values_refuse_nothing(fal: Fal, value: str) -> None:
    handle = fal.submit("[mock: error=runner_disconnected times=1]", headers={"x-fal-no-retry": value})
    fal.advance(100)
    assert handle.result().status_code == 200


BREAKS = "a cat [mock: error=runner_disconnected times=3]"


@pytest.mark.parametrize(
    ("config", "attempts"),
    [
        ('{"connection_error": {"retries": 0}}', 1),
        ('{"connection_error": {"retries": 2}}', 3),
        ('{"connection_error": {"retries": 99}}', 4),
        ('{"timeout": {"retries": 0}, "server_error": {"retries": 0}}', 4),
        ('{"connection_error": 0}', 4),
        ('{"connection_error": {"retries": -1}}', 4),
        ('{"connection_error": {"retries": true}}', 4),
        ('["connection_error"]', 4),
        ("{", 4),
        ("[" * 5000, 4),
    ],
)
def test_the_owner_of_an_app_sets_the_retries(fal: Fal, config: str, attempts: int) -> None:
    fal.emulator.scenario.add(endpoint="alice/app", output={"done": True})
    handle = fal.submit(BREAKS, endpoint="alice/app", headers={"x-fal-retry-config": config})
    fal.advance(1000)
    assert len(attempts_at(fal, handle)) == attempts
    assert handle.result().status_code == (200 if attempts == 4 else 503)


def test_the_retries_of_apps_of_others_are_fals(fal: Fal) -> None:
    headers = {"x-fal-retry-config": '{"connection_error": {"retries": 0}}'}
    handle = fal.submit(BREAKS, headers=headers)
    fal.advance(1000)
    assert len(attempts_at(fal, handle)) == 4


def test_no_retry_wins_over_a_number_of_retries(fal: Fal) -> None:
    fal.emulator.scenario.add(endpoint="alice/app", output={"done": True})
    headers = {"x-fal-retry-config": '{"connection_error": {"retries": 9}}', "x-fal-no-retry": "1"}
    handle = fal.submit(BREAKS, endpoint="alice/app", headers=headers)
    fal.advance(1000)
    assert len(attempts_at(fal, handle)) == 1


def test_a_runner_can_refuse_and_request_retries(fal: Fal) -> None:
    final = fal.submit("a cat [mock: error=runner_disconnected retry=false times=1]")
    repeated = fal.submit("a cat [mock: error=runner_server_error retry=true times=1]")
    fal.advance(100)
    assert [final.result().status_code, repeated.result().status_code] == [503, 200]


def test_no_attempt_starts_after_the_start_deadline(fal: Fal) -> None:
    handle = fal.submit(
        "a cat [mock: error=runner_disconnected times=1]", headers={"x-fal-request-start-timeout": "5"}
    )
    fal.advance(QUEUE_S + RUN_S)
    result = handle.result()
    assert (result.status_code, result.headers["x-fal-request-timeout-type"]) == (504, "user")
    assert [attempt["status"] for attempt in attempts_at(fal, handle)] == [503]


def test_a_direct_request_is_never_tried_again(fal: Fal) -> None:
    response = fal.run("a cat [mock: error=runner_disconnected times=1]")
    assert (response.status_code, response.headers["x-fal-needs-retry"]) == (503, "1")


def test_a_refused_submission_counts_no_attempt(serve: Serve) -> None:
    fal = serve(retention=1)
    prompt = "a cat [mock: error=runner_disconnected times=2]"
    fal.submit("[mock: queue=5]")
    body = json.dumps({"prompt": prompt}).encode()
    assert fal.request("POST", f"{QUEUE}/{SCHNELL}", body=body).status_code == 429
    fal.advance(20)
    handle = fal.submit(prompt)
    fal.advance(100)
    assert len(attempts_at(fal, handle)) == 3


def test_the_answer_to_a_submission_with_a_webhook_names_the_attempt(fal: Fal) -> None:
    plain, hooked = fal.submit(), fal.submit(query="?fal_webhook=http://127.0.0.1:9/")
    assert "gateway_request_id" not in plain.response.json()
    assert hooked.response.json()["gateway_request_id"] == hooked.id


@pytest.mark.parametrize("address", ["http://localhost:3000", "http://192.168.0.7", "http://minio:9000"])
def test_a_file_that_fal_can_not_reach_fails_as_on_fal(fal: Fal, address: str) -> None:
    fields = {"image_urls": [f"{address}/a.png"]}
    handle = fal.completed(endpoint="fal-ai/flux-2/edit", **fields)
    [item] = handle.result().json()["detail"]
    assert (handle.result().status_code, item["type"]) == (422, "file_download_error")
    assert item["loc"] == ["body", "image_urls"]


def test_a_file_at_the_address_of_mock_fal_is_within_reach(fal: Fal) -> None:
    path = fal.picture().removeprefix("https://")
    handle = fal.completed(endpoint="fal-ai/flux-2/edit", image_urls=[f"{OURS}/{path}"])
    assert handle.result().status_code == 200
