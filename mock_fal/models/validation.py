"""Validating a request body, with the error responses of FastAPI and pydantic.

fal: runners are FastAPI apps with pydantic v2 (fal SDK; a flux/schnell 422 seen live in late 2025). The error items
here are identical to those of a FastAPI 0.115 app with the same models (checked by tests/models/test_input_schema.py).
"""

from __future__ import annotations

import json
from typing import Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from mock_fal.errors import JSON, is_deeper
from mock_fal.requests.outcome import RunnerResponse, rejected

# An error repeats its input, unless that has more levels: Python can parse more levels than it can serialise.
MAX_DEPTH: Final = 100

Model = TypeVar("Model", bound=BaseModel)


class Rejected(Exception):
    """The body is invalid; `response` is the runner's error response."""

    def __init__(self, response: RunnerResponse) -> None:
        super().__init__(response.body)
        self.response = response


def load(body: bytes, model: TypeAdapter[Model]) -> Model:
    """The validated input of a request. Raises Rejected with the runner's 422, or 400 for a body that is no text."""
    document = parse(body)
    if document is None:
        raise Rejected(rejected([_item("missing", ["body"], "Field required", None)]))
    try:
        # FastAPI validates from attributes too, which affects its errors for a body that is no object.
        return model.validate_python(document, from_attributes=True)
    except ValidationError as error:
        items = error.errors(include_url=False)
        raise Rejected(rejected([_ordered(dict(item)) for item in items])) from None


def parse(body: bytes) -> JSON:
    """The JSON document of a body, whatever its content type; None for an empty body."""
    if not body:
        return None
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        position, message = _older_message(error)
        item = _item("json_invalid", ["body", position], "JSON decode error", {}, {"error": message})
        raise Rejected(rejected([item])) from None
    except (ValueError, RecursionError):
        # Invalid Unicode, numbers with more digits than Python parses, nesting that is too deep.
        raise Rejected(RunnerResponse(400, {"detail": "There was an error parsing the body"})) from None


def _older_message(error: json.JSONDecodeError) -> tuple[int, str]:
    """Position and message of an error as in Python up to 3.12; 3.13 added a message for trailing commas."""
    # fal: FastAPI on such a Python responds with "Expecting property name enclosed in double quotes".
    message = _TRAILING_COMMA.get(error.msg)
    if message is None:
        return error.pos, error.msg
    after = error.doc[error.pos + 1 :]
    return len(error.doc) - len(after.lstrip(" \t\n\r")), message


_TRAILING_COMMA: Final = {
    "Illegal trailing comma before end of object": "Expecting property name enclosed in double quotes",
    "Illegal trailing comma before end of array": "Expecting value",
}


def _item(error_type: str, loc: list[str | int], msg: str, value: JSON, ctx: JSON = None) -> JSON:
    item = {"type": error_type, "loc": loc, "msg": msg, "input": value}
    return item | {"ctx": ctx} if ctx else item


def _ordered(item: JSON) -> JSON:
    """A pydantic error in FastAPI's form: `loc` begins with `body`, and the keys are in FastAPI's order."""
    value = None if is_deeper(item["input"], MAX_DEPTH) else item["input"]
    return _item(item["type"], ["body", *item["loc"]], item["msg"], value, item.get("ctx"))
