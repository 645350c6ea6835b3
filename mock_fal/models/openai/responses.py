"""Responses: the request, the whole answer and the events of a stream."""

from __future__ import annotations

from typing import Any, Final

from mock_fal.errors import JSON
from mock_fal.models.openai.answer import (
    MAX_MESSAGES,
    MAX_PARTS,
    MAX_TOOLS,
    Answer,
    Conversation,
    answer,
    read_choice,
    read_format,
    read_sampling,
    read_tool,
)
from mock_fal.models.openai.fields import Fields
from mock_fal.models.openai.problem import missing, wrong_type, wrong_value
from mock_fal.models.text import Usage, pieces, split

_ROLES: Final = ("system", "developer", "user", "assistant")

# The fields of a request that its answer repeats, with the values for those that are missing.
_REPEATED: Final[dict[str, JSON]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def conversation(request: Fields) -> Conversation:
    """What a request asks. Raises Problem."""
    model = request.text("model")
    if not model:
        raise wrong_value("model", "expected the name of a model, such as 'google/gemini-2.5-flash'")
    asked = Conversation(model)
    if instructions := request.text("instructions", ""):
        asked.add_text("system", instructions)
    given = request.get("input")
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        asked.add_text("user", given)
    elif isinstance(given, list):
        for item in request.objects("input", MAX_MESSAGES):
            _read_item(item, asked)
    else:
        raise wrong_type("input", "a string or an array of objects", given)
    _read_options(request, asked)
    return asked


def _read_item(item: Fields, asked: Conversation) -> None:
    kind = item.text("type", "message")
    if kind == "function_call_output":
        asked.add_text(
            "tool", item.text("output") if isinstance(item.get("output"), str) else str(item.get("output"))
        )
        return
    if kind != "message":
        return  # earlier calls and reasoning say nothing new
    role = item.text("role")
    if role not in _ROLES:
        raise wrong_value(f"{item.path}role", f"expected one of {', '.join(map(repr, _ROLES))}")
    content = item.get("content")
    if isinstance(content, str):
        asked.add_text(role, content)
        return
    if not isinstance(content, list):
        raise wrong_type(f"{item.path}content", "a string or an array of objects", content)
    texts = [
        text for part in item.objects("content", MAX_PARTS) if (text := _read_part(part, asked)) is not None
    ]
    asked.add_text(role, "\n".join(texts))


def _read_part(part: Fields, asked: Conversation) -> str | None:
    match part.text("type"):
        case "input_text" | "output_text":
            return part.text("text")
        case "refusal":
            return part.text("refusal")
        case "input_image":
            # A file id names a file of OpenAI's own store, which this plane does not have.
            if part.get("image_url") is not None:
                asked.add_file(part.text("image_url"), "image", f"{part.path}image_url")
        case "input_file":
            for name in ("file_url", "file_data"):
                if part.get(name) is not None:
                    asked.add_file(part.text(name), "other", part.path + name)
        case kind:
            raise wrong_value(f"{part.path}type", f"{kind[:60]!r} is not a type of content")
    return None


def _read_options(request: Fields, asked: Conversation) -> None:
    read_sampling(request, asked)
    asked.max_tokens = request.whole("max_output_tokens", 1)
    for tool in request.objects("tools", MAX_TOOLS):
        if tool.text("type") == "function":  # others, such as web_search, run inside the service
            asked.tools.append(read_tool(tool))
    choice = request.get("tool_choice")
    asked.choice = read_choice(choice, choice if isinstance(choice, dict) else None, asked.tools)
    text = request.object("text")
    form = text.object("format") if text else None
    if form is not None:
        asked.schema, asked.schema_path = read_format(form, _schema), "text.format"


def _schema(form: Fields) -> JSON:
    schema = form.object("schema")
    if schema is None:
        raise missing(f"{form.path}schema")
    return schema.values


def response(
    request: Fields, asked: Conversation, answer_id: str, created: int
) -> tuple[JSON, list[JSON], Usage]:
    """The whole answer, the events of a stream, and the usage. Raises Problem.

    `created` is in seconds since 1970.
    """
    given = answer(asked)
    name = answer_id.rpartition("-")[2]
    items = _items(given, name)
    is_cut = given.reply.is_cut and not given.calls
    head = {
        "id": f"resp_{name}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": asked.model,
        "output": [],
        **{
            key: default if request.get(key) is None else request.get(key)
            for key, default in _REPEATED.items()
        },
        "usage": None,
    }
    whole = {
        **head,
        "status": "incomplete" if is_cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "output": items,
        "usage": _usage(given.reply.usage),
    }
    events = [_event("created", response=head), _event("in_progress", response=head)]
    for index, item in enumerate(items):
        events += (
            _call_events(item, index) if item["type"] == "function_call" else _text_events(given, item, index)
        )
    events.append(_event("incomplete" if is_cut else "completed", response=whole))
    for number, event in enumerate(events):
        event["sequence_number"] = number
    return whole, events, given.reply.usage


def _items(given: Answer, name: str) -> list[dict[str, Any]]:
    if given.calls:
        return [
            {
                "type": "function_call",
                "id": f"fc_{name}_{number}",
                "call_id": f"call_{name}_{number}",
                "name": call.name,
                "arguments": call.arguments,
                "status": "completed",
            }
            for number, call in enumerate(given.calls)
        ]
    status = "incomplete" if given.reply.is_cut else "completed"
    content = [_text_part(given.reply.text)]
    return [
        {"type": "message", "id": f"msg_{name}", "status": status, "role": "assistant", "content": content}
    ]


def _call_events(item: dict[str, Any], index: int) -> list[dict[str, Any]]:
    place = {"item_id": item["id"], "output_index": index}
    deltas = pieces(tuple(split(item["arguments"])))
    return [
        _event(
            "output_item.added", output_index=index, item={**item, "arguments": "", "status": "in_progress"}
        ),
        *(_event("function_call_arguments.delta", **place, delta=text) for text in deltas),
        _event("function_call_arguments.done", **place, name=item["name"], arguments=item["arguments"]),
        _event("output_item.done", output_index=index, item=item),
    ]


def _text_events(given: Answer, item: dict[str, Any], index: int) -> list[dict[str, Any]]:
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    text = given.reply.text
    return [
        _event(
            "output_item.added", output_index=index, item={**item, "content": [], "status": "in_progress"}
        ),
        _event("content_part.added", **place, part=_text_part("")),
        *(_event("output_text.delta", **place, delta=part, logprobs=[]) for part in given.reply.deltas()),
        _event("output_text.done", **place, text=text, logprobs=[]),
        _event("content_part.done", **place, part=_text_part(text)),
        _event("output_item.done", output_index=index, item=item),
    ]


def _text_part(text: str) -> JSON:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _event(kind: str, /, **members: JSON) -> dict[str, Any]:
    return {"type": f"response.{kind}", **members}


def _usage(usage: Usage) -> JSON:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
        "cost": usage.cost,
    }
