"""Chat completions: the request, the whole answer and the chunks of a stream."""

from __future__ import annotations

from typing import Final

from mock_fal.errors import JSON
from mock_fal.models.job import Media
from mock_fal.models.openai.answer import (
    MAX_MESSAGES,
    MAX_PARTS,
    MAX_STOPS,
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

# deviation: the largest `n`; OpenAI's is 128.
MAX_CHOICES: Final = 32

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")


def conversation(request: Fields) -> Conversation:
    """What a request asks. Raises Problem."""
    model = request.text("model")
    if not model:
        raise wrong_value("model", "expected the name of a model, such as 'google/gemini-2.5-flash'")
    asked = Conversation(model)
    if request.get("messages") is None:
        raise missing("messages")
    messages = request.objects("messages", MAX_MESSAGES)
    if not messages:
        raise wrong_value("messages", "empty array, expected at least one message")
    for message in messages:
        _read_message(message, asked)
    _read_options(request, asked)
    return asked


def _read_message(message: Fields, asked: Conversation) -> None:
    role = message.text("role")
    if role not in ROLES:
        raise wrong_value(f"{message.path}role", f"expected one of {', '.join(map(repr, ROLES))}")
    content = message.get("content")
    if content is None:
        if role != "assistant":
            raise missing(f"{message.path}content")
        return
    if isinstance(content, str):
        asked.add_text(role, content)
        return
    if not isinstance(content, list):
        raise wrong_type(f"{message.path}content", "a string or an array of objects", content)
    texts = [
        text
        for part in message.objects("content", MAX_PARTS)
        if (text := _read_part(part, asked)) is not None
    ]
    asked.add_text(role, "\n".join(texts))


def _read_part(part: Fields, asked: Conversation) -> str | None:
    """The text of a content part; a file is added to the conversation."""
    match part.text("type"):
        case "text" | "refusal" as kind:
            return part.text(kind)
        case "image_url" | "video_url" as kind:
            # fal: `image_url` with an object that holds `url` (public programs, 2026).
            url = part.object(kind)
            if url is None:
                raise missing(part.path + kind)
            media: Media = "image" if kind == "image_url" else "video"
            asked.add_file(url.text("url"), media, f"{url.path}url")
        case "input_audio":
            audio = part.object("input_audio")
            if audio is None:
                raise missing(f"{part.path}input_audio")
            data = f"data:audio/{audio.text('format', 'wav')};base64,{audio.text('data')}"
            asked.add_file(data, "audio", f"{audio.path}data")
        case "file":
            file = part.object("file")
            if file is None:
                raise missing(f"{part.path}file")
            if file.get("file_data") is not None:
                asked.add_file(file.text("file_data"), "other", f"{file.path}file_data")
        case kind:
            raise wrong_value(f"{part.path}type", f"{kind[:60]!r} is not a type of content")
    return None


def _read_options(request: Fields, asked: Conversation) -> None:
    read_sampling(request, asked)
    limit = request.whole("max_tokens", 1)
    newer_limit = request.whole("max_completion_tokens", 1)
    asked.max_tokens = newer_limit if newer_limit is not None else limit
    asked.stops = _stops(request)
    asked.reasoning = request.get("reasoning") is not None or request.get("reasoning_effort") is not None
    for tool in request.objects("tools", MAX_TOOLS):
        function = tool.object("function")
        if tool.get("type") != "function" or function is None:
            raise wrong_value(f"{tool.path}type", "expected 'function' and the object 'function'")
        asked.tools.append(read_tool(function))
    choice = request.get("tool_choice")
    named = choice.get("function") if isinstance(choice, dict) else None
    asked.choice = read_choice(choice, named if isinstance(named, dict) else None, asked.tools)
    form = request.object("response_format")
    if form is not None:
        asked.schema, asked.schema_path = read_format(form, _named_schema), "response_format"


def _stops(request: Fields) -> list[str]:
    stop = request.get("stop")
    if stop is None or isinstance(stop, str):
        return [stop] if stop else []
    if not isinstance(stop, list) or not all(isinstance(text, str) for text in stop):
        raise wrong_type("stop", "a string or an array of strings", stop)
    if len(stop) > MAX_STOPS:
        raise wrong_value("stop", f"it has {len(stop)} items, expected at most {MAX_STOPS}")
    return stop


def _named_schema(form: Fields) -> JSON:
    named = form.object("json_schema")
    if named is None:
        raise missing(f"{form.path}json_schema")
    schema = named.object("schema")
    return True if schema is None else schema.values


def choices(request: Fields) -> int:
    """The number of answers. Raises Problem."""
    return request.whole("n", 1, MAX_CHOICES) or 1


def wants_usage(request: Fields) -> bool:
    """Whether a stream ends with a chunk that has the usage. Raises Problem."""
    options = request.object("stream_options")
    return options is not None and options.flag("include_usage")


def completion(
    asked: Conversation, count: int, answer_id: str, created: int
) -> tuple[JSON, list[JSON], Usage]:
    """The whole answer, the chunks of a stream, and the usage. Raises Problem.

    The last chunk is the one with the usage. `created` is in seconds since 1970.
    """
    given = answer(asked)
    usage = Usage(given.reply.usage.prompt_tokens, given.reply.usage.completion_tokens * count)
    body = {
        "id": answer_id,
        "object": "chat.completion",
        "created": created,
        "model": asked.model,
        "choices": [
            {
                "index": index,
                "message": _message(given, answer_id, index),
                "logprobs": None,
                "finish_reason": given.finish_reason,
            }
            for index in range(count)
        ],
        "usage": _usage(usage),
    }
    head = {"id": answer_id, "object": "chat.completion.chunk", "created": created, "model": asked.model}
    deltas = _deltas(given, answer_id, count)
    chunks: list[JSON] = [{**head, "choices": [choice]} for choice in deltas]
    chunks.append({**head, "choices": [], "usage": _usage(usage)})
    return body, chunks, usage


def _message(given: Answer, answer_id: str, index: int) -> JSON:
    if given.calls:
        calls = [_call(given, answer_id, index, number) for number in range(len(given.calls))]
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}
    message = {"role": "assistant", "content": given.reply.text, "refusal": None}
    return message if given.reply.reasoning is None else {**message, "reasoning": given.reply.reasoning}


def _call(given: Answer, answer_id: str, index: int, number: int) -> JSON:
    call = given.calls[number]
    return {
        "id": f"call_{answer_id.rpartition('-')[2]}_{index}_{number}",
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _deltas(given: Answer, answer_id: str, count: int) -> list[JSON]:
    """The choices of the chunks: each has one index, a delta, and at the end the reason."""
    parts: list[list[JSON]] = []
    for index in range(count):
        deltas: list[JSON] = [{"role": "assistant", "content": None if given.calls else ""}]
        if given.reply.reasoning is not None and not given.calls:
            deltas.append({"reasoning": given.reply.reasoning})
        for number, call in enumerate(given.calls):
            whole = _call(given, answer_id, index, number)
            start = {**whole, "function": {"name": call.name, "arguments": ""}}
            deltas.append({"tool_calls": [{"index": number, **start}]})
            for text in pieces(tuple(split(call.arguments))):
                deltas.append({"tool_calls": [{"index": number, "function": {"arguments": text}}]})
        if not given.calls:
            deltas += [{"content": text} for text in given.reply.deltas()]
        choice = [_choice(index, delta, None) for delta in deltas]
        parts.append([*choice, _choice(index, {}, given.finish_reason)])
    # The answers to `n` come side by side.
    return [part for row in zip(*parts, strict=True) for part in row]


def _choice(index: int, delta: JSON, reason: str | None) -> JSON:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}


def _usage(usage: Usage) -> JSON:
    return {
        **usage.body,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
