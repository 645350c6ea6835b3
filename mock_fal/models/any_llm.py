"""Any LLM: a text model whose output names the model and repeats the prompts of the input."""

from __future__ import annotations

import math
from typing import Final, Literal

from pydantic import BaseModel, Field, TypeAdapter

from mock_fal.errors import JSON
from mock_fal.models.catalog import Job, RunnerOutput, Schema
from mock_fal.models.validation import Rejected, load
from mock_fal.requests.outcome import RunnerResponse

# The maximum number of events in a stream.
MAX_EVENTS: Final = 12

# fal: the models of the published schema (JavaScript client's types, 1.7.2, the last that has it).
ModelName = Literal[
    "deepseek/deepseek-r1",
    "anthropic/claude-3.7-sonnet",
    "anthropic/claude-3.5-sonnet",
    "anthropic/claude-3-5-haiku",
    "anthropic/claude-3-haiku",
    "google/gemini-pro-1.5",
    "google/gemini-flash-1.5",
    "google/gemini-flash-1.5-8b",
    "google/gemini-2.0-flash-001",
    "google/gemini-2.5-flash",
    "google/gemini-2.5-flash-lite",
    "google/gemini-2.5-pro",
    "meta-llama/llama-3.2-1b-instruct",
    "meta-llama/llama-3.2-3b-instruct",
    "meta-llama/llama-3.1-8b-instruct",
    "meta-llama/llama-3.1-70b-instruct",
    "openai/gpt-oss-120b",
    "openai/gpt-4o-mini",
    "openai/gpt-4o",
    "openai/gpt-4.1",
    "openai/o3",
    "openai/gpt-5-chat",
    "openai/gpt-5-mini",
    "openai/gpt-5-nano",
    "meta-llama/llama-4-maverick",
    "meta-llama/llama-4-scout",
]

# fal: these cost ten times as much (stated in the same schema).
PREMIUM: Final = {
    "anthropic/claude-3.7-sonnet",
    "google/gemini-2.5-pro",
    "anthropic/claude-3-5-haiku",
    "openai/gpt-4o",
    "google/gemini-pro-1.5",
    "anthropic/claude-3.5-sonnet",
    "openai/gpt-4.1",
    "openai/gpt-5-chat",
    "openai/o3",
}


# fal: fields, defaults and order are those of the same types. assumption: the limits.
class AnyLlmInput(BaseModel):
    """The input of `fal-ai/any-llm`."""

    prompt: str
    system_prompt: str | None = None
    reasoning: bool = False
    priority: Literal["throughput", "latency"] = "latency"
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int | None = Field(None, ge=1)
    model: ModelName = "google/gemini-2.5-flash-lite"


class AnyLlmOutput(BaseModel):
    """The text, complete or partial."""

    output: str
    reasoning: str | None = None
    partial: bool = False
    error: str | None = None


_ADAPTER: Final = TypeAdapter(AnyLlmInput)


def run(job: Job) -> RunnerOutput:
    """The runner of `fal-ai/any-llm`."""
    try:
        arguments = load(job.body, _ADAPTER)
    except Rejected as rejection:
        return RunnerOutput(rejection.response)
    words = _words(arguments)
    # assumption: a request is billed as one unit, with a premium model as ten.
    units = 10 if arguments.model in PREMIUM else 1
    response = RunnerResponse(200, _output(words, arguments, partial=False), billable_units=units)
    return RunnerOutput(response, 1, _partials(words, arguments) if job.streamed else ())


def _words(arguments: AnyLlmInput) -> list[str]:
    """The text, split before each space and limited to `max_tokens` words."""
    text = f"This is mock-fal, standing in for {arguments.model}: no model has read this."
    if arguments.system_prompt:
        text += f"\nI was told: {arguments.system_prompt}"
    text += f"\nI was asked: {arguments.prompt}"
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)][: arguments.max_tokens]


def _output(words: list[str], arguments: AnyLlmInput, *, partial: bool) -> JSON:
    reasoning = "mock-fal does not think." if arguments.reasoning else None
    return {"output": "".join(words), "reasoning": reasoning, "partial": partial, "error": None}


def _partials(words: list[str], arguments: AnyLlmInput) -> tuple[JSON, ...]:
    # fal: each event contains the text so far; `partial` is true in all events but the last (live).
    step = math.ceil(len(words) / MAX_EVENTS)
    return tuple(_output(words[:end], arguments, partial=True) for end in range(step, len(words), step))


SCHEMAS: Final = {"fal-ai/any-llm": Schema(AnyLlmInput, AnyLlmOutput)}
RUNNERS: Final = {"fal-ai/any-llm": run}
