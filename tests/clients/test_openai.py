"""The official openai clients, unmodified, with the base URL of fal's OpenAI-shaped plane."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, OpenAI, RateLimitError, UnprocessableEntityError
from pydantic import BaseModel

from mock_fal import Account
from tests.clients.programs import Node, mock_fal_run

URL = "https://fal.run/openrouter/router/openai/v1"
MODEL = "google/gemini-2.5-flash"
TEXT = f"This is mock-fal, standing in for {MODEL}: no model has read this.\nI was asked: a cat"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL_WEATHER: Any = {"type": "function", "function": {"name": "get_weather"}}


@pytest.fixture
def client(mock_fal: Account) -> Iterator[OpenAI]:
    """As in fal's documentation: the key is in a default header."""
    headers = {"Authorization": f"Key {mock_fal.key}"}
    with OpenAI(base_url=URL, api_key="not-needed", default_headers=headers, max_retries=0) as client:
        yield client


def ask(client: OpenAI, prompt: Any = "a cat", **options: Any) -> Any:
    messages: Any = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(model=MODEL, messages=messages, **options)


# -- Python


def test_a_chat_is_completed(client: OpenAI, mock_fal: Account) -> None:
    completion = ask(client, n=2)
    assert [choice.message.content for choice in completion.choices] == [TEXT, TEXT]
    assert completion.usage.total_tokens == 2 + 2 * 16
    assert mock_fal.requests[0].url == f"{URL}/chat/completions"


def test_a_key_may_be_the_api_key_itself(mock_fal: Account) -> None:
    with OpenAI(base_url=URL, api_key=mock_fal.key) as client:
        assert ask(client).choices[0].message.content == TEXT


def test_a_chat_is_streamed(client: OpenAI) -> None:
    *chunks, last = ask(client, stream=True, stream_options={"include_usage": True})
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert last.usage.total_tokens == 18


def test_a_tool_is_called(client: OpenAI) -> None:
    [call] = ask(client, tools=[WEATHER], tool_choice=CALL_WEATHER).choices[0].message.tool_calls
    assert list(json.loads(call.function.arguments)) == ["city"]
    with client.chat.completions.stream(
        model=MODEL,
        messages=[{"role": "user", "content": "a cat"}],
        tools=[WEATHER],
        tool_choice=CALL_WEATHER,
    ) as stream:
        for _ in stream:
            pass
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert calls and list(json.loads(calls[0].function.arguments)) == ["city"]


class Step(BaseModel):
    title: str
    minutes: int | None


class Recipe(BaseModel):
    name: str
    steps: list[Step]


def test_an_answer_is_parsed(client: OpenAI) -> None:
    message: Any = {"role": "user", "content": "soup"}
    completion = client.chat.completions.parse(model=MODEL, messages=[message], response_format=Recipe)
    assert isinstance(completion.choices[0].message.parsed, Recipe)
    response = client.responses.parse(model=MODEL, input="soup", text_format=Recipe)
    assert isinstance(response.output_parsed, Recipe)


def test_a_response_is_completed(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="a cat")
    assert (response.output_text, response.status) == (TEXT, "completed")
    assert response.usage and response.usage.total_tokens == 18


def test_a_response_is_streamed(client: OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="a cat") as stream:
        types = [event.type for event in stream]
        assert stream.get_final_response().output_text == TEXT
    assert (types[0], types[-1]) == ("response.created", "response.completed")


def test_embeddings_are_read_as_base64_and_as_numbers(client: OpenAI) -> None:
    data = client.embeddings.create(model="m", input=["a cat", "a dog"]).data
    assert [len(item.embedding) for item in data] == [1536, 1536]
    assert sum(x * x for x in data[0].embedding) == pytest.approx(1)
    numbers = client.embeddings.create(model="m", input="a cat", dimensions=8, encoding_format="float")
    assert len(numbers.data[0].embedding) == 8


@pytest.mark.parametrize(
    ("prompt", "error", "code", "param"),
    [
        ("[mock: status=429]", RateLimitError, None, None),
        (
            "[mock: error=content_policy_violation]",
            UnprocessableEntityError,
            "content_policy_violation",
            None,
        ),
        (3, BadRequestError, "invalid_type", "messages[0].content"),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
            BadRequestError,
            "image_load_error",
            "messages[0].content[0].image_url.url",
        ),
    ],
)
def test_an_error_is_raised(
    client: OpenAI, prompt: Any, error: type[APIStatusError], code: str | None, param: str | None
) -> None:
    with pytest.raises(error) as caught:
        ask(client, prompt)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_program_runs_unmodified() -> None:
    program = (
        "import os; from openai import OpenAI; "
        f"client = OpenAI(base_url='{URL}', api_key='-', "
        "default_headers={'Authorization': f\"Key {os.environ['FAL_KEY']}\"}); "
        f"print(client.responses.create(model='{MODEL}', input='a cat').output_text)"
    )
    done = mock_fal_run([sys.executable, "-c", program])
    assert done.stdout == f"{TEXT}\n"
    assert f"POST   {URL.removeprefix('https://')}/responses  200" in done.stderr


# -- JavaScript


@pytest.mark.parametrize(
    ("case", "output"),
    [
        ("chat", [[TEXT, TEXT], 34]),
        ("stream", [TEXT, 18]),
        ("tools", ["get_weather", {"city": "mock-fal"}]),
        ("responses", [TEXT, "completed"]),
        ("response_stream", ["response.created", "response.completed", TEXT]),
        ("embeddings", [2, 1536, pytest.approx(1)]),
        ("failures", [[True, 429, None], [True, 422, "content_policy_violation"]]),
    ],
)
def test_the_javascript_client_gets_the_same(
    newest_node: Node, mock_fal: Account, case: str, output: Any
) -> None:
    assert newest_node("openai.mjs", case) == output
