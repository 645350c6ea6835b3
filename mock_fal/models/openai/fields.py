"""Reading the fields of a request to the OpenAI-shaped plane. Unknown fields are ignored: many programs send some."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mock_fal.errors import JSON
from mock_fal.models.openai.problem import Problem, missing, wrong_type, wrong_value


def parse(body: bytes) -> Fields:
    """The object in a request body. Raises Problem."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem("We could not parse the JSON body of your request.") from None
    if not isinstance(document, dict):
        raise Problem("The body of your request is not a JSON object.")
    return Fields(document)


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a request; `path` is its place, as in `messages[0].`. A null counts as missing."""

    values: dict[str, Any]
    path: str = ""

    def get(self, name: str) -> JSON:
        return self.values.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """A string. Raises Problem if it is missing and has no default, or is something else."""
        value = self.values.get(name)
        if value is None:
            if default is None:
                raise missing(self.path + name)
            return default
        if not isinstance(value, str):
            raise wrong_type(self.path + name, "a string", value)
        return value

    def flag(self, name: str) -> bool:
        """A boolean, by default false."""
        value = self.values.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise wrong_type(self.path + name, "a boolean", value)
        return value

    def whole(self, name: str, lowest: int, highest: int | None = None) -> int | None:
        """An integer within limits, or None."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(self.path + name, "an integer", value)
        self._check(name, value, lowest, highest)
        return value

    def number(self, name: str, lowest: float, highest: float) -> float | None:
        """A number within limits, or None."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(self.path + name, "a decimal number", value)
        self._check(name, value, lowest, highest)
        return value

    def object(self, name: str) -> Fields | None:
        """An object, or None."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong_type(self.path + name, "an object", value)
        return Fields(value, f"{self.path}{name}.")

    def objects(self, name: str, limit: int) -> list[Fields]:
        """A list of objects, by default an empty one."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong_type(self.path + name, "an array of objects", value)
        if len(value) > limit:
            raise wrong_value(self.path + name, f"it has {len(value)} items, expected at most {limit}")
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise wrong_type(f"{self.path}{name}[{index}]", "an object", item)
        return [Fields(item, f"{self.path}{name}[{index}].") for index, item in enumerate(value)]

    def _check(self, name: str, value: float, lowest: float, highest: float | None) -> None:
        if value < lowest or (highest is not None and value > highest):
            limit = f">= {lowest}" if highest is None or value < lowest else f"<= {highest}"
            raise wrong_value(
                self.path + name, f"expected a value {limit}, but got {str(value)[:30]} instead"
            )
