"""Values for a JSON Schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mock_fal.models.json_sample import MAX_CHARS, Unsatisfiable, sample

# What users of structured output send: nested objects, references, unions and limits.
SCHEMAS: list[Any] = [
    {},
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    {"type": "object", "required": ["a"], "minProperties": 3},
    {"properties": {"a": {"minimum": 3}}},
    {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "maxItems": 0},
    {"prefixItems": [{"type": "string"}, {"type": "number"}], "minItems": 2},
    {"type": "string", "minLength": 30},
    {"type": "string", "maxLength": 3},
    {"type": "string", "pattern": "^[A-Z]{2}$"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "enum": ["C", "F"]},
    {"const": {"a": 1}},
    {"type": "integer", "exclusiveMinimum": 4, "maximum": 5},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "integer", "minimum": 10, "multipleOf": 7},
    {"type": "number", "maximum": -2.5},
    {"type": "boolean"},
    {"type": ["null", "string"]},
    {"type": "null"},
    {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 2}]},
    {"oneOf": [{"type": "string", "pattern": "^q{9}z$"}, {"type": "string"}]},
    {
        "allOf": [{"$ref": "#/$defs/A"}, {"properties": {"b": {"type": "string"}}, "required": ["b"]}],
        "$defs": {"A": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
    },
    {
        "$ref": "#/$defs/Tree",
        "$defs": {
            "Tree": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "parent": {"$ref": "#/$defs/Tree"}},
                "required": ["name"],
            }
        },
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_the_value_is_valid_for_its_schema(schema: Any) -> None:
    jsonschema.validate(sample(schema), schema, cls=jsonschema.Draft202012Validator)


def test_strings_are_the_given_text() -> None:
    assert sample({"properties": {"a": {"type": "string"}}}, "hello") == {"a": "hello"}


def test_an_array_has_an_item_where_it_may() -> None:
    assert sample({"type": "array", "items": {"type": "string"}}, "x") == ["x"]


def test_an_optional_part_without_a_value_is_left_out() -> None:
    assert sample({"properties": {"a": {"type": "string", "pattern": "^q{9}z$"}, "b": {"const": 1}}}) == {
        "b": 1
    }


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (False, "False is not a schema"),
        ({"type": "strange"}, "unknown type 'strange'"),
        ({"$ref": "https://example.com"}, "does not point into the schema"),
        ({"$ref": "#/$defs/None"}, "points to nothing"),
        ({"$ref": "#"}, "nested more than 32 deep"),
        ({"anyOf": []}, "no option has a value"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "no number is within the limits"),
        ({"type": "number", "multipleOf": 1e-320, "minimum": 5}, "it is not a JSON Schema"),
        ({"type": "number", "minimum": "5"}, "a limit is not a number"),
        ({"type": "string", "pattern": "("}, "is not a regular expression"),
        ({"type": "string", "pattern": "^q{9}z$"}, "no text was found"),
        ({"type": "string", "minLength": MAX_CHARS + 1}, "expected at most"),
        ({"type": "array", "items": {"type": "string", "minLength": 9000}, "minItems": 100}, "characters"),
        ({"type": "array", "minItems": 3000}, "more than 2000 parts"),
        ({"required": 3}, "it is not a JSON Schema"),
        ({"properties": [1]}, "it is not a JSON Schema"),
        ({"enum": [1] * 5000}, "more than 4000 values"),
    ],
    ids=str,
)
def test_a_schema_without_a_value_is_an_error(schema: Any, reason: str) -> None:
    with pytest.raises(Unsatisfiable) as caught:
        sample(schema)
    assert reason in str(caught.value)
