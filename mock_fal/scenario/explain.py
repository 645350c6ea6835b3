"""What a cue will do, in plain sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, ScenarioError
from mock_fal.scenario.cue import Cue, parse_cue
from mock_fal.scenario.rulebook import read_json
from mock_fal.scenario.rules import MARK, cues_in
from mock_fal.scenario.vocabulary import FAMILIES, STEPS, WORDS

_STEPS: Final = {
    "submit": "the submission to the queue",
    "run": "the direct request",
    "stream": "the request for a stream",
    "status": "a look at the status",
    "result": "the request for the result",
    "cancel": "the cancellation",
    "upload": "an upload",
    "token": "the request for a token",
    "file": "the download of a file",
}


def explained(text: str) -> list[str]:
    """Sentences about a cue, the cues in a prompt, or rules in JSON. Raises ScenarioError, with the column."""
    cues = _cues(text)
    return [sentence for cue in cues for sentence in explain(cue)] or [
        "There is no cue: nothing is asked for."
    ]


def pointed(text: str, error: ScenarioError) -> str:
    """What is wrong, and below it the text with a mark under the place."""
    place = re.match(r"column (\d+):", str(error))
    if place is None:
        return str(error)
    line = re.sub(r"\s", " ", text)
    return f"{error}\n  {line}\n  {'^':>{int(place[1])}}"


def _cues(text: str) -> list[Cue]:
    if MARK.search(text):
        return cues_in(text)
    return read_json(text) if text.lstrip().startswith(("[", "{")) else [parse_cue(text)]


def explain(cue: Cue) -> list[str]:
    """A sentence for each word, and one that says where it acts."""
    sentences = [sentence for name in cue.words for sentence in _word(cue, name)]
    acts = cue.outcome_steps | cue.answer_steps
    places = ", ".join(_STEPS[step] for step in STEPS if step in acts)
    return [*sentences, f"It acts at: {places}."] if sentences else ["Nothing is asked for."]


def _word(cue: Cue, name: str) -> Iterator[str]:
    value, says = getattr(cue, name), WORDS[name].says
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
