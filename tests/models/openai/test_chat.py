"""Chat completions."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from mock_fal.models.openai.answer import MAX_REPEATED
from mock_fal.models.text import FILE_TOKENS, REASONING
from tests.models.openai.calls import call, error_of

TEXT = (
    "This is mock-fal, standing in for google/gemini-2.5-flash: no model has read this.\nI was asked: a cat"
)
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
    "required": ["city", "days"],
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": PLACE}}
    for name in ("get_weather", "get_news")
]


def chat(prompt: Any = "a cat", *earlier: Any, streamed: bool = False, **options: Any) -> Any:
    """The whole answer, or the chunks of a stream."""
    messages = [*earlier, {"role": "user", "content": prompt}]
    body = {"model": "google/gemini-2.5-flash", "messages": messages, **options}
    output = call("chat/completions", body, streamed=streamed)
    assert output.response.status == 200, output.response.body
    return output.partials if streamed else output.response.body


def message(*arguments: Any, **options: Any) -> Any:
    return chat(*arguments, **options)["choices"][0]["message"]


def test_the_answer_has_the_form_of_a_chat_completion() -> None:
    assert chat() == {
        "id": "gen-00000abc",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": "google/gemini-2.5-flash",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 16,
            "total_tokens": 18,
            "cost": 0.0000406,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def test_the_cost_is_billed() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a cat"}]}
    response = call("chat/completions", body).response
    assert response.billable_units == response.body["usage"]["cost"] > 0


def test_system_messages_are_repeated() -> None:
    system = [
        {"role": "system", "content": "Be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind"}]},
    ]
    assert "I was told: Be brief\nBe kind\nI was asked: a cat" in message("a cat", *system)["content"]


def test_a_long_prompt_is_repeated_in_part() -> None:
    assert len(message("x" * 100_000)["content"]) < MAX_REPEATED + 200


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_answer_is_cut_at_its_limit(name: str) -> None:
    limit: dict[str, Any] = {name: 3}
    completion = chat(**limit)
    assert completion["choices"][0]["message"]["content"] == "This is mock-fal,"
    assert completion["choices"][0]["finish_reason"] == "length"
    assert completion["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("stop", [" standing", [" no", " standing"]])
def test_the_answer_ends_before_a_stop_sequence(stop: Any) -> None:
    assert message(stop=stop)["content"] == "This is mock-fal,"


def test_n_answers_are_counted() -> None:
    completion = chat(n=3)
    assert [choice["index"] for choice in completion["choices"]] == [0, 1, 2]
    assert completion["usage"]["completion_tokens"] == 3 * 16


def test_reasoning_is_returned_when_it_is_requested() -> None:
    assert message(reasoning={"effort": "low"})["reasoning"] == REASONING
    assert {"reasoning": REASONING} in [
        chunk["choices"][0]["delta"] for chunk in chat(streamed=True, reasoning_effort="low")
    ]


# -- files


def test_files_count_as_tokens() -> None:
    parts = [
        {"type": "text", "text": "a cat"},
        {"type": "image_url", "image_url": {"url": "https://a.test/1.png"}},
        {"type": "video_url", "video_url": {"url": "https://a.test/1.mp4"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    completion = chat(parts)
    assert completion["usage"]["prompt_tokens"] == 2 + 4 * FILE_TOKENS
    assert "I was given: 4 files\nI was asked: a cat" in completion["choices"][0]["message"]["content"]


# -- JSON


def test_an_answer_in_json_mode_is_an_object() -> None:
    answer = json.loads(message(response_format={"type": "json_object"})["content"])
    assert answer == {
        "answer": "This is mock-fal, standing in for google/gemini-2.5-flash.",
        "prompt": "a cat",
    }


def test_an_answer_with_a_schema_is_valid_for_it() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE}}
    jsonschema.validate(json.loads(message(response_format=form)["content"]), PLACE)


def test_a_response_format_of_text_changes_nothing() -> None:
    assert message(response_format={"type": "text"})["content"] == TEXT


# -- tools


def called(*arguments: Any, **options: Any) -> list[str]:
    """The names of the tools that are called."""
    options = {"tools": TOOLS, **options}
    return [call["function"]["name"] for call in message(*arguments, **options).get("tool_calls", [])]


def test_a_chosen_tool_is_called_with_valid_arguments() -> None:
    choice = {"type": "function", "function": {"name": "get_news"}}
    completion = chat(tools=TOOLS, tool_choice=choice)
    [tool_call] = completion["choices"][0]["message"]["tool_calls"]
    assert (tool_call["id"], tool_call["type"]) == ("call_00000abc_0_0", "function")
    assert tool_call["function"]["name"] == "get_news"
    jsonschema.validate(json.loads(tool_call["function"]["arguments"]), PLACE)
    assert completion["choices"][0]["finish_reason"] == "tool_calls"
    assert completion["choices"][0]["message"]["content"] is None


def test_a_tool_that_the_prompt_names_is_called() -> None:
    assert called("a cat") == []
    assert called("use get_news and get_weather") == ["get_weather", "get_news"]
    assert called("use get_news and get_weather", parallel_tool_calls=False) == ["get_weather"]
    assert called("use get_news", tool_choice="none") == []


def test_a_required_call_is_that_of_the_first_tool_unless_the_prompt_names_another() -> None:
    assert called("a cat", tool_choice="required") == ["get_weather"]
    assert called("get_news", tool_choice="required") == ["get_news"]


def test_after_the_result_of_a_tool_the_model_answers() -> None:
    messages = [
        {"role": "user", "content": "use get_weather"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    body = {"model": "m", "messages": messages, "tools": TOOLS}
    answer = call("chat/completions", body).response.body["choices"][0]["message"]
    assert answer["content"].endswith("I was asked: use get_weather\nThe tool said: sunny")


def test_a_tool_without_parameters_has_none() -> None:
    tools = [{"type": "function", "function": {"name": "now"}}]
    [tool_call] = message(tools=tools, tool_choice="required")["tool_calls"]
    assert tool_call["function"]["arguments"] == "{}"


# -- streams


def test_the_chunks_of_a_stream_join_to_the_answer() -> None:
    chunks = chat(streamed=True)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == TEXT
    assert [
        chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"][0]["finish_reason"]
    ] == ["stop"]
    assert all("usage" not in chunk for chunk in chunks)


def test_a_stream_ends_with_its_usage_if_it_is_requested() -> None:
    last = chat(streamed=True, stream_options={"include_usage": True})[-1]
    assert (last["choices"], last["usage"]) == ([], chat()["usage"])


def test_a_stream_of_n_answers_has_all_of_them() -> None:
    choices = [chunk["choices"][0] for chunk in chat(streamed=True, n=2)]
    for index in (0, 1):
        own = [choice for choice in choices if choice["index"] == index]
        assert "".join(choice["delta"].get("content", "") for choice in own) == TEXT


def test_a_stream_has_the_calls_of_tools() -> None:
    deltas = [
        chunk["choices"][0]["delta"] for chunk in chat(streamed=True, tools=TOOLS, tool_choice="required")
    ]
    start, *rest = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert (start["index"], start["id"], start["function"]) == (
        0,
        "call_00000abc_0_0",
        {"name": "get_weather", "arguments": ""},
    )
    jsonschema.validate(json.loads("".join(part["function"]["arguments"] for part in rest)), PLACE)


# -- errors

HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("fields", "reason", "param", "code"),
    [
        ({}, "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
        ({"model": ""}, "the name of a model", "model", "invalid_value"),
        ({"model": 3}, "expected a string, but got an integer", "model", "invalid_type"),
        ({"model": "m"}, "Missing required parameter", "messages", "missing_required_parameter"),
        ({"model": "m", "messages": []}, "at least one message", "messages", "invalid_value"),
        ({"model": "m", "messages": "hi"}, "an array of objects", "messages", "invalid_type"),
        ({"model": "m", "messages": [3]}, "expected an object", "messages[0]", "invalid_type"),
        ({"model": "m", "messages": [{}]}, "Missing", "messages[0].role", "missing_required_parameter"),
        ({"model": "m", "messages": [{"role": "x"}]}, "'developer'", "messages[0].role", "invalid_value"),
        (
            {"model": "m", "messages": [{"role": "user"}]},
            "Missing",
            "messages[0].content",
            "missing_required_parameter",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": 1.5}]},
            "a decimal number",
            "messages[0].content",
            "invalid_type",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "x"}]}]},
            "not a type of content",
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "Missing",
            "messages[0].content[0].image_url",
            "missing_required_parameter",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "Missing",
            "messages[0].content[0].input_audio",
            "missing_required_parameter",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "file"}]}]},
            "Missing",
            "messages[0].content[0].file",
            "missing_required_parameter",
        ),
        ({"model": "m", "messages": HI, "n": 33}, "<= 32", "n", "invalid_value"),
        ({"model": "m", "messages": HI, "n": True}, "a boolean", "n", "invalid_type"),
        ({"model": "m", "messages": HI, "max_tokens": 0}, ">= 1", "max_tokens", "invalid_value"),
        ({"model": "m", "messages": HI, "temperature": 3}, "<= 2", "temperature", "invalid_value"),
        ({"model": "m", "messages": HI, "top_p": "x"}, "a decimal number", "top_p", "invalid_type"),
        ({"model": "m", "messages": HI, "stop": [1]}, "an array of strings", "stop", "invalid_type"),
        ({"model": "m", "messages": HI, "stop": ["a"] * 5}, "at most 4", "stop", "invalid_value"),
        ({"model": "m", "messages": HI, "stream": "yes"}, "a boolean", "stream", "invalid_type"),
        ({"model": "m", "messages": HI, "stream_options": 1}, "an object", "stream_options", "invalid_type"),
        (
            {"model": "m", "messages": HI, "tools": [{"type": "x"}]},
            "expected 'function'",
            "tools[0].type",
            "invalid_value",
        ),
        (
            {"model": "m", "messages": HI, "tools": [{"type": "function", "function": {"name": ""}}]},
            "one character",
            "tools[0].function.name",
            "invalid_value",
        ),
        ({"model": "m", "messages": HI, "tools": [{}] * 129}, "at most 128", "tools", "invalid_value"),
        (
            {"model": "m", "messages": HI, "tool_choice": "required"},
            "only allowed when",
            "tool_choice",
            "invalid_value",
        ),
        (
            {"model": "m", "messages": HI, "tool_choice": "x"},
            "expected 'none'",
            "tool_choice",
            "invalid_value",
        ),
        (
            {"model": "m", "messages": HI, "tool_choice": {}},
            "Missing",
            "tool_choice.function.name",
            "missing_required_parameter",
        ),
        (
            {"model": "m", "messages": HI, "tool_choice": {"function": {"name": "x"}}},
            "not among 'tools'",
            "tool_choice",
            "invalid_value",
        ),
        (
            {"model": "m", "messages": HI, "response_format": {"type": "x"}},
            "'json_schema'",
            "response_format.type",
            "invalid_value",
        ),
        (
            {"model": "m", "messages": HI, "response_format": {"type": "json_schema"}},
            "Missing",
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (
            {
                "model": "m",
                "messages": HI,
                "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "x"}}},
            },
            "unknown type 'x'",
            "response_format",
            "invalid_value",
        ),
        (
            {
                "model": "m",
                "messages": HI,
                "tool_choice": "required",
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "x"}}}],
            },
            "Invalid schema for function 'f'",
            "tools[0].function.parameters",
            "invalid_function_parameters",
        ),
    ],
)
def test_an_invalid_request_is_an_error_that_names_its_field(
    fields: Any, reason: str, param: str, code: str
) -> None:
    message, seen_param, seen_code = error_of("chat/completions", fields)
    assert reason in message
    assert (seen_param, seen_code) == (param, code)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_an_error(body: bytes) -> None:
    assert error_of("chat/completions", body) == (
        "We could not parse the JSON body of your request.",
        None,
        None,
    )


def test_a_body_that_is_no_object_is_an_error() -> None:
    assert error_of("chat/completions", [1])[0] == "The body of your request is not a JSON object."
