"""A value that is valid for a JSON Schema: the JSON that a language model writes when it is given one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mock_fal.errors import JSON
from mock_fal.scenario.patterns import check_expression, matches_expression

# The limits of a value. A schema that needs more is rejected.
MAX_DEPTH: Final = 32
MAX_PARTS: Final = 2_000
MAX_CHARS: Final = 100_000

# The values of a schema, so that joining its parts stays cheap.
MAX_SCHEMA_VALUES: Final = 4_000

_FORMATS: Final = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "mock@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

# Texts for strings with a pattern; the first that matches is used.
_CANDIDATES: Final = (
    *("mock", "0", "1", "A", "a", "AA", "AAA", "aaa", "mock-fal", "MOCK", "true", "1.0", "1.0.0"),
    *("2026-01-01", "00:00", "#000000", "000", "00000", "+10000000000"),
)


class Unsatisfiable(Exception):
    """No value was found for a schema. The message names the place and the reason."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


def sample(schema: JSON, text: str = "mock-fal") -> JSON:
    """A value for a schema; strings are `text` where the schema allows it. Raises Unsatisfiable."""
    if _size(schema) > MAX_SCHEMA_VALUES:
        raise Unsatisfiable("schema", f"it has more than {MAX_SCHEMA_VALUES} values")
    try:
        return _Sampler(schema, text).value(schema, "schema", 0)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # A keyword has a value of another type, such as `required: 3`.
        raise Unsatisfiable("schema", f"it is not a JSON Schema: {error}") from None


def _size(schema: JSON) -> int:
    """The number of values in a schema, counted up to the limit."""
    count, pending = 0, [schema]
    while pending and count <= MAX_SCHEMA_VALUES:
        value = pending.pop()
        count += 1
        if isinstance(value, dict | list):
            pending += value.values() if isinstance(value, dict) else value
    return count


@dataclass(slots=True)
class _Sampler:
    root: JSON
    text: str
    parts: int = 0
    chars: int = 0

    def value(self, schema: JSON, path: str, depth: int) -> JSON:
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise Unsatisfiable(path, f"the value has more than {MAX_PARTS} parts")
        if depth > MAX_DEPTH:
            raise Unsatisfiable(path, f"the value is nested more than {MAX_DEPTH} deep")
        if schema is True or schema == {}:
            return self.text
        if not isinstance(schema, dict):
            raise Unsatisfiable(path, f"{schema!r:.60} is not a schema")
        if "$ref" in schema:
            rest = {name: part for name, part in schema.items() if name != "$ref"}
            return self.value(_merged(self._target(schema["$ref"], path), rest), path, depth + 1)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        if isinstance(schema.get("allOf"), list):
            merged = {name: part for name, part in schema.items() if name != "allOf"}
            for part in schema["allOf"]:
                if isinstance(part, dict) and "$ref" in part:
                    part = self._target(part["$ref"], path)
                merged = _merged(merged, part)
            return self.value(merged, path, depth + 1)
        for name in ("anyOf", "oneOf"):
            if isinstance(schema.get(name), list):
                rest = {key: part for key, part in schema.items() if key != name}
                return self._first(rest, schema[name], path, depth)
        return self._typed(schema, path, depth)

    def _first(self, rest: JSON, options: list[JSON], path: str, depth: int) -> JSON:
        """The value of the first option that has one; null only if there is no other."""
        failure = Unsatisfiable(path, "no option has a value")
        for option in sorted(options, key=lambda option: option == {"type": "null"}):
            try:
                return self.value(_merged(rest, option), path, depth + 1)
            except Unsatisfiable as error:
                failure = error
        raise failure

    def _typed(self, schema: Mapping[str, Any], path: str, depth: int) -> JSON:
        kinds = schema.get("type")
        if isinstance(kinds, list):
            kinds = next((kind for kind in kinds if kind != "null"), "null")
        match kinds or _implied(schema):
            case "object":
                return self._object(schema, path, depth)
            case "array":
                return self._array(schema, path, depth)
            case "string":
                text = self._string(schema, path)
                self.chars += len(text)
                if self.chars > MAX_CHARS:
                    raise Unsatisfiable(path, f"the value has more than {MAX_CHARS} characters")
                return text
            case "integer":
                return int(_number(schema, path, whole=True))
            case "number":
                return _number(schema, path, whole=False)
            case "boolean":
                return True
            case "null":
                return None
            case other:
                raise Unsatisfiable(path, f"unknown type {other!r:.60}")

    def _object(self, schema: Mapping[str, Any], path: str, depth: int) -> JSON:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        result = {}
        for name in dict.fromkeys([*properties, *required]):
            try:
                result[name] = self.value(properties.get(name, {}), f"{path}.{name}", depth + 1)
            except Unsatisfiable:
                if name in required:
                    raise
        for number in range(len(result), _count(schema, "minProperties", path)):
            result[f"extra_{number}"] = self.value(
                schema.get("additionalProperties", {}), f"{path}.extra_{number}", depth + 1
            )
        return result

    def _array(self, schema: Mapping[str, Any], path: str, depth: int) -> JSON:
        fixed = schema.get("prefixItems") or []
        items = [self.value(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(fixed)]
        wanted = _count(schema, "minItems", path)
        if not wanted and not items and schema.get("maxItems") != 0:
            wanted = 1  # one item shows more than none
        for index in range(len(items), wanted):
            try:
                items.append(self.value(schema.get("items", {}), f"{path}[{index}]", depth + 1))
            except Unsatisfiable:
                if index < _count(schema, "minItems", path):
                    raise
        return _different(items) if schema.get("uniqueItems") else items

    def _string(self, schema: Mapping[str, Any], path: str) -> str:
        shortest, longest = _count(schema, "minLength", path), schema.get("maxLength")
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            return _matching(pattern, shortest, longest, path)
        text = _FORMATS.get(str(schema.get("format")), self.text)
        if len(text) < shortest:
            text = (text or "-").ljust(shortest, "-")
        return text[:longest] if isinstance(longest, int) else text

    def _target(self, reference: JSON, path: str) -> JSON:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise Unsatisfiable(path, f"$ref {reference!r:.60} does not point into the schema")
        target = self.root
        for name in reference.lstrip("#").strip("/").split("/"):
            name = name.replace("~1", "/").replace("~0", "~")
            if name:
                if not isinstance(target, dict) or name not in target:
                    raise Unsatisfiable(path, f"$ref {reference!r:.60} points to nothing")
                target = target[name]
        return target


def _merged(first: JSON, second: JSON) -> JSON:
    """A schema with the keywords of both; properties and required names are joined."""
    if not isinstance(first, dict):
        return second
    if not isinstance(second, dict):
        return first
    result = {**first, **second}
    if isinstance(first.get("properties"), dict) and isinstance(second.get("properties"), dict):
        result["properties"] = {**first["properties"], **second["properties"]}
    if isinstance(first.get("required"), list) and isinstance(second.get("required"), list):
        result["required"] = [*first["required"], *second["required"]]
    return result


def _implied(schema: Mapping[str, Any]) -> str:
    """The type of a schema that states none."""
    if schema.keys() & {"properties", "required", "additionalProperties", "minProperties"}:
        return "object"
    if schema.keys() & {"items", "prefixItems", "minItems"}:
        return "array"
    if schema.keys() & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}:
        return "number"
    return "string"


def _count(schema: Mapping[str, Any], name: str, path: str) -> int:
    count = schema.get(name, 0)
    if not isinstance(count, int | float) or not 0 <= count <= MAX_CHARS:
        raise Unsatisfiable(path, f"{name} is {count!r:.60}, expected at most {MAX_CHARS}")
    return int(count)


def _number(schema: Mapping[str, Any], path: str, *, whole: bool) -> int | float:
    lowest, highest = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    step = schema.get("multipleOf") or (1 if whole else 0)
    limits = (lowest, highest, above, below, step)
    if any(isinstance(limit, bool) or not isinstance(limit, int | float) for limit in limits):
        raise Unsatisfiable(path, "a limit is not a number")
    start = max(lowest, above)
    if start == -math.inf:
        start = min(1, highest, below)
    candidates: list[int | float] = [1, start]
    if not step and math.isfinite(start):
        candidates += [start + (min(highest, below, start + 2) - start) / 2]
    if step and math.isfinite(start):
        first = math.ceil(start / step) if start > -math.inf else 0
        candidates += [first * step, (first + 1) * step, (first - 1) * step]
    for number in candidates:
        fits = lowest <= number <= highest and above < number < below
        if fits and (not step or math.isclose(number / step, round(number / step), abs_tol=1e-9)):
            return number
    raise Unsatisfiable(path, "no number is within the limits")


def _matching(pattern: str, shortest: int, longest: JSON, path: str) -> str:
    """A text that matches a pattern, by a linear-time search among a few."""
    try:
        check_expression(pattern)
    except ValueError as error:
        raise Unsatisfiable(path, f"the pattern {pattern!r:.60} {error}") from None
    for text in _CANDIDATES:
        if len(text) >= shortest and (not isinstance(longest, int) or len(text) <= longest):
            if matches_expression(pattern, text):
                return text
    raise Unsatisfiable(path, f"no text was found for the pattern {pattern!r:.60}")


def _different(items: list[JSON]) -> list[JSON]:
    """The items, with a number behind repeated texts and added to repeated numbers."""
    seen: list[JSON] = []
    for index, item in enumerate(items):
        if item in seen:
            item = f"{item}-{index}" if isinstance(item, str) else item
            item = item + index if isinstance(item, int | float) and not isinstance(item, bool) else item
        seen.append(item)
    return seen
