"""fal.run, to the letter: one question, one answer."""

from __future__ import annotations

import pytest

from mock_fal.errors import REQUEST_ERRORS
from tests.web.conftest import DEV, QUEUE, RUN, RUN_S, SCHNELL, Fal, Serve

STRICT = "max-age=31536000; includeSubDomains"
A_CAT = b'{"prompt":"a cat"}'


def test_a_direct_request_is_answered_when_it_is_done(fal: Fal) -> None:
    call = fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    fal.advance(RUN_S - 0.25)
    assert not call.sent
    fal.advance(0.25)
    assert call.answer().json()["prompt"] == "a cat"


def test_the_answer_is_the_models_own(fal: Fal) -> None:
    answer = fal.run("a cat", seed=42, image_size="square")
    url = answer.json()["images"][0]["url"]
    assert answer.status_code == 200
    assert answer.text == (
        f'{{"images":[{{"url":"{url}","width":512,"height":512,"content_type":"image/jpeg"}}],'
        '"timings":{"inference":7.68},"seed":42,"has_nsfw_concepts":[false],"prompt":"a cat"}'
    )


def test_the_answer_says_who_made_it_and_what_it_costs(stepping: Fal) -> None:
    headers = stepping.run(image_size="square_hd", num_images=2).headers
    assert headers["content-type"] == "application/json"
    assert headers["x-fal-billable-units"] == "4"
    assert len(headers["x-fal-request-id"]) == 36
    assert len(headers["x-fal-served-from"]) == 32
    assert headers["strict-transport-security"] == STRICT


def test_a_direct_request_can_be_asked_after_at_the_queue(stepping: Fal) -> None:
    answer = stepping.run()
    url = f"{QUEUE}/fal-ai/flux/requests/{answer.headers['x-fal-request-id']}"
    assert stepping.ask("GET", url).content == answer.content


def test_who_cancels_a_direct_request_ends_it(fal: Fal) -> None:
    body = b'{"prompt":"a cat [mock: cancel=honoured]"}'
    call = fal.begin("POST", f"{RUN}/{SCHNELL}", body=body)
    (request_id,) = fal.emulator.store.entries
    fal.ask("PUT", f"{QUEUE}/fal-ai/flux/requests/{request_id}/cancel")
    answer = call.answer()
    assert (answer.status_code, answer.text) == (499, '{"detail":"Request cancelled"}')


def test_a_direct_request_waits_for_a_runner(serve: Serve) -> None:
    fal = serve(runners=1)
    first, second = (fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT) for _ in range(2))
    fal.advance(RUN_S)
    assert (first.is_over, second.is_over) == (True, False)
    fal.advance(RUN_S)
    assert second.is_over


def test_a_start_deadline_that_passed_is_the_callers_own(serve: Serve) -> None:
    fal = serve(runners=1)
    fal.begin("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    call = fal.begin("POST", f"{RUN}/{SCHNELL}", headers={"x-fal-request-timeout": "3"}, body=A_CAT)
    fal.advance(3)
    answer = call.answer()
    assert answer.status_code == 504
    assert answer.text == '{"detail":"Request timed out","error_type":"request_timeout"}'
    assert answer.headers["x-fal-request-timeout-type"] == "user"
    assert answer.headers["strict-transport-security"] == STRICT


def test_an_input_that_does_not_fit_is_refused_at_once(stepping: Fal) -> None:
    answer = stepping.run(num_images=5)
    assert answer.status_code == 422
    assert answer.text == (
        '{"detail":[{"type":"less_than_equal","loc":["body","num_images"],'
        '"msg":"Input should be less than or equal to 4","input":5,"ctx":{"le":4}}]}'
    )
    assert answer.headers["x-fal-billable-units"] == "0"
    assert len(answer.headers["x-fal-request-id"]) == 36


@pytest.mark.parametrize("error_type", REQUEST_ERRORS)
def test_a_failure_says_whether_to_try_again(stepping: Fal, error_type: str) -> None:
    answer = stepping.run(f"[mock: error={error_type}]")
    assert answer.status_code == REQUEST_ERRORS[error_type].status
    assert answer.headers["x-fal-error-type"] == error_type
    assert answer.headers["x-fal-needs-retry"] == ("1" if answer.status_code in (429, 503, 504) else "0")


def test_a_models_error_says_it_in_its_own_words(stepping: Fal) -> None:
    retries = [
        stepping.run(f"[mock: error={error_type}]").headers["x-fal-needs-retry"]
        for error_type in ("internal_server_error", "content_policy_violation")
    ]
    assert retries == ["true", "false"]


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_in_sync_mode_the_pictures_are_in_the_answer(stepping: Fal, format: str) -> None:
    size = {"width": 64, "height": 48}
    answer = stepping.run(sync_mode=True, image_size=size, output_format=format, num_images=2)
    first, second = answer.json()["images"]
    assert list(first) == ["url", "width", "height", "content_type"]
    assert (first["width"], first["height"], first["content_type"]) == (64, 48, f"image/{format}")
    assert first["url"].startswith(f"data:image/{format};base64,")
    assert first["url"] != second["url"]
    assert not stepping.emulator.store.files


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_an_endpoint_takes_post_only(fal: Fal, method: str) -> None:
    answer = fal.ask(method, f"{RUN}/{SCHNELL}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == ("" if method == "HEAD" else '{"detail":"Method Not Allowed"}')


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_app_is_not_found_by_its_alias_alone(fal: Fal, method: str) -> None:
    answer = fal.ask(method, f"{RUN}/fal-ai/h3-max", body=A_CAT)
    assert (answer.status_code, answer.text) == (404, r'{"detail":"Application \"h3-max\" not found"}')


def test_an_unknown_path_in_a_known_app_is_refused_by_the_runner(stepping: Fal) -> None:
    answer = stepping.run(endpoint="fal-ai/flux/nope")
    assert (answer.status_code, answer.text) == (404, '{"detail":"Path /nope not found"}')
    assert answer.headers["x-fal-billable-units"] == "0"


@pytest.mark.parametrize("path", ["/", "/fal-ai", "/comfy/fal-ai/"])
def test_an_address_that_names_no_app_is_a_page_not_found(fal: Fal, path: str) -> None:
    answer = fal.ask("POST", RUN + path)
    assert (answer.status_code, answer.content) == (404, b"404: Not Found")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_direct_request_needs_a_key(fal: Fal) -> None:
    answer = fal.ask("POST", f"{RUN}/{SCHNELL}", key=None, body=A_CAT)
    assert answer.status_code == 401
    assert answer.text == (
        r'{"detail":"Cannot access application \"fal-ai/flux\". '
        r'Authentication is required to access this application."}'
    )


def test_a_key_that_nobody_owns_is_refused(serve: Serve) -> None:
    answer = serve(key=("bob:secret",)).ask("POST", f"{RUN}/{SCHNELL}", body=A_CAT)
    assert (answer.status_code, answer.text) == (401, '{"detail":"invalid key credentials"}')


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
    answer = serve(max_body=50).ask(method, f"{RUN}/{path}", **how)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert len(answer.headers["x-fal-request-id"]) == 36
    assert answer.headers["strict-transport-security"] == STRICT


def test_the_backup_name_answers_as_well(stepping: Fal) -> None:
    answer = stepping.ask("POST", f"https://falrun.com/{SCHNELL}", body=A_CAT)
    assert (answer.status_code, answer.json()["prompt"]) == (200, "a cat")
