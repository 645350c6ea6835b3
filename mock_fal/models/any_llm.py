"""Any LLM: a text model. What it says is a function of what it is asked, and it says what it is."""

from __future__ import annotations

import math
from typing import Final, Literal

from pydantic import BaseModel, Field, TypeAdapter

from mock_fal.errors import JSON
from mock_fal.models.catalog import Job, RunnerOutput, Schema
from mock_fal.models.validation import Rejected, load
from mock_fal.requests.outcome import RunnerResponse

# In how many pieces a stream shows the text, at most.
PIECES: Final = 12

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

# fal: these cost ten times as much (the same schema's words).
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
    """What `fal-ai/any-llm` accepts."""

    prompt: str
    system_prompt: str | None = None
    reasoning: bool = False
    priority: Literal["throughput", "latency"] = "latency"
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int | None = Field(None, ge=1)
    model: ModelName = "google/gemini-2.5-flash-lite"


class AnyLlmOutput(BaseModel):
    """A text, whole or in part."""

    output: str
    reasoning: str | None = None
    partial: bool = False
    error: str | None = None


_ADAPTER: Final = TypeAdapter(AnyLlmInput)


def run(job: Job) -> RunnerOutput:
    """The runner."""
    try:
        its = load(job.body, _ADAPTER)
    except Rejected as rejection:
        return RunnerOutput(rejection.response)
    words = _words(its)
    # assumption: that a request is one unit, and a premium model's ten.
    units = 10 if its.model in PREMIUM else 1
    response = RunnerResponse(200, _said(words, its, partial=False), billable_units=units)
    return RunnerOutput(response, 1, _growing(words, its) if job.streamed else ())


def _words(its: AnyLlmInput) -> list[str]:
    """The text, cut before each space: no more words than tokens were allowed."""
    text = f"This is mock-fal, standing in for {its.model}: no model has read this."
    if its.system_prompt:
        text += f"\nI was told: {its.system_prompt}"
    text += f"\nI was asked: {its.prompt}"
    return [word if n == 0 else f" {word}" for n, word in enumerate(text.split(" "))][: its.max_tokens]


def _said(words: list[str], its: AnyLlmInput, *, partial: bool) -> JSON:
    thought = "mock-fal does not think." if its.reasoning else None
    return {"output": "".join(words), "reasoning": thought, "partial": partial, "error": None}


def _growing(words: list[str], its: AnyLlmInput) -> tuple[JSON, ...]:
    # fal: each event has the whole text so far, and `partial` is true but in the last (live).
    step = math.ceil(len(words) / PIECES)
    return tuple(_said(words[:end], its, partial=True) for end in range(step, len(words), step))


SCHEMAS: Final = {"fal-ai/any-llm": Schema(AnyLlmInput, AnyLlmOutput)}
RUNNERS: Final = {"fal-ai/any-llm": run}
