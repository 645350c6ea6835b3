"""The answer of a model to a conversation: a text, JSON for a schema, or calls of tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mock_fal.errors import JSON
from mock_fal.models.job import Media
from mock_fal.models.json_sample import Unsatisfiable, sample
from mock_fal.models.openai.fields import Fields
from mock_fal.models.openai.problem import Problem, missing, wrong_value
from mock_fal.models.text import FILE_TOKENS, Reply, answer_text, count_tokens, limited

# assumption: OpenAI's limits of a request.
MAX_MESSAGES: Final = 2048
MAX_PARTS: Final = 1024
MAX_TOOLS: Final = 128
MAX_STOPS: Final = 4

# deviation: the calls of one answer.
MAX_CALLS: Final = 8

# deviation: an answer repeats this many characters of a prompt, so that `n` answers to a long one stay short.
MAX_REPEATED: Final = 4_000


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is a JSON Schema."""

    name: str
    parameters: JSON
    path: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool. `arguments` is JSON."""

    name: str
    arguments: str


@dataclass(slots=True)
class Conversation:
    """What a model is asked: the texts of the messages, the files in them, tools and the form of the answer.

    `files` are URL, medium and place of each file. `prompt` is the text of the last message of the user, and
    `tool_result` that of a tool, if it comes last. `schema` is the schema of the answer, True for any JSON object.
    """

    model: str
    system: list[str] = field(default_factory=list)
    prompt: str = ""
    tool_result: str | None = None
    tokens: int = 0
    files: list[tuple[str, Media, str]] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    choice: str = "auto"
    parallel: bool = True
    schema: JSON = None
    schema_path: str = ""
    stops: list[str] = field(default_factory=list)
    max_tokens: int | None = None
    reasoning: bool = False

    def add_text(self, role: str, text: str) -> None:
        """Add the text of a message."""
        self.tokens += count_tokens(text)
        if role in ("system", "developer"):
            self.system.append(text)
        elif role == "user":
            self.prompt, self.tool_result = text, None
        elif role == "tool":
            self.tool_result = text

    def add_file(self, url: str, media: Media, path: str) -> None:
        """Add a file of a message."""
        self.tokens += FILE_TOKENS
        self.files.append((url, media, path))


@dataclass(frozen=True, slots=True)
class Answer:
    """A text with its tokens, or calls of tools and the tokens of their arguments."""

    reply: Reply
    calls: tuple[Call, ...] = ()

    @property
    def finish_reason(self) -> str:
        if self.calls:
            return "tool_calls"
        return "length" if self.reply.is_cut else "stop"


def answer(conversation: Conversation) -> Answer:
    """The answer to a conversation. Raises Problem for a schema that no value was found for."""
    calls = tuple(Call(tool.name, _arguments(tool)) for tool in _called(conversation))
    if calls:
        text = " ".join(call.arguments for call in calls)
        return Answer(limited(text, None, prompt_tokens=conversation.tokens), calls)
    text = _text(conversation)
    for stop in conversation.stops:
        text = text.partition(stop)[0] if stop else text
    reply = limited(
        text,
        conversation.max_tokens,
        prompt_tokens=conversation.tokens,
        reasoning=conversation.reasoning,
    )
    return Answer(reply)


def _text(conversation: Conversation) -> str:
    if conversation.schema is not None:
        schema = conversation.schema
        short = f"This is mock-fal, standing in for {conversation.model}."
        if schema is True:
            # assumption: an object with any members is a valid answer in JSON mode without a schema.
            return _json({"answer": short, "prompt": _cut(conversation.prompt)})
        try:
            return _json(sample(schema, short))
        except Unsatisfiable as error:
            raise Problem(
                f"Invalid schema for response_format: {error}",
                param=conversation.schema_path,
                code="invalid_value",
            ) from None
    system = _cut("\n".join(conversation.system))
    if conversation.tool_result is not None:
        text = answer_text(conversation.model, _cut(conversation.prompt), system=system)
        return f"{text}\nThe tool said: {_cut(conversation.tool_result)}"
    return answer_text(
        conversation.model, _cut(conversation.prompt), system=system, files=len(conversation.files)
    )


def _called(conversation: Conversation) -> list[Tool]:
    """The tools that the model calls."""
    choice, tools = conversation.choice, conversation.tools
    if choice == "none" or not tools:
        return []
    if choice == "required":
        return _named(conversation)[:1] or tools[:1]
    if choice == "auto":
        # deviation: a model that may choose calls the tools that the prompt names, once, so that a test decides.
        named = [] if conversation.tool_result is not None else _named(conversation)
        return named[: MAX_CALLS if conversation.parallel else 1]
    return [tool for tool in tools if tool.name == choice][:1]


def _named(conversation: Conversation) -> list[Tool]:
    return [tool for tool in conversation.tools if tool.name in conversation.prompt]


def _arguments(tool: Tool) -> str:
    parameters = tool.parameters if tool.parameters else {"type": "object", "properties": {}}
    try:
        return _json(sample(parameters))
    except Unsatisfiable as error:
        reason = f"Invalid schema for function '{tool.name}': {error}"
        raise Problem(reason, param=tool.path, code="invalid_function_parameters") from None


def read_sampling(request: Fields, conversation: Conversation) -> None:
    """The options that both APIs share. Raises Problem."""
    request.number("temperature", 0, 2)
    request.number("top_p", 0, 1)
    conversation.parallel = request.get("parallel_tool_calls") is not False


def read_format(form: Fields, schema_of: Callable[[Fields], JSON]) -> JSON:
    """The schema of an answer: None for text, True for any object, else `schema_of(form)`. Raises Problem."""
    match form.text("type"):
        case "text":
            return None
        case "json_object":
            return True
        case "json_schema":
            return schema_of(form)
        case other:
            raise wrong_value(
                f"{form.path}type", f"{other[:60]!r}, expected 'text', 'json_object' or 'json_schema'"
            )


def read_tool(function: Fields) -> Tool:
    """A tool from its name and parameters. Raises Problem."""
    name = function.text("name")
    if not name:
        raise wrong_value(f"{function.path}name", "expected at least one character")
    parameters = function.object("parameters")
    return Tool(name, parameters.values if parameters else None, f"{function.path}parameters")


def read_choice(value: JSON, name_of: Mapping[str, JSON] | None, tools: list[Tool]) -> str:
    """The value of `tool_choice`: auto, none, required, or the name of a tool. Raises Problem.

    `name_of` is the object that names a tool.
    """
    if value is None:
        return "auto"
    if isinstance(value, str):
        if value not in ("auto", "none", "required"):
            raise wrong_value("tool_choice", "expected 'none', 'auto' or 'required'")
        if value == "required" and not tools:
            raise wrong_value("tool_choice", "it is only allowed when 'tools' are specified")
        return value
    name = name_of.get("name") if name_of else None
    if not isinstance(name, str):
        raise missing("tool_choice.function.name")
    if name not in (tool.name for tool in tools):
        raise wrong_value("tool_choice", f"the tool '{name[:100]}' is not among 'tools'")
    return name


def _cut(text: str) -> str:
    return text if len(text) <= MAX_REPEATED else f"{text[:MAX_REPEATED]}…"


def _json(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
