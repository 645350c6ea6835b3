"""Explains in sentences what a directive does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, ScenarioError
from mock_fal.scenario.directive import Directive, parse_directive
from mock_fal.scenario.options import CONCURRENCY_ERROR, NAMED_OPTIONS, OPERATIONS, OPTIONS
from mock_fal.scenario.output import Output
from mock_fal.scenario.rule_file import read_json
from mock_fal.scenario.rules import DIRECTIVE_START, directives_in
from mock_fal.scenario.syntax import cut

_OPERATION_NAMES: Final = {
    "submit": "submission to the queue",
    "run": "direct request",
    "stream": "stream request",
    "realtime": "realtime input",
    "handshake": "WebSocket handshake",
    "status": "status poll",
    "result": "result request",
    "cancel": "cancellation",
    "upload": "upload",
    "token": "token request",
    "download": "file download",
    "webhook": "webhook",
}


def explain_text(text: str) -> list[str]:
    """Sentences about a directive, a prompt with directives, or rules in JSON. Raises ScenarioError with the column."""
    directives = _directives(text)
    return [sentence for directive in directives for sentence in explain(directive)] or [
        "There is no directive, so nothing changes."
    ]


def texts_of(arguments: Sequence[str]) -> list[str]:
    """The texts in command line arguments: prompts and JSON by themselves, other arguments joined to one directive.

    >>> texts_of(["a cat [mock: nsfw]", "status=503", "times=2"])
    ['a cat [mock: nsfw]', 'status=503 times=2']
    """
    return [
        text
        for complete, group in groupby(arguments, key=_is_complete)
        for text in (group if complete else [" ".join(group)])
    ]


def _is_complete(argument: str) -> bool:
    """Whether it is a prompt with a whole directive, or JSON, rather than a part that the shell split off."""
    match = DIRECTIVE_START.search(argument)
    if match is not None:
        return "]" in argument[match.end() :]
    return argument.strip()[:1] in ("[", "{") and argument.strip()[-1:] in ("]", "}")


def with_pointer(text: str, error: ScenarioError) -> str:
    """The error message, followed by the text with a pointer below the column."""
    match = re.match(r"column (\d+):", str(error))
    if match is None:
        return str(error)
    line = re.sub(r"\s", " ", text)
    return f"{error}\n  {line}\n  {'^':>{int(match[1])}}"


def _directives(text: str) -> list[Directive]:
    if DIRECTIVE_START.search(text):
        return directives_in(text)
    return read_json(text) if text.lstrip().startswith(("[", "{")) else [parse_directive(text)]


def explain(directive: Directive) -> list[str]:
    """A sentence for each option, and one that lists the operations it applies to."""
    sentences = [sentence for name in directive.option_names for sentence in _sentences(directive, name)]
    applies_to = directive.outcome_operations | directive.response_operations
    operations = ", ".join(_OPERATION_NAMES[operation] for operation in OPERATIONS if operation in applies_to)
    if not sentences:
        return ["The directive is empty, so nothing changes."]
    return [*sentences, f"Applies to: {operations}."]


def _sentences(directive: Directive, name: str) -> Iterator[str]:
    value, sentence = getattr(directive, name), OPTIONS[name].sentence
    if name in NAMED_OPTIONS:
        yield from (sentence.format(f"{inner}: {_shown(part)}") for inner, part in value)
        return
    yield sentence.format(_shown(value))
    if name == "error":
        model_error = MODEL_ERRORS.get(value)
        kind, status = (
            ("model", model_error.status) if model_error else ("request", REQUEST_ERRORS[value].status)
        )
        yield f"It is a {kind} error: the result is HTTP {status}."
        if value == CONCURRENCY_ERROR:
            yield (
                "Only direct requests receive it; queued requests wait at the limit. "
                "To refuse a submission, use status=429 retry_after=1 times=1."
            )


def _shown(value: JSON) -> str:
    if isinstance(value, tuple):
        return ".".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Output):
        return cut(value.text)
    return value if isinstance(value, str) else json.dumps(value)
