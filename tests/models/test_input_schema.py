from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mock_fal.errors import JSON
from mock_fal.models.catalog import Catalog
from mock_fal.models.input_schema import (
    as_plain,
    input_adapter,
    input_files,
)
from mock_fal.models.schema_types import (
    MAX_LEVELS,
    MAX_PATTERN,
    MAX_SCHEMAS,
    MAX_VALUES,
    UnusableSchema,
)
from mock_fal.models.validation import Rejected, load
from tests.models.smallest import smallest
from tests.strategies import documents

VALIDATION = Path(__file__).parent / "data" / "validation"
REJECTIONS = sorted(VALIDATION.rglob("*.json"))

# Some endpoints of every kind, with unions, nested objects, lists of files, URLs, sets and tuples.
SAMPLE = [
    "fal-ai/flux/schnell",
    "fal-ai/flux-2/edit",
    "fal-ai/nano-banana-pro/edit",
    "fal-ai/veo3",
    "fal-ai/kling-video/o3/4k/image-to-video",
    "fal-ai/elevenlabs/speech-to-text/scribe-v2",
    "fal-ai/whisper",
    "fal-ai/gemini-3.1-flash-tts",
    "fal-ai/fooocus/inpaint",
    "fal-ai/ltx-video-trainer",
]


CATALOG = Catalog()


def input_of(endpoint: str) -> JSON:
    """The schema of an endpoint's input."""
    model = CATALOG.find(endpoint)
    assert model is not None
    return model.input


def fields(**properties: JSON) -> JSON:
    return {"type": "object", "title": "Input", "properties": properties}


def result(schema: JSON, document: JSON) -> JSON:
    """The validated input as plain values, or the list of errors."""
    try:
        return as_plain(load(json.dumps(document).encode(), input_adapter(schema)))
    except Rejected as rejection:
        return rejection.response.body["detail"]


def errors(schema: JSON, document: JSON) -> list[JSON]:
    return [(item["type"], tuple(item["loc"][1:])) for item in result(schema, document)]


# -- errors


@pytest.mark.parametrize(
    "path", REJECTIONS, ids=lambda path: str(path.relative_to(VALIDATION).with_suffix(""))
)
def test_a_model_built_from_fals_document_gives_the_golden_error(path: Path) -> None:
    folder = path.parent.relative_to(VALIDATION).as_posix()
    endpoint = "fal-ai/flux/schnell" if folder == "." else folder
    with pytest.raises(Rejected) as rejection:
        load(path.with_suffix(".body").read_bytes(), input_adapter(input_of(endpoint)))
    assert json.dumps(rejection.value.response.body) == json.dumps(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize(
    ("schema", "value", "error"),
    [
        ({"type": "string", "maxLength": 2}, "abc", "string_too_long"),
        ({"type": "string", "pattern": "^a+$"}, "b", "string_pattern_mismatch"),
        ({"type": "string", "format": "uuid4"}, "b", "uuid_parsing"),
        ({"type": "string", "format": "date"}, "b", "date_from_datetime_parsing"),
        ({"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083}, "data:,", "url_scheme"),
        ({"type": "string", "format": "uri", "minLength": 1}, "b", "url_parsing"),
        ({"type": "integer", "minimum": 2}, 1, "greater_than_equal"),
        ({"type": "integer", "minimum": 0.5}, 0, "greater_than_equal"),
        ({"type": "number", "exclusiveMaximum": 2}, 2, "less_than"),
        ({"type": "number", "multipleOf": 0.5}, 0.75, "multiple_of"),
        ({"type": "number", "x-int": True}, 0.75, "int_from_float"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [], "too_short"),
        ({"type": "array", "uniqueItems": True, "items": {"type": "string"}}, 1, "set_type"),
        ({"type": "array", "prefixItems": [{}], "minItems": 1, "maxItems": 1}, [], "missing"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": "b"}, "int_parsing"),
        ({"type": "object", "properties": {}, "additionalProperties": False}, {"a": 1}, "extra_forbidden"),
        ({"const": "a"}, "b", "literal_error"),
        ({"type": ["integer", "null"]}, "b", "int_parsing"),
        ({"allOf": [{"type": "string"}, {"maxLength": 1}]}, "ab", "string_too_long"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}], "minimum": 3}, 2, "greater_than_equal"),
        ({"type": "string"}, None, "string_type"),
    ],
)
def test_a_value_against_the_schema_gets_pydantics_error(schema: JSON, value: JSON, error: str) -> None:
    kinds = [kind for kind, _ in errors(fields(x=schema), {"x": value})]
    assert kinds[0] == error


def test_errors_of_a_union_name_its_members_as_the_original_model_does() -> None:
    size = {"title": "ImageSize", "type": "object", "properties": {"width": {"type": "integer"}}}
    members = [
        size,
        {"type": "string", "enum": ["a", "b"]},
        {"type": "integer", "minimum": 1},
        {"type": "array", "items": {"type": "string"}},
    ]
    assert [loc for _, loc in errors(fields(x={"anyOf": members}), {"x": {"width": "w"}})] == [
        ("x", "ImageSize", "width"),
        ("x", "literal['a','b']"),
        ("x", "constrained-int"),
        ("x", "list[str]"),
    ]


@pytest.mark.parametrize(
    "name", ["schema", "json", "copy", "model_fields", "model_name", "class", "a-b", "_x", "0", "", "ü"]
)
def test_a_field_may_have_any_name(name: str) -> None:
    schema = fields(**{name: {"type": "integer"}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert result(schema, {name: 1}) == {name: 1}
    assert errors(schema, {name: "x"}) == [("int_parsing", (name,))]


# -- accepted inputs


def test_the_smallest_input_of_every_endpoint_is_valid() -> None:
    results = {}
    for endpoint in CATALOG.ids():
        schema = input_of(endpoint)
        results[endpoint] = result(schema, smallest(schema))
    assert {endpoint: plain for endpoint, plain in results.items() if isinstance(plain, list)} == {}
    for endpoint, plain in results.items():
        assert list(plain)[: len(input_of(endpoint).get("properties", {}))] == list(
            input_of(endpoint).get("properties", {})
        )


def test_a_default_is_taken_as_it_is_and_a_missing_field_is_null() -> None:
    schema = fields(a={"type": "integer", "default": "x"}, b={"type": "string"}, c={"default": [{"d": 1}]})
    assert result(schema, {}) == {"a": "x", "b": None, "c": [{"d": 1}]}


def test_unknown_fields_are_ignored_unless_the_schema_takes_them() -> None:
    inner = {"type": "object", "properties": {}, "additionalProperties": True}
    assert result(fields(a=inner), {"a": {"b": 1}, "c": 2}) == {"a": {"b": 1}}
    assert result({}, {"a": {"b": 1}}) == {"a": {"b": 1}}


def test_values_that_json_does_not_have_become_plain() -> None:
    schema = fields(
        url={"type": "string", "format": "uri", "minLength": 1},
        day={"type": "string", "format": "date"},
        names={"type": "array", "uniqueItems": True, "items": {"type": "string"}},
        color={"type": "array", "prefixItems": [{"type": "integer"}] * 2, "minItems": 2, "maxItems": 2},
    )
    document = {"url": "https://a.b/c", "day": "2026-01-02", "names": ["b", "a", "b"], "color": [1, 2]}
    assert result(schema, document) == document | {"names": ["a", "b"]}


def test_an_adapter_is_built_once_for_a_schema() -> None:
    schema = fields(a={"type": "integer"})
    assert input_adapter(schema) is input_adapter(schema)


def values(schema: JSON) -> st.SearchStrategy[JSON]:
    """Values that are often valid: of the types of the schema, without regard to most limits."""
    if "anyOf" in schema:
        return st.one_of([values(member) for member in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "string":
            return st.text("ab#0", max_size=8)
        case "integer":
            return st.integers(-2, 60)
        case "number":
            return st.integers(-2, 60) if schema.get("x-int") else st.integers(-4, 100).map(lambda n: n / 2)
        case "boolean":
            return st.booleans()
        case "array":
            # pydantic drops the duplicates of a set.
            key = json.dumps if schema.get("uniqueItems") else None
            return st.lists(values(schema.get("items", {})), max_size=3, unique_by=key)
        case "object":
            properties = schema.get("properties", {})
            required = set(schema.get("required", ()))
            return st.fixed_dictionaries(
                {name: values(field) for name, field in properties.items() if name in required},
                optional={name: values(field) for name, field in properties.items() if name not in required},
            )
        case "null":
            return st.none()
    return st.just("x")


@pytest.mark.parametrize("endpoint", SAMPLE)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_of_values_of_the_right_types_those_are_accepted_that_the_schema_accepts(
    endpoint: str, data: st.DataObject
) -> None:
    schema = input_of(endpoint)
    document = data.draw(values(schema))
    is_valid = Draft202012Validator(schema).is_valid(document)
    assert isinstance(result(schema, document), dict) == is_valid


@pytest.mark.parametrize("endpoint", SAMPLE)
@given(document=documents())
@settings(max_examples=20, deadline=None)
def test_any_document_gets_a_result(endpoint: str, document: JSON) -> None:
    schema = input_of(endpoint)
    assert isinstance(result(schema, document), dict | list)
    assert list(input_files(schema, document)) == list(input_files(schema, document))


# -- schemas that can't be used


def nested(levels: int) -> JSON:
    schema: JSON = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (nested(MAX_LEVELS + 1), f"at most {MAX_LEVELS} levels"),
        (fields(**{f"f{n}": {} for n in range(MAX_SCHEMAS)}), f"{MAX_SCHEMAS} schemas"),
        ({"enum": list(range(MAX_VALUES + 1))}, f"at most {MAX_VALUES} values"),
        ({"enum": []}, "a list of values"),
        ({"enum": [[]]}, "plain values"),
        ({"$ref": "#/a"}, "found the reference '#/a'"),
        ({"type": "text"}, "found the type 'text'"),
        ({"type": "integer", "multipleOf": 0}, "found 0 as `multipleOf`"),
        ({"type": "integer", "minimum": "a"}, "found 'a' as `minimum`"),
        ({"type": "string", "maxLength": -1}, "found -1 as `maxLength`"),
        ({"type": "string", "maxLength": 1.5}, "pydantic can't use the schema"),
        ({"type": "string", "pattern": "a" * (MAX_PATTERN + 1)}, "a pattern of at most"),
        ({"anyOf": []}, "a list of schemas"),
        ({"allOf": [1]}, "a list of schemas as `allOf`"),
        (False, "found False; expected a schema"),
        (fields(**{"a" * 201: {}}), "has 201 characters"),
        ({"type": "object", "properties": [], "title": "A"}, "expected `properties` as an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unusable_schema_is_named(schema: JSON, message: str) -> None:
    with pytest.raises(UnusableSchema, match=message):
        input_adapter(fields(x=schema))


@pytest.mark.parametrize("pattern", ["(?=a)", "[", r"(a)\1", "a{1000}{1000}"])
def test_a_pattern_that_can_not_be_compiled_is_ignored_with_a_warning(
    pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert result(fields(x={"type": "string", "pattern": pattern}), {"x": "z"}) == {"x": "z"}
    assert f"the pattern {pattern!r} is ignored" in caplog.text


# -- files


def files(schema: JSON, document: JSON) -> list[tuple[str, str, str]]:
    return [(".".join(file.loc), file.url, file.media) for file in input_files(schema, document, "video")]


def test_files_are_found_in_lists_objects_and_unions_in_the_order_of_the_schema() -> None:
    text = {"type": "string"}
    file = {"title": "File", "type": "object", "properties": {"url": text}}
    element = {"type": "object", "properties": {"frontal_image_url": text, "video_url": text}}
    schema = fields(
        media_url=text,
        image_urls={"anyOf": [{"type": "array", "items": text}, {"type": "null"}], "x-file": True},
        elements={"type": "array", "items": {"anyOf": [{"type": "null"}, element]}},
        audio=file | {"x-file": True},
        data={"type": "string", "x-file": True, "x-media": "archive"},
        mask=text,
        image=text,
        webhook_url=text,
    )
    document = {
        "image": "preset",
        "mask": "data:,m",
        "webhook_url": "https://a",
        "data": "z",
        "audio": {"url": "s"},
        "elements": [{"video_url": "v", "frontal_image_url": "f"}, {"frontal_image_url": "g"}, None],
        "image_urls": ["b", 1, "a"],
        "media_url": "m",
    }
    assert files(schema, document) == [
        ("media_url", "m", "video"),
        ("image_urls", "b", "image"),
        ("image_urls", "a", "image"),
        ("elements.frontal_image_url", "f", "image"),
        ("elements.video_url", "v", "video"),
        ("elements.frontal_image_url", "g", "image"),
        ("audio", "s", "audio"),
        ("data", "z", "other"),
        ("mask", "data:,m", "image"),
    ]


@pytest.mark.parametrize("endpoint", ["fal-ai/flux-2/edit", "fal-ai/kling-video/o3/4k/image-to-video"])
def test_the_validated_input_names_the_same_files_as_the_body(endpoint: str) -> None:
    schema = input_of(endpoint)
    document = smallest(schema)
    found = list(input_files(schema, document))
    assert found and found == list(input_files(schema, result(schema, document)))
