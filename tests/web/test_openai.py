"""The OpenAI-shaped plane of fal.run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.conftest import ANA, RUN, RUN_S, Call, Fal, Serve, send

PLANE = f"{RUN}/openrouter/router/openai/v1"
CHAT = f"{PLANE}/chat/completions"
HI = {"model": "google/gemini-2.5-flash", "messages": [{"role": "user", "content": "a cat"}]}


def start(fal: Fal, body: Any, path: str = "chat/completions", **options: Any) -> Call:
    return fal.start_request("POST", f"{PLANE}/{path}", body=json.dumps(body).encode(), **options)


def ask(fal: Fal, body: Any, path: str = "chat/completions", **options: Any) -> Any:
    """The response to a request, with an advance of the clock."""
    call = start(fal, body, path, **options)
    fal.advance(RUN_S)
    return call.response()


def saying(prompt: str, **fields: Any) -> dict[str, Any]:
    return {**HI, "messages": [{"role": "user", "content": prompt}], **fields}


def data(text: str) -> list[str]:
    """The data of events."""
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


def test_a_chat_is_a_request_to_a_model(fal: Fal) -> None:
    response = ask(fal, HI)
    assert response.status_code == 200
    assert response.json()["choices"][0]["message"]["content"].endswith("I was asked: a cat")
    assert response.headers["x-fal-request-id"] == fal.journal[-1].request_id
    assert response.headers["strict-transport-security"]
    assert str(fal.journal[-1].endpoint) == "openrouter/router/openai/v1/chat/completions"


def test_the_time_is_that_of_the_clock(fal: Fal) -> None:
    before = fal.clock.now()
    assert ask(fal, HI).json()["created"] == int(before)


def test_answers_to_the_same_request_have_different_ids(fal: Fal) -> None:
    first, second = ask(fal, HI).json(), ask(fal, HI).json()
    assert first["id"] != second["id"]
    assert first["choices"] == second["choices"]


def test_the_cost_is_part_of_the_usage(fal: Fal) -> None:
    cost = ask(fal, HI).json()["usage"]["cost"]
    [charge] = fal.emulator.charges()
    assert charge.nano_usd == round(cost * 1e9)


def test_a_key_may_be_a_bearer_token(fal: Fal) -> None:
    call = start(fal, HI, key=None, headers={"authorization": "Bearer ana:secret"})
    fal.advance(RUN_S)
    assert call.response().status_code == 200
    assert fal.journal[-1].tenant == "ana"
    assert b"secret" not in fal.journal[-1].request_head


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer not-needed"}])
def test_without_a_key_the_error_has_the_form_of_openai(fal: Fal, headers: dict[str, str]) -> None:
    response = send(fal, "POST", CHAT, headers)
    assert response.status_code == 401
    assert response.json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "models", 404), ("POST", "completions", 404), ("GET", "chat/completions", 405)],
)
def test_other_paths_are_not_found(fal: Fal, method: str, path: str, status: int) -> None:
    response = send(fal, method, f"{PLANE}/{path}", ANA)
    assert response.status_code == status
    assert response.json()["error"]["message"] == f"Invalid URL ({method} /v1/{path})"


def test_an_invalid_request_is_an_error_at_once(fal: Fal) -> None:
    call = start(fal, {"model": "m"})
    fal.advance(0.1)
    response = call.response()
    assert (response.status_code, response.json()["error"]["param"]) == (400, "messages")


def test_a_picture_in_a_message_is_read(fal: Fal) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    response = ask(fal, {**HI, "messages": [{"role": "user", "content": [part]}]})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "image_load_error"


def test_a_result_is_an_input(fal: Fal) -> None:
    part = {"type": "image_url", "image_url": {"url": fal.picture()}}
    before = len(fal.emulator.store.requests)
    call = start(fal, {**HI, "messages": [{"role": "user", "content": [part]}]})
    while len(fal.emulator.store.requests) == before:  # a thread reads the picture
        fal.run_until_idle()
    fal.advance(RUN_S)
    assert call.response().status_code == 200


# -- streams


def test_the_chunks_of_a_chat_come_one_after_another(fal: Fal) -> None:
    call = start(fal, {**HI, "stream": True, "stream_options": {"include_usage": True}})
    fal.advance(RUN_S / 2)
    early = data(call.new_text())
    assert 3 < len(early) < 9
    fal.advance(RUN_S / 2)
    *chunks, last, done = [*early, *data(call.new_text())]
    assert done == "[DONE]"
    assert json.loads(last)["usage"]["total_tokens"] == 18
    text = "".join(json.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text.endswith("I was asked: a cat")
    assert call.response().headers["content-type"] == "text/event-stream"


def test_the_events_of_a_response_have_names(fal: Fal) -> None:
    call = start(fal, {"model": "m", "input": "a cat", "stream": True}, "responses")
    fal.advance(RUN_S)
    text = call.new_text()
    assert text.startswith('event: response.created\ndata: {"type":"response.created"')
    assert "event: response.completed\n" in text
    assert "[DONE]" not in text


def test_a_client_that_disconnects_ends_the_request(fal: Fal) -> None:
    call = start(fal, {**HI, "stream": True})
    fal.advance(1)
    call.disconnect()
    [request] = fal.emulator.store.requests.values()
    assert request.schedule.ends_at == fal.clock.now()


def test_an_invalid_stream_is_a_plain_error(fal: Fal) -> None:
    assert ask(fal, {"model": "m", "stream": True}).json()["error"]["param"] == "messages"


# -- embeddings


def test_embeddings_are_written_as_numbers_or_base64(fal: Fal) -> None:
    numbers = ask(fal, {"model": "m", "input": "a cat", "dimensions": 4}, "embeddings").json()
    text = ask(fal, {"model": "m", "input": "a cat", "encoding_format": "base64"}, "embeddings").json()
    assert len(numbers["data"][0]["embedding"]) == 4
    assert isinstance(text["data"][0]["embedding"], str)


# -- directives and limits


def test_a_model_error_has_the_form_of_openai(fal: Fal) -> None:
    response = ask(fal, saying("[mock: error=content_policy_violation]"))
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "content_policy_violation"
    assert response.headers["x-fal-needs-retry"] == "false"


def test_a_request_error_has_the_form_of_openai(fal: Fal) -> None:
    response = ask(fal, saying("[mock: error=runner_disconnected]"))
    assert (response.status_code, response.json()["error"]["type"]) == (503, "server_error")
    assert response.json()["error"]["message"] == "Runner disconnected"
    assert response.headers["x-fal-error-type"] == "runner_disconnected"


def test_a_directive_replaces_the_response(fal: Fal) -> None:
    assert ask(fal, saying("[mock: status=429]")).status_code == 429
    assert ask(fal, HI, headers={"x-mock-fal": "status=500"}).status_code == 500


def test_a_mistyped_directive_is_an_error(fal: Fal) -> None:
    response = ask(fal, saying("[mock: eror=x]"))
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("mock-fal: ")


@pytest.mark.parametrize("streamed", [False, True])
def test_an_output_of_the_users_own_is_sent(fal: Fal, streamed: bool) -> None:
    response = ask(fal, saying('[mock: output={"choices":[]}]', stream=streamed))
    expected = 'data: {"choices":[]}\n\ndata: [DONE]\n\n' if streamed else '{"choices":[]}'
    assert response.text == expected


def test_the_concurrency_limit_is_a_rate_limit(serve: Serve) -> None:
    fal = serve(concurrency=1)
    start(fal, HI)
    response = send(fal, "POST", CHAT, {"authorization": "Key alice:secret"}, content=json.dumps(HI).encode())
    assert response.status_code == 429
    assert response.json()["error"]["type"] == "rate_limit_error"
    assert response.json()["error"]["code"] == "concurrent_requests_limit"


def test_a_body_that_is_too_large_is_an_error(serve: Serve) -> None:
    response = ask(serve(max_body=100), saying("x" * 200))
    assert response.status_code == 413
    assert "100 bytes" in response.json()["error"]["message"]


def test_the_queue_returns_embeddings_too(fal: Fal) -> None:
    endpoint = "openrouter/router/openai/v1/embeddings"
    body = json.dumps({"model": "m", "input": "a cat", "dimensions": 4}).encode()
    handle = fal.completed(endpoint=endpoint, body=body)
    assert len(handle.result().json()["data"][0]["embedding"]) == 4
