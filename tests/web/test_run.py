"""fal.run: exact bytes and headers of direct requests."""

from __future__ import annotations

import pytest

from mock_fal.errors import REQUEST_ERRORS
from tests.web.conftest import DEV, QUEUE, QUEUE_S, RUN, RUN_S, SCHNELL, Fal, Serve

KONTEXT = "fal-ai/flux-pro/kontext"
STRICT = "max-age=31536000; includeSubDomains"
A_CAT = b'{"prompt":"a cat"}'


def test_the_response_to_a_direct_request_is_sent_when_it_ends(fal: Fal) -> None:
    call = fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.advance(RUN_S - 0.25)
    assert not call.sent
    fal.advance(0.25)
    assert call.response().json()["prompt"] == "a cat"


def test_the_response_is_the_output_of_the_model(fal: Fal) -> None:
    response = fal.run("a cat", seed=42, image_size="square")
    url = response.json()["images"][0]["url"]
    assert response.status_code == 200
    assert response.text == (
        f'{{"images":[{{"url":"{url}","width":512,"height":512,"content_type":"image/jpeg"}}],'
        '"timings":{"inference":7.68},"seed":42,"has_nsfw_concepts":[false],"prompt":"a cat"}'
    )


def test_the_response_names_its_runner_and_billable_units(auto_advance: Fal) -> None:
    headers = auto_advance.run(image_size="square_hd", num_images=2).headers
    assert headers["content-type"] == "application/json"
    assert headers["x-fal-billable-units"] == "4"
    assert len(headers["x-fal-request-id"]) == 36
    assert len(headers["x-fal-served-from"]) == 32
    assert headers["strict-transport-security"] == STRICT


def test_the_result_of_a_direct_request_is_available_at_the_queue(auto_advance: Fal) -> None:
    response = auto_advance.run()
    url = f"{QUEUE}/fal-ai/flux/requests/{response.headers['x-fal-request-id']}"
    assert auto_advance.request("GET", url).content == response.content


def test_a_cancellation_ends_a_direct_request(fal: Fal) -> None:
    body = b'{"prompt":"a cat [mock: cancel=honoured]"}'
    call = fal.start_request("POST", f"{RUN}/{SCHNELL}", body=body)
    (request_id,) = fal.emulator.store.requests
    fal.request("PUT", f"{QUEUE}/fal-ai/flux/requests/{request_id}/cancel")
    response = call.response()
    assert (response.status_code, response.text) == (499, '{"detail":"Request cancelled"}')


def test_a_direct_request_waits_for_a_runner(serve: Serve) -> None:
    fal = serve(runners=1)
    first, second = (fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT) for _ in range(2))
    fal.advance(RUN_S)
    assert (first.is_over, second.is_over) == (True, False)
    fal.advance(RUN_S)
    assert second.is_over


@pytest.mark.parametrize("name", ["x-fal-request-start-timeout", "x-fal-request-timeout"])
def test_an_exceeded_start_timeout_is_a_user_timeout(serve: Serve, name: str) -> None:
    fal = serve(runners=1)
    fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    call = fal.start_request("POST", f"{RUN}/{SCHNELL}", headers={name: "3"}, body=A_CAT)
    fal.advance(3)
    response = call.response()
    assert response.status_code == 504
    assert response.text == '{"detail":"Request timed out","error_type":"request_timeout"}'
    assert response.headers["x-fal-request-timeout-type"] == "user"
    assert response.headers["strict-transport-security"] == STRICT


def test_an_invalid_input_is_rejected_at_once(auto_advance: Fal) -> None:
    response = auto_advance.run(num_images=5)
    assert response.status_code == 422
    assert response.text == (
        '{"detail":[{"type":"less_than_equal","loc":["body","num_images"],'
        '"msg":"Input should be less than or equal to 4","input":5,"ctx":{"le":4}}]}'
    )
    assert response.headers["x-fal-billable-units"] == "0"
    assert len(response.headers["x-fal-request-id"]) == 36


@pytest.mark.parametrize("error_type", REQUEST_ERRORS)
def test_a_failure_states_whether_to_retry(auto_advance: Fal, error_type: str) -> None:
    response = auto_advance.run(f"[mock: error={error_type}]")
    assert response.status_code == REQUEST_ERRORS[error_type].status
    assert response.headers["x-fal-error-type"] == error_type
    assert response.headers["x-fal-needs-retry"] == ("1" if response.status_code in (429, 503, 504) else "0")


def test_a_model_error_states_whether_to_retry_in_words(auto_advance: Fal) -> None:
    retries = [
        auto_advance.run(f"[mock: error={error_type}]").headers["x-fal-needs-retry"]
        for error_type in ("internal_server_error", "content_policy_violation")
    ]
    assert retries == ["true", "false"]


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_in_sync_mode_the_pictures_are_in_the_response(auto_advance: Fal, format: str) -> None:
    size = {"width": 64, "height": 48}
    response = auto_advance.run(sync_mode=True, image_size=size, output_format=format, num_images=2)
    first, second = response.json()["images"]
    assert list(first) == ["url", "width", "height", "content_type"]
    assert (first["width"], first["height"], first["content_type"]) == (64, 48, f"image/{format}")
    assert first["url"].startswith(f"data:image/{format};base64,")
    assert first["url"] != second["url"]
    assert not auto_advance.emulator.store.files


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_an_endpoint_takes_post_only(fal: Fal, method: str) -> None:
    response = fal.request(method, f"{RUN}/{SCHNELL}")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.headers["content-type"] == "application/json"
    assert response.text == ("" if method == "HEAD" else '{"detail":"Method Not Allowed"}')


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_error_for_an_unknown_app_names_its_alias_only(fal: Fal, method: str) -> None:
    response = fal.request(method, f"{RUN}/fal-ai/h3-max", body=A_CAT)
    assert (response.status_code, response.text) == (404, r'{"detail":"Application \"h3-max\" not found"}')


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_an_unknown_path_in_a_known_app_is_rejected_by_the_runner(auto_advance: Fal, method: str) -> None:
    response = auto_advance.request(method, f"{RUN}/fal-ai/flux/nope", body=A_CAT)
    assert (response.status_code, response.text) == (404, '{"detail":"Path /nope not found"}')
    assert response.headers["x-fal-billable-units"] == "0"


def test_a_trailing_slash_is_ignored(auto_advance: Fal) -> None:
    response = auto_advance.request("POST", f"{RUN}/{SCHNELL}/", body=A_CAT)
    assert (response.status_code, response.json()["prompt"]) == (200, "a cat")


@pytest.mark.parametrize("path", ["/", "/fal-ai", "/comfy/fal-ai/"])
def test_a_path_without_an_app_is_a_404_page(fal: Fal, path: str) -> None:
    response = fal.request("POST", RUN + path)
    assert (response.status_code, response.content) == (404, b"404: Not Found")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_queue_options_are_ignored(auto_advance: Fal) -> None:
    url = f"{RUN}/{SCHNELL}?fal_max_queue_length=many&fal_webhook=https%3A%2F%2Fexample.com"
    response = auto_advance.request("POST", url, headers={"x-fal-queue-priority": "low"}, body=A_CAT)
    assert response.status_code == 200
    assert not auto_advance.emulator.deliveries


# -- concurrency limit


def test_a_direct_request_over_the_limit_is_rejected(serve: Serve) -> None:
    fal = serve(concurrency=2)
    running = [fal.start_request("POST", f"{RUN}/{endpoint}", body=A_CAT) for endpoint in (SCHNELL, KONTEXT)]
    response = fal.request("POST", f"{RUN}/{DEV}", body=A_CAT)
    assert response.status_code == 429
    assert response.text == (
        '{"detail":"Concurrent requests limit reached","error_type":"concurrent_requests_limit"}'
    )
    assert response.headers["x-fal-error-type"] == "concurrent_requests_limit"
    assert response.headers["x-fal-needs-retry"] == "1"
    fal.advance(RUN_S)
    assert [call.is_over for call in running] == [True, True]
    assert fal.run().status_code == 200


def test_a_rejected_request_does_not_use_a_rule(serve: Serve) -> None:
    fal = serve(concurrency=1)
    fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.emulator.scenario.add("error=internal_error", times=1)
    fal.request("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.advance(RUN_S)
    assert fal.run().status_code == 500


def test_each_account_has_a_separate_limit(serve: Serve) -> None:
    fal = serve(concurrency=1)
    fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    call = fal.start_request("POST", f"{RUN}/{SCHNELL}", key="bob:secret", body=A_CAT)
    fal.advance(RUN_S)
    assert call.response().status_code == 200


def test_queued_requests_do_not_count(serve: Serve) -> None:
    fal = serve(concurrency=1)
    waiting = fal.submit()
    assert fal.run().status_code == 200
    assert waiting.status().json()["status"] == "IN_PROGRESS"


def test_the_limit_applies_to_queued_requests_of_all_apps(serve: Serve) -> None:
    fal = serve(concurrency=1)
    fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    first, second = fal.submit(endpoint=KONTEXT), fal.submit()
    fal.advance(QUEUE_S)
    assert [handle.status().json()["status"] for handle in (first, second)] == ["IN_QUEUE", "IN_QUEUE"]
    fal.advance(RUN_S - QUEUE_S)
    assert [handle.status().json()["status"] for handle in (first, second)] == ["IN_PROGRESS", "IN_QUEUE"]


# -- disconnects


def test_a_disconnect_ends_the_request(fal: Fal) -> None:
    call = fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.advance(RUN_S / 2)
    call.disconnect()
    assert call.is_over
    (exchange,) = fal.journal
    assert (exchange.status, exchange.request_body) == (499, A_CAT)
    assert exchange.response_body == (b'{"detail":"Client disconnected","error_type":"client_disconnected"}')
    url = f"{QUEUE}/fal-ai/flux/requests/{exchange.request_id}"
    assert fal.request("GET", url).status_code == 499
    status = fal.request("GET", f"{url}/status").json()
    assert (status["status"], status["error_type"]) == ("COMPLETED", "client_disconnected")


def test_a_disconnect_allows_the_next_request(serve: Serve) -> None:
    fal = serve(concurrency=1)
    fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT).disconnect()
    assert fal.run().status_code == 200


def test_a_disconnect_while_waiting_for_a_runner_ends_the_request(serve: Serve) -> None:
    fal = serve(runners=1)
    first, second, third = (fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT) for _ in range(3))
    second.disconnect()
    assert [exchange.status for exchange in fal.journal] == [499]
    fal.advance(2 * RUN_S)
    assert (first.is_over, third.is_over) == (True, True)
    assert third.response().status_code == 200


def test_a_disconnect_after_the_end_has_no_effect(fal: Fal) -> None:
    call = fal.start_request("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.advance(RUN_S)
    call.disconnect()
    (exchange,) = fal.journal
    assert exchange.status == 200


# -- authentication


def test_a_token_is_accepted_in_place_of_a_key(auto_advance: Fal) -> None:
    token = auto_advance.emulator.tokens.issue("alice", ["flux"], 60, auto_advance.clock.now())
    url = f"{RUN}/{SCHNELL}?fal_jwt_token={token}"
    response = auto_advance.request("POST", url, key=None, body=A_CAT)
    assert (response.status_code, auto_advance.journal[0].tenant) == (200, "alice")


def test_a_token_for_another_app_is_rejected(auto_advance: Fal) -> None:
    token = auto_advance.emulator.tokens.issue("alice", ["flux-pro"], 60, auto_advance.clock.now())
    response = auto_advance.request("POST", f"{RUN}/{SCHNELL}?fal_jwt_token={token}", key=None, body=A_CAT)
    assert (response.status_code, response.text) == (403, '{"detail":"Forbidden"}')


def test_a_direct_request_needs_a_key(fal: Fal) -> None:
    response = fal.request("POST", f"{RUN}/{SCHNELL}", key=None, body=A_CAT)
    assert response.status_code == 401
    assert response.text == (
        r'{"detail":"Cannot access application \"fal-ai/flux\". '
        r'Authentication is required to access this application."}'
    )


def test_an_unknown_key_is_rejected(serve: Serve) -> None:
    response = serve(key=("bob:secret",)).request("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    assert (response.status_code, response.text) == (401, '{"detail":"invalid key credentials"}')


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "", {}, 404),
        ("POST", "fal-ai/h3-max", {}, 404),
        ("GET", DEV, {}, 405),
        ("POST", DEV, {"key": None}, 401),
        ("POST", DEV, {"body": b'{"prompt":"[mock: oops]"}'}, 400),
        ("POST", DEV, {"body": b"x" * 100}, 413),
    ],
)
def test_error_responses_have_a_request_id_and_strict_transport_security(
    serve: Serve, method: str, path: str, options: dict[str, object], status: int
) -> None:
    response = serve(max_body=50).request(method, f"{RUN}/{path}", **options)  # type: ignore[arg-type]
    assert response.status_code == status
    assert len(response.headers["x-fal-request-id"]) == 36
    assert response.headers["strict-transport-security"] == STRICT


def test_the_backup_host_works_too(auto_advance: Fal) -> None:
    response = auto_advance.request("POST", f"https://falrun.com/{SCHNELL}", body=A_CAT)
    assert (response.status_code, response.json()["prompt"]) == (200, "a cat")
