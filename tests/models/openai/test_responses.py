"""Responses."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from tests.models.openai.calls import call, error_of
from tests.models.openai.test_chat import PLACE

TEXT = "This is mock-fal, standing in for m: no model has read this.\nI was asked: a cat"
TOOL = {"type": "function", "name": "get_weather", "parameters": PLACE}


def respond(given: Any = "a cat", *, streamed: bool = False, **options: Any) -> Any:
    """The whole answer, or the events of a stream."""
    output = call("responses", {"model": "m", "input": given, **options}, streamed=streamed)
    assert output.response.status == 200, output.response.body
    return list(output.partials) if streamed else output.response.body


def test_the_answer_has_the_form_of_a_response() -> None:
    response = respond(temperature=0.5)
    assert (response["id"], response["object"], response["status"]) == (
        "resp_00000abc",
        "response",
        "completed",
    )
    assert response["created_at"] == 1_800_000_000
    assert response["output"] == [
        {
            "type": "message",
            "id": "msg_00000abc",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}],
        }
    ]
    assert (response["temperature"], response["tool_choice"]) == (0.5, "auto")
    usage = response["usage"]
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]


def test_messages_and_instructions_are_read() -> None:
    given = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a cat"},
                {"type": "input_image", "image_url": "https://a.test/1.png"},
            ],
        },
        {"type": "reasoning", "summary": []},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "meow"}, {"type": "refusal", "refusal": "no"}],
        },
        {
            "role": "user",
            "content": [
                {"type": "input_file", "file_url": "https://a.test/1.pdf"},
                {"type": "input_text", "text": "a dog"},
            ],
        },
    ]
    text = respond(given, instructions="Be brief")["output"][0]["content"][0]["text"]
    assert text.endswith("I was told: Be brief\nI was given: 2 files\nI was asked: a dog")


def test_the_answer_is_cut_at_its_limit() -> None:
    response = respond(max_output_tokens=2)
    assert (response["status"], response["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert respond(max_output_tokens=2, streamed=True)[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize(
    "form",
    [{"type": "json_schema", "name": "place", "schema": PLACE}, {"type": "json_object"}, {"type": "text"}],
)
def test_the_form_of_the_text_is_followed(form: Any) -> None:
    text = respond(text={"format": form})["output"][0]["content"][0]["text"]
    if form["type"] == "text":
        assert text == TEXT
    else:
        jsonschema.validate(json.loads(text), form.get("schema", {"type": "object"}))


def test_a_tool_is_called_and_its_result_is_answered() -> None:
    [item] = respond("use get_weather", tools=[TOOL, {"type": "web_search"}])["output"]
    assert (item["type"], item["name"], item["call_id"]) == (
        "function_call",
        "get_weather",
        "call_00000abc_0",
    )
    jsonschema.validate(json.loads(item["arguments"]), PLACE)
    result = {"type": "function_call_output", "call_id": item["call_id"], "output": "sunny"}
    [answer] = respond([{"role": "user", "content": "use get_weather"}, item, result], tools=[TOOL])["output"]
    assert answer["content"][0]["text"].endswith("The tool said: sunny")


def test_the_events_of_a_stream_are_numbered_and_join_to_the_answer() -> None:
    events = respond(streamed=True)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    names = [event["type"].removeprefix("response.") for event in events]
    assert names[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert names[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert "".join(event["delta"] for event in events if event["type"].endswith("delta")) == TEXT
    assert events[-1]["response"] == respond()


def test_a_stream_has_the_calls_of_tools() -> None:
    events = respond(streamed=True, tools=[TOOL], tool_choice={"type": "function", "name": "get_weather"})
    names = [event["type"].removeprefix("response.") for event in events]
    assert names[2] == "output_item.added"
    assert names[-3:] == ["function_call_arguments.done", "output_item.done", "completed"]
    text = "".join(event["delta"] for event in events if event["type"].endswith("arguments.delta"))
    assert events[-3]["arguments"] == text
    assert events[-3]["name"] == "get_weather"


@pytest.mark.parametrize(
    ("fields", "reason", "param"),
    [
        ({"input": "hi"}, "Missing", "model"),
        ({"model": "", "input": "hi"}, "the name of a model", "model"),
        ({"model": "m"}, "Missing", "input"),
        ({"model": "m", "input": 3}, "a string or an array of objects", "input"),
        ({"model": "m", "input": [{"content": "hi"}]}, "Missing", "input[0].role"),
        ({"model": "m", "input": [{"role": "x", "content": "hi"}]}, "expected one of", "input[0].role"),
        (
            {"model": "m", "input": [{"role": "user", "content": 3}]},
            "a string or an array",
            "input[0].content",
        ),
        (
            {"model": "m", "input": [{"role": "user", "content": [{"type": "x"}]}]},
            "not a type",
            "input[0].content[0].type",
        ),
        (
            {"model": "m", "input": "hi", "text": {"format": {"type": "x"}}},
            "expected 'text'",
            "text.format.type",
        ),
        (
            {"model": "m", "input": "hi", "text": {"format": {"type": "json_schema"}}},
            "Missing",
            "text.format.schema",
        ),
        ({"model": "m", "input": "hi", "tools": [{"type": "function"}]}, "Missing", "tools[0].name"),
    ],
)
def test_an_invalid_request_is_an_error_that_names_its_field(fields: Any, reason: str, param: str) -> None:
    message, seen, _ = error_of("responses", fields)
    assert reason in message
    assert seen == param
