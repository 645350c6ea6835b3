"""The text of language models: it names the model and repeats the prompts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mock_fal.errors import JSON

# The maximum number of events in a stream.
MAX_EVENTS: Final = 12

# assumption: each file in a prompt counts as this many tokens, whatever its kind and size.
FILE_TOKENS: Final = 258

# fal: in the example of openrouter/router/vision, 1,340 + 63 tokens of google/gemini-2.5-flash cost 0.0005595 dollars,
# which is its list price of 0.30 and 2.50 dollars per million tokens (fal's documentation, 2026).
# assumption: this price, for every model.
PROMPT_NANO_USD: Final = 300
COMPLETION_NANO_USD: Final = 2500

REASONING: Final = "mock-fal does not think."


# assumption: a token is a word with the space before it; those of models are shorter.
@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of a request."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost(self) -> float:
        """The price in US dollars."""
        return (self.prompt_tokens * PROMPT_NANO_USD + self.completion_tokens * COMPLETION_NANO_USD) / 1e9

    @property
    def body(self) -> dict[str, JSON]:
        """The four members that openrouter/router and OpenAI's chat completions share."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "cost": self.cost,
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a language model. `is_cut` means that it reached `max_tokens`."""

    words: tuple[str, ...]
    reasoning: str | None
    usage: Usage
    is_cut: bool

    @property
    def text(self) -> str:
        return "".join(self.words)

    def growing(self) -> Iterator[str]:
        """The text so far at each event of a stream before the last."""
        return ("".join(self.words[:end]) for end in _steps(len(self.words)))

    def deltas(self) -> Iterator[str]:
        """The text in the pieces of a stream, one for each event."""
        return pieces(self.words)


def reply(model_id: str, fields: Mapping[str, JSON]) -> Reply:
    """The answer to an input with the common field names, of the model that it names or else of `model_id`."""
    prompt, system = _string(fields.get("prompt")), _string(fields.get("system_prompt"))
    files = count_files(fields)
    text = answer_text(_string(fields.get("model")) or model_id, prompt, system=system, files=files)
    max_tokens = fields.get("max_tokens")
    return limited(
        text,
        max_tokens if isinstance(max_tokens, int) else None,
        prompt_tokens=count_tokens(prompt) + count_tokens(system) + files * FILE_TOKENS,
        reasoning=fields.get("reasoning") is True,
    )


def answer_text(model: str, prompt: str, *, system: str = "", files: int = 0) -> str:
    """What a model says to a prompt."""
    text = f"This is mock-fal, standing in for {model}: no model has read this."
    if system:
        text += f"\nI was told: {system}"
    if files:
        text += f"\nI was given: {files} file{'s' if files > 1 else ''}"
    return f"{text}\nI was asked: {prompt}" if prompt or not files else text


def limited(text: str, max_tokens: int | None, *, prompt_tokens: int, reasoning: bool = False) -> Reply:
    """A reply with this text, cut after `max_tokens`."""
    words = tuple(split(text))
    kept = words[:max_tokens]
    return Reply(
        kept, REASONING if reasoning else None, Usage(prompt_tokens, len(kept)), len(kept) < len(words)
    )


def split(text: str) -> list[str]:
    """The tokens of a text, which join to it again: it is split before each space."""
    if not text:
        return []
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def count_tokens(text: str) -> int:
    return text.count(" ") + 1 if text else 0


def pieces(words: tuple[str, ...]) -> Iterator[str]:
    """The words joined to at most MAX_EVENTS pieces."""
    ends = [*_steps(len(words)), len(words)]
    return ("".join(words[start:end]) for start, end in zip([0, *ends], ends, strict=False) if words)


def count_files(fields: Mapping[str, JSON]) -> int:
    """The number of files that an input names, in fields such as `image_url` and `video_urls`."""
    count = 0
    for name, value in fields.items():
        if name.endswith("_urls") and isinstance(value, list):
            count += len(value)
        elif name.endswith("_url") and isinstance(value, str) and value:
            count += 1
    return count


def _steps(words: int) -> range:
    step = math.ceil(words / MAX_EVENTS)
    return range(step, words, step) if step else range(0)


def _string(value: JSON) -> str:
    return value if isinstance(value, str) else ""
