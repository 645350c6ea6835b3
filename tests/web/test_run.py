"""fal.run, to the letter: one question, one answer."""

from __future__ import annotations

import pytest

from mock_fal.errors import REQUEST_ERRORS
from tests.web.conftest import DEV, QUEUE, QUEUE_S, RUN, RUN_S, SCHNELL, Fal, Serve

KONTEXT = "fal-ai/flux-pro/kontext"
STRICT = "max-age=31536000; includeSubDomains"
A_CAT = b'{"prompt":"a cat"}'


def test_a_direct_request_is_answered_when_it_is_done(fal: Fal) -> None:
    call = fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.advance(RUN_S - 0.25)
    assert not call.sent
    fal.advance(0.25)
    assert call.response().json()["prompt"] == "a cat"


def test_the_answer_is_the_models_own(fal: Fal) -> None:
    response = fal.run("a cat", seed=42, image_size="square")
    url = response.json()["images"][0]["url"]
    assert response.status_code == 200
    assert response.text == (
        f'{{"images":[{{"url":"{url}","width":512,"height":512,"content_type":"image/jpeg"}}],'
        '"timings":{"inference":7.68},"seed":42,"has_nsfw_concepts":[false],"prompt":"a cat"}'
    )


def test_the_answer_says_who_made_it_and_what_it_costs(auto_advance: Fal) -> None:
    headers = auto_advance.run(image_size="square_hd", num_images=2).headers
    assert headers["content-type"] == "application/json"
    assert headers["x-fal-billable-units"] == "4"
    assert len(headers["x-fal-request-id"]) == 36
    assert len(headers["x-fal-served-from"]) == 32
    assert headers["strict-transport-security"] == STRICT


def test_a_direct_request_can_be_asked_after_at_the_queue(auto_advance: Fal) -> None:
    response = auto_advance.run()
    url = f"{QUEUE}/fal-ai/flux/requests/{response.headers['x-fal-request-id']}"
    assert auto_advance.ask("GET", url).content == response.content


def test_who_cancels_a_direct_request_ends_it(fal: Fal) -> None:
    body = b'{"prompt":"a cat [mock: cancel=honoured]"}'
    call = fal.begin("POST", f"{RUN}/{SCHNELL}", body=body)
    (request_id,) = fal.emulator.store.requests
    fal.ask("PUT", f"{QUEUE}/fal-ai/flux/requests/{request_id}/cancel")
    response = call.response()
    assert (response.status_code, response.text) == (499, '{"detail":"Request cancelled"}')


def test_a_direct_request_waits_for_a_runner(serve: Serve) -> None:
    fal = serve(runners=1)
    first, second = (fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT) for _ in range(2))
    fal.advance(RUN_S)
    assert (first.is_over, second.is_over) == (True, False)
    fal.advance(RUN_S)
    assert second.is_over


@pytest.mark.parametrize("name", ["x-fal-request-start-timeout", "x-fal-request-timeout"])
def test_a_start_deadline_that_passed_is_the_callers_own(serve: Serve, name: str) -> None:
    fal = serve(runners=1)
    fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    call = fal.begin("POST", f"{RUN}/{SCHNELL}", headers={name: "3"}, body=A_CAT)
    fal.advance(3)
    response = call.response()
    assert response.status_code == 504
    assert response.text == '{"detail":"Request timed out","error_type":"request_timeout"}'
    assert response.headers["x-fal-request-timeout-type"] == "user"
    assert response.headers["strict-transport-security"] == STRICT


def test_an_input_that_does_not_fit_is_refused_at_once(auto_advance: Fal) -> None:
    response = auto_advance.run(num_images=5)
    assert response.status_code == 422
    assert response.text == (
        '{"detail":[{"type":"less_than_equal","loc":["body","num_images"],'
        '"msg":"Input should be less than or equal to 4","input":5,"ctx":{"le":4}}]}'
    )
    assert response.headers["x-fal-billable-units"] == "0"
    assert len(response.headers["x-fal-request-id"]) == 36


@pytest.mark.parametrize("error_type", REQUEST_ERRORS)
def test_a_failure_says_whether_to_try_again(auto_advance: Fal, error_type: str) -> None:
    response = auto_advance.run(f"[mock: error={error_type}]")
    assert response.status_code == REQUEST_ERRORS[error_type].status
    assert response.headers["x-fal-error-type"] == error_type
    assert response.headers["x-fal-needs-retry"] == ("1" if response.status_code in (429, 503, 504) else "0")


def test_a_models_error_says_it_in_its_own_words(auto_advance: Fal) -> None:
    retries = [
        auto_advance.run(f"[mock: error={error_type}]").headers["x-fal-needs-retry"]
        for error_type in ("internal_server_error", "content_policy_violation")
    ]
    assert retries == ["true", "false"]


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_in_sync_mode_the_pictures_are_in_the_answer(auto_advance: Fal, format: str) -> None:
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
    response = fal.ask(method, f"{RUN}/{SCHNELL}")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.headers["content-type"] == "application/json"
    assert response.text == ("" if method == "HEAD" else '{"detail":"Method Not Allowed"}')


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_app_is_not_found_by_its_alias_alone(fal: Fal, method: str) -> None:
    response = fal.ask(method, f"{RUN}/fal-ai/h3-max", body=A_CAT)
    assert (response.status_code, response.text) == (404, r'{"detail":"Application \"h3-max\" not found"}')


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_an_unknown_path_in_a_known_app_is_refused_by_the_runner(auto_advance: Fal, method: str) -> None:
    response = auto_advance.ask(method, f"{RUN}/fal-ai/flux/nope", body=A_CAT)
    assert (response.status_code, response.text) == (404, '{"detail":"Path /nope not found"}')
    assert response.headers["x-fal-billable-units"] == "0"


def test_a_slash_at_the_end_changes_nothing(auto_advance: Fal) -> None:
    response = auto_advance.ask("POST", f"{RUN}/{SCHNELL}/", body=A_CAT)
    assert (response.status_code, response.json()["prompt"]) == (200, "a cat")


@pytest.mark.parametrize("path", ["/", "/fal-ai", "/comfy/fal-ai/"])
def test_an_address_that_names_no_app_is_a_page_not_found(fal: Fal, path: str) -> None:
    response = fal.ask("POST", RUN + path)
    assert (response.status_code, response.content) == (404, b"404: Not Found")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_what_is_about_the_queue_means_nothing(auto_advance: Fal) -> None:
    url = f"{RUN}/{SCHNELL}?fal_max_queue_length=many&fal_webhook=https%3A%2F%2Fexample.com"
    response = auto_advance.ask("POST", url, headers={"x-fal-queue-priority": "low"}, body=A_CAT)
    assert response.status_code == 200
    assert not auto_advance.emulator.deliveries


# -- a limit for the account


def test_a_direct_request_over_the_limit_is_refused(serve: Serve) -> None:
    fal = serve(concurrency=2)
    running = [fal.begin("POST", f"{RUN}/{endpoint}", body=A_CAT) for endpoint in (SCHNELL, KONTEXT)]
    response = fal.ask("POST", f"{RUN}/{DEV}", body=A_CAT)
    assert response.status_code == 429
    assert response.text == (
        '{"detail":"Concurrent requests limit reached","error_type":"concurrent_requests_limit"}'
    )
    assert response.headers["x-fal-error-type"] == "concurrent_requests_limit"
    assert response.headers["x-fal-needs-retry"] == "1"
    fal.advance(RUN_S)
    assert [call.is_over for call in running] == [True, True]
    assert fal.run().status_code == 200


def test_a_request_that_is_refused_uses_up_no_rule(serve: Serve) -> None:
    fal = serve(concurrency=1)
    fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.emulator.scenario.add("error=internal_error", times=1)
    fal.ask("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.advance(RUN_S)
    assert fal.run().status_code == 500


def test_the_limit_is_each_accounts_own(serve: Serve) -> None:
    fal = serve(concurrency=1)
    fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    call = fal.begin("POST", f"{RUN}/{SCHNELL}", key="bob:secret", body=A_CAT)
    fal.advance(RUN_S)
    assert call.response().status_code == 200


def test_what_waits_in_the_queue_does_not_count(serve: Serve) -> None:
    fal = serve(concurrency=1)
    waiting = fal.submit()
    assert fal.run().status_code == 200
    assert waiting.status().json()["status"] == "IN_PROGRESS"


def test_a_queued_request_over_the_limit_waits_whatever_its_app(serve: Serve) -> None:
    fal = serve(concurrency=1)
    fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    first, second = fal.submit(endpoint=KONTEXT), fal.submit()
    fal.advance(QUEUE_S)
    assert [each.status().json()["status"] for each in (first, second)] == ["IN_QUEUE", "IN_QUEUE"]
    fal.advance(RUN_S - QUEUE_S)
    assert [each.status().json()["status"] for each in (first, second)] == ["IN_PROGRESS", "IN_QUEUE"]


# -- who hangs up


def test_a_caller_who_hangs_up_ends_the_request(fal: Fal) -> None:
    call = fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.advance(RUN_S / 2)
    call.hang_up()
    assert call.is_over
    (exchange,) = fal.journal
    assert (exchange.status, exchange.request_body) == (499, A_CAT)
    assert exchange.response_body == (b'{"detail":"Client disconnected","error_type":"client_disconnected"}')
    url = f"{QUEUE}/fal-ai/flux/requests/{exchange.request_id}"
    assert fal.ask("GET", url).status_code == 499
    status = fal.ask("GET", f"{url}/status").json()
    assert (status["status"], status["error_type"]) == ("COMPLETED", "client_disconnected")


def test_a_caller_who_hangs_up_makes_room_for_the_next(serve: Serve) -> None:
    fal = serve(concurrency=1)
    fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT).hang_up()
    assert fal.run().status_code == 200


def test_a_caller_who_waits_for_a_runner_may_hang_up_too(serve: Serve) -> None:
    fal = serve(runners=1)
    first, second, third = (fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT) for _ in range(3))
    second.hang_up()
    assert [exchange.status for exchange in fal.journal] == [499]
    fal.advance(2 * RUN_S)
    assert (first.is_over, third.is_over) == (True, True)
    assert third.response().status_code == 200


def test_who_hangs_up_after_the_end_changes_nothing(fal: Fal) -> None:
    call = fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.advance(RUN_S)
    call.hang_up()
    (exchange,) = fal.journal
    assert exchange.status == 200


# -- who may ask


def test_a_token_stands_in_for_a_key(auto_advance: Fal) -> None:
    token = auto_advance.emulator.tokens.issue("alice", ["flux"], 60, auto_advance.clock.now())
    url = f"{RUN}/{SCHNELL}?fal_jwt_token={token}"
    response = auto_advance.ask("POST", url, key=None, body=A_CAT)
    assert (response.status_code, auto_advance.journal[0].tenant) == (200, "alice")


def test_a_token_for_another_app_is_refused(auto_advance: Fal) -> None:
    token = auto_advance.emulator.tokens.issue("alice", ["flux-pro"], 60, auto_advance.clock.now())
    response = auto_advance.ask("POST", f"{RUN}/{SCHNELL}?fal_jwt_token={token}", key=None, body=A_CAT)
    assert (response.status_code, response.text) == (403, '{"detail":"Forbidden"}')


def test_a_direct_request_needs_a_key(fal: Fal) -> None:
    response = fal.ask("POST", f"{RUN}/{SCHNELL}", key=None, body=A_CAT)
    assert response.status_code == 401
    assert response.text == (
        r'{"detail":"Cannot access application \"fal-ai/flux\". '
        r'Authentication is required to access this application."}'
    )


def test_a_key_that_nobody_owns_is_refused(serve: Serve) -> None:
    response = serve(key=("bob:secret",)).ask("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    assert (response.status_code, response.text) == (401, '{"detail":"invalid key credentials"}')


@pytest.mark.parametrize(
    ("method", "path", "how", "status"),
    [
        ("POST", "", {}, 404),
        ("POST", "fal-ai/h3-max", {}, 404),
        ("GET", DEV, {}, 405),
        ("POST", DEV, {"key": None}, 401),
        ("POST", DEV, {"body": b'{"prompt":"[mock: oops]"}'}, 400),
        ("POST", DEV, {"body": b"x" * 100}, 413),
    ],
)
def test_refusals_carry_an_id_and_ask_for_https_too(
    serve: Serve, method: str, path: str, how: dict[str, object], status: int
) -> None:
    response = serve(max_body=50).ask(method, f"{RUN}/{path}", **how)  # type: ignore[arg-type]
    assert response.status_code == status
    assert len(response.headers["x-fal-request-id"]) == 36
    assert response.headers["strict-transport-security"] == STRICT


def test_the_backup_name_answers_as_well(auto_advance: Fal) -> None:
    response = auto_advance.ask("POST", f"https://falrun.com/{SCHNELL}", body=A_CAT)
    assert (response.status_code, response.json()["prompt"]) == (200, "a cat")
