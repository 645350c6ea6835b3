"""What the web framework under fal's runners makes of a body: FastAPI's words, with pydantic's.

fal: runners are FastAPI apps with pydantic v2 (fal SDK; a flux/schnell 422 seen live in late 2025). The items
here equal those of a FastAPI 0.115 app with the same models, to the letter (held by tests/test_catalog.py).
"""

from __future__ import annotations

import json
from typing import Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from mock_fal.errors import JSON
from mock_fal.requests.outcome import RunnerResponse, is_deeper, rejected

# An error repeats the input that it is about, but for one that is deeper: Python reads more levels than it can write.
MAX_DEPTH: Final = 100

Model = TypeVar("Model", bound=BaseModel)


class Rejected(Exception):
    """The body does not fit; `answer` says why."""

    def __init__(self, response: RunnerResponse) -> None:
        super().__init__(response.body)
        self.response = response


def load(body: bytes, model: TypeAdapter[Model]) -> Model:
    """The input of a request. Raises Rejected with the runner's 422, or 400 for what is no text at all."""
    document = parse(body)
    if document is None:
        raise Rejected(rejected([_item("missing", ["body"], "Field required", None)]))
    try:
        # FastAPI reads attributes too, which shows in its errors for what is no object.
        return model.validate_python(document, from_attributes=True)
    except ValidationError as error:
        items = error.errors(include_url=False)
        raise Rejected(rejected([_ordered(dict(item)) for item in items])) from None


def parse(body: bytes) -> JSON:
    """The document of a body, whatever its content type says; None for an empty one."""
    if not body:
        return None
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        place, words = _older_words(error)
        item = _item("json_invalid", ["body", place], "JSON decode error", {}, {"error": words})
        raise Rejected(rejected([item])) from None
    except (ValueError, RecursionError):
        # Bytes that are no Unicode, numbers of more digits than Python reads, brackets without end.
        raise Rejected(RunnerResponse(400, {"detail": "There was an error parsing the body"})) from None


def _older_words(error: json.JSONDecodeError) -> tuple[int, str]:
    """Where and what the mistake is, as Python says it up to 3.12: from 3.13 on, a trailing comma has its own words."""
    # fal: "Expecting property name enclosed in double quotes" is what FastAPI on such a Python answers.
    words = _TRAILING_COMMA.get(error.msg)
    if words is None:
        return error.pos, error.msg
    after = error.doc[error.pos + 1 :]
    return len(error.doc) - len(after.lstrip(" \t\n\r")), words


_TRAILING_COMMA: Final = {
    "Illegal trailing comma before end of object": "Expecting property name enclosed in double quotes",
    "Illegal trailing comma before end of array": "Expecting value",
}


def _item(kind: str, loc: list[str | int], msg: str, seen: JSON, ctx: JSON = None) -> JSON:
    item = {"type": kind, "loc": loc, "msg": msg, "input": seen}
    return item | {"ctx": ctx} if ctx else item


def _ordered(item: JSON) -> JSON:
    """An error of pydantic in FastAPI's words: the place begins with `body`, the order is FastAPI's."""
    seen = None if is_deeper(item["input"], MAX_DEPTH) else item["input"]
    return _item(item["type"], ["body", *item["loc"]], item["msg"], seen, item.get("ctx"))
