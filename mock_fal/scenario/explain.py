"""What a directive will do, in plain sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, ScenarioError
from mock_fal.scenario.directive import Directive, parse_directive
from mock_fal.scenario.options import FAMILIES, OPERATIONS, OPTIONS
from mock_fal.scenario.rule_file import read_json
from mock_fal.scenario.rules import MARK, directives_in

_OPERATIONS: Final = {
    "submit": "the submission to the queue",
    "run": "the direct request",
    "stream": "the request for a stream",
    "status": "a look at the status",
    "result": "the request for the result",
    "cancel": "the cancellation",
    "upload": "an upload",
    "token": "the request for a token",
    "download": "the download of a file",
}


def explained(text: str) -> list[str]:
    """Sentences about a directive, the directives in a prompt, or rules in JSON. Raises ScenarioError, with the column."""
    directives = _directives(text)
    return [sentence for directive in directives for sentence in explain(directive)] or [
        "There is no directive: nothing is asked for."
    ]


def pointed(text: str, error: ScenarioError) -> str:
    """What is wrong, and below it the text with a mark under the place."""
    place = re.match(r"column (\d+):", str(error))
    if place is None:
        return str(error)
    line = re.sub(r"\s", " ", text)
    return f"{error}\n  {line}\n  {'^':>{int(place[1])}}"


def _directives(text: str) -> list[Directive]:
    if MARK.search(text):
        return directives_in(text)
    return read_json(text) if text.lstrip().startswith(("[", "{")) else [parse_directive(text)]


def explain(directive: Directive) -> list[str]:
    """A sentence for each word, and one that says where it acts."""
    sentences = [sentence for name in directive.words for sentence in _word(directive, name)]
    acts = directive.outcome_operations | directive.response_operations
    places = ", ".join(_OPERATIONS[operation] for operation in OPERATIONS if operation in acts)
    return [*sentences, f"It acts at: {places}."] if sentences else ["Nothing is asked for."]


def _word(directive: Directive, name: str) -> Iterator[str]:
    value, says = getattr(directive, name), OPTIONS[name].says
    if name in FAMILIES:
        yield from (says.format(f"{inner}: {_told(part)}") for inner, part in value)
        return
    yield says.format(_told(value))
    if name == "error":
        kind = MODEL_ERRORS.get(value)
        status = kind.status if kind else REQUEST_ERRORS[value].status
        yield f"That is a {'model' if kind else 'request'} error: HTTP {status} for whoever asks for the result."


def _told(value: JSON) -> str:
    if isinstance(value, tuple):
        return ".".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
