"""Rows from OpenAPI documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_fal.errors import JSON
from mock_fal.models.documents import BadDocument, row_of, row_of_listing, row_of_row, without_prose

ID = "me/my-app/go"


def document(input: JSON, output: JSON | None = None, schemas: JSON | None = None, **info: JSON) -> JSON:
    """A document in fal's form."""
    ok = {"content": {"application/json": {"schema": output if output is not None else {}}}}
    return {
        "openapi": "3.0.4",
        "info": {"x-fal-metadata": {"endpointId": ID, "category": "text-to-image"}, **info},
        "components": {"schemas": schemas or {}},
        "paths": {
            f"/{ID}/requests/{{request_id}}/status": {"get": {"responses": {"200": {}}}},
            f"/{ID}": {"post": {"requestBody": {"content": {"application/json": {"schema": input}}}}},
            f"/{ID}/requests/{{request_id}}": {"get": {"responses": {"200": ok}}},
        },
    }


def field(schema: JSON, name: str = "it", schemas: JSON | None = None) -> Any:
    """The schema of an input field in a row."""
    row = row_of(document({"type": "object", "properties": {name: schema}}, schemas=schemas))
    return row["input"]["properties"][name]


def test_a_row_has_the_schemas_of_input_and_output() -> None:
    schemas = {
        "In": {"title": "In", "type": "object", "properties": {"a": {"type": "string", "title": "A"}}},
        "Out": {"type": "object", "properties": {"b": {"type": "integer", "description": "Prose."}}},
    }
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in schemas]
    assert row_of(document(refs[0], refs[1], schemas)) == {
        "id": ID,
        "category": "text-to-image",
        "evidence": "openapi",
        "input": {"title": "In", "type": "object", "properties": {"a": {"type": "string"}}},
        "output": {"type": "object", "properties": {"b": {"type": "integer"}}},
    }


def test_fields_are_in_fals_order() -> None:
    schema = {"properties": {"a": {}, "b": {}, "c": {}}, "x-fal-order-properties": ["c", "gone", "a", "c"]}
    assert list(row_of(document(schema))["input"]["properties"]) == ["c", "a", "b"]


NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("published", "kept"),
    [
        ({"type": "integer", "nullable": True}, {"anyOf": [{"type": "integer"}, NULL]}),
        ({"type": ["integer", "null"], "minimum": 1}, {"anyOf": [{"type": "integer", "minimum": 1}, NULL]}),
        ({"anyOf": [NULL, {"type": "integer"}]}, {"anyOf": [{"type": "integer"}, NULL]}),
        ({"anyOf": [{"type": "integer"}], "default": 1}, {"type": "integer", "default": 1}),
        (
            {"oneOf": [{"type": "integer"}, {"type": "string"}]},
            {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        ),
        (
            {"anyOf": [{"type": "integer", "nullable": True}, {"type": "string"}]},
            {"anyOf": [{"type": "integer"}, {"type": "string"}, NULL]},
        ),
        (
            {"anyOf": [{"type": "integer"}, NULL], "minimum": 2},
            {"anyOf": [{"type": "integer", "minimum": 2}, NULL]},
        ),
        ({"anyOf": []}, {}),
        (
            {"type": "string", "enum": ["a", None], "nullable": True},
            {"anyOf": [{"type": "string", "enum": ["a"]}, NULL]},
        ),
        ({"type": "integer", "default": None}, {"type": "integer"}),
        ({"const": "a"}, {"enum": ["a"]}),
        (
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            {"type": "number", "exclusiveMinimum": 0},
        ),
        ({"type": "number", "maximum": 1, "exclusiveMaximum": False}, {"type": "number", "maximum": 1}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "exclusiveMinimum": 0}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "string", "default": "x" * 99}, {"type": "string", "default": "x" * 99}),
        ({"type": "string", "examples": ["a"], "ui": {"important": True}}, {"type": "string"}),
        ({"allOf": [{"type": "integer"}], "default": 2}, {"type": "integer", "default": 2}),
        ({"$ref": "#/components/schemas/Gone"}, {}),
        ({"$ref": "#/components/schemas/Loop"}, {}),
    ],
)
def test_a_field_is_converted(published: JSON, kept: JSON) -> None:
    assert field(published, schemas={"Loop": {"$ref": "#/components/schemas/Loop"}}) == kept


def test_the_catalogue_does_not_keep_fals_prose() -> None:
    words, link = {"type": "string", "default": "many words " * 9}, {"type": "string", "default": "x" * 99}
    schema = {"properties": {"default": words, "link": link, "either": {"anyOf": [words]}}}
    plain = {"type": "string"}
    assert without_prose(schema) == {
        "properties": {"default": plain, "link": link, "either": {"anyOf": [plain]}}
    }


def test_parts_of_a_type_are_merged() -> None:
    parts = [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
    ]
    assert field({"allOf": parts}) == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }


FILE = {"title": "File", "type": "object", "properties": {"url": {"type": "string"}}}


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("image_url", {"type": "string"}),
        ("image_url", {"type": "string", "nullable": True}),
        ("image_urls", {"type": "array", "items": {"type": "string"}}),
        ("it", {"type": "string", "format": "uri"}),
        ("it", FILE),
        ("it", {"type": "array", "items": FILE}),
        ("it", {"anyOf": [FILE, NULL]}),
    ],
)
def test_files_are_marked(name: str, schema: JSON) -> None:
    assert field(schema, name)["x-file"] is True


@pytest.mark.parametrize(
    ("name", "schema"),
    [("url", {"type": "string"}), ("it_url", {"type": "string", "enum": ["a"]}), ("it", {"type": "string"})],
)
def test_other_fields_are_not_marked(name: str, schema: JSON) -> None:
    assert "x-file" not in field(schema, name)


def test_the_extension_of_the_main_file_is_that_of_the_example() -> None:
    output = {
        "properties": {"seed": {"examples": [1]}, "video": {"examples": [{"url": "https://a.b/c/d.webm"}]}}
    }
    assert row_of(document({}, output))["format"] == "webm"
    output = {"properties": {"images": {"examples": [[{"url": "https://a.b/c.jpeg"}]]}}}
    assert row_of(document({}, output))["format"] == "jpg"


def test_the_endpoint_is_that_of_the_metadata_else_of_the_path() -> None:
    plain = document({})
    del plain["info"]
    assert row_of(plain)["id"] == ID
    assert row_of(plain, "a/b")["id"] == "a/b"


def test_a_model_of_the_listing_has_its_metadata() -> None:
    metadata = {"display_name": "Mine", "category": "json", "status": "deprecated", "stream_url": "https://x"}
    row = row_of_listing({"endpoint_id": ID, "metadata": metadata, "openapi": document({})})
    assert (row["title"], row["category"], row["status"], row["stream"]) == (
        "Mine",
        "json",
        "deprecated",
        True,
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "expected an OpenAPI document"),
        ({"openapi": 3}, "expected an OpenAPI document"),
        ({"openapi": "3.0.4"}, "names no endpoint"),
        ({"openapi": "3.0.4", "paths": {"/a/b": {"post": {}}}}, "a/b: the document has no POST request"),
        (document({"type": 3}), "found type: 3 in a schema"),
        (document({"properties": []}), "found properties"),
        (document({"properties": {"a": {"minimum": "1"}}}), "found minimum: '1' in a schema"),
    ],
)
def test_a_bad_document_says_why(bad: JSON, message: str) -> None:
    with pytest.raises(BadDocument, match=message):
        row_of(bad)


def test_a_type_inside_itself_is_too_deep() -> None:
    schemas = {"Tree": {"properties": {"left": {"$ref": "#/components/schemas/Tree"}}}}
    with pytest.raises(BadDocument, match="unfold"):
        row_of(document({"$ref": "#/components/schemas/Tree"}, schemas=schemas))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"id": "a/b", "input": {}, "output": []}, r"a/b: expected id \(a text\), input and output"),
        ({"id": 3, "input": {}, "output": {}}, "a row: expected id"),
    ],
)
def test_a_bad_row_says_why(bad: Any, message: str) -> None:
    with pytest.raises(BadDocument, match=message):
        row_of_row(bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({}, "has no endpoint_id"),
        ({"endpoint_id": ID}, f"{ID} has no document; expected the list with"),
        ({"endpoint_id": ID, "openapi": 1}, f"{ID}: expected an OpenAPI document"),
    ],
)
def test_a_bad_model_of_the_listing_says_why(bad: JSON, message: str) -> None:
    with pytest.raises(BadDocument, match=message):
        row_of_listing(bad)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 99) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "anyOf",
                    "allOf",
                    "items",
                    "enum",
                    "$ref",
                    "default",
                    "minimum",
                    "title",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_any_schema_is_converted_or_rejected(schema: JSON) -> None:
    try:
        row = row_of(document(schema))
    except BadDocument:
        return
    # A converted schema stays the same if it is converted again.
    assert row_of(document(row["input"]))["input"] == row["input"]
