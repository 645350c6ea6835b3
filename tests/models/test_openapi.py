"""The OpenAPI documents of the models, and the conversion of their schemas to OpenAPI 3.0."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import validate

from mock_fal.models import openapi
from mock_fal.models.catalog import Catalog, Model, model_of
from mock_fal.models.descriptions import MODELS
from mock_fal.models.documents import row_of
from mock_fal.models.field_descriptions import INPUTS, OUTPUTS
from mock_fal.models.rows import built_in

CATALOG = Catalog()

PART = {
    "title": "Part",
    "type": "object",
    "properties": {"size": {"type": "integer", "default": 1, "exclusiveMinimum": 0, "exclusiveMaximum": 9}},
}
OTHER_PART = {"title": "Part", "type": "object", "properties": {"name": {"type": "string"}}}
NULL = {"type": "null"}


def model(fields: dict[str, Any], output: dict[str, Any] | None = None) -> Model:
    schema = {"title": "Whole", "type": "object", "properties": fields}
    return model_of(
        {"id": "fal-ai/some-model/v1.1", "category": "json", "input": schema, "output": output or {}}
    )


def schemas_of(model: Model) -> dict[str, Any]:
    return dict(openapi.document(model)["components"]["schemas"])


def known(endpoint: str) -> Model:
    found = CATALOG.find(endpoint)
    assert found is not None
    return found


def test_a_schema_is_named_after_its_endpoint() -> None:
    names = list(schemas_of(model({"part": PART}, {"type": "object", "properties": {"other": OTHER_PART}})))
    assert names == ["QueueStatus", "SomeModelV11Input", "Part", "SomeModelV11Output"]


def test_each_kind_of_field_is_converted_to_openapi_3_0() -> None:
    part = {"$ref": "#/components/schemas/Part"}
    null_branch = {"type": "object", "nullable": True, "enum": [None]}
    whole = model(
        {
            "exact": {"type": "string", "const": "one", "default": "one"},
            "part": {**PART, "default": {"size": 1}},
            "maybe": {"anyOf": [PART, NULL]},
            "word": {"anyOf": [{"enum": ["a", "b"], "type": "string"}, NULL]},
            "either": {"anyOf": [PART, {"type": "string"}, NULL], "default": None},
            "parts": {"type": "array", "items": {"anyOf": [PART, NULL]}, "default": []},
            "named": {"type": "object", "additionalProperties": PART, "default": {}},
            "pair": {"type": "array", "prefixItems": [{"type": "integer"}]},
            "file": {"anyOf": [PART, NULL], "x-file": True},
        }
    )
    assert schemas_of(whole)["SomeModelV11Input"]["properties"] == {
        "exact": {"default": "one", "title": "Exact", "type": "string", "enum": ["one"]},
        "part": {"allOf": [part], "default": {"size": 1}},
        "maybe": {"anyOf": [part, null_branch], "title": "Maybe"},
        "word": {"enum": ["a", "b", None], "type": "string", "nullable": True, "title": "Word"},
        "either": {"anyOf": [part, {"type": "string", "nullable": True}], "title": "Either"},
        "parts": {"type": "array", "items": {"anyOf": [part, null_branch]}, "default": [], "title": "Parts"},
        "named": {"type": "object", "additionalProperties": part, "default": {}, "title": "Named"},
        "pair": {"type": "array", "x-prefix-items": [{"type": "integer"}], "items": {}, "title": "Pair"},
        "file": {"anyOf": [part, null_branch], "title": "File", "x-file": True},
    }


def test_exclusive_limits_are_marked() -> None:
    assert schemas_of(model({"part": PART}))["Part"]["properties"]["size"] == {
        "default": 1,
        "exclusiveMaximum": True,
        "exclusiveMinimum": True,
        "maximum": 9,
        "minimum": 0,
        "title": "Size",
        "type": "integer",
    }


def test_a_schema_without_required_fields_has_no_required() -> None:
    assert "required" not in schemas_of(model({"part": PART}))["Part"]


def test_two_types_of_one_name_are_told_apart() -> None:
    schemas = schemas_of(model({"part": PART, "other": OTHER_PART}))
    assert list(schemas["Part"]["properties"]) == ["size"]
    other = schemas["SomeModelV11Input"]["properties"]["other"]
    assert (other["title"], list(other["properties"])) == ("Part", ["name"])


@pytest.mark.parametrize("endpoint", MODELS)
def test_every_field_of_a_well_known_model_is_described(endpoint: str) -> None:
    schemas = schemas_of(known(endpoint))
    del schemas["QueueStatus"]
    fields = [item for schema in schemas.values() for item in schema["properties"].items()]
    # A field with a type of its own is described by the fields of that type.
    missing = {name for name, field in fields if "description" not in field and "$ref" not in field}
    assert missing <= {"force", "version"}


def test_every_description_belongs_to_a_field() -> None:
    names: set[str] = set()

    def collect(schema: Any) -> None:
        if isinstance(schema, dict):
            names.update(schema.get("properties", {}))
            for value in schema.values():
                collect(value)
        elif isinstance(schema, list):
            for value in schema:
                collect(value)

    for row in built_in().rows():
        collect(row["input"])
        collect(row["output"])
    assert INPUTS.keys() | OUTPUTS.keys() <= names


def test_the_prompt_of_an_output_has_its_own_description() -> None:
    properties = schemas_of(known("fal-ai/flux/dev"))["FluxDevOutput"]["properties"]
    assert properties["prompt"]["description"] == "The prompt that was used."


def test_a_document_states_the_source_and_date_of_its_schemas() -> None:
    info = openapi.document(known("fal-ai/flux/dev"))["info"]
    assert info["x-mock-fal"].keys() >= {"evidence", "date", "seen"}


# A validator takes 20 ms for a document; the ids are in the order of the alphabet, so that all owners are among these.
@pytest.mark.parametrize("endpoint", CATALOG.ids()[::25])
def test_a_document_is_valid_openapi(endpoint: str) -> None:
    validate(openapi.document(known(endpoint)))


def test_every_row_can_be_read_back_from_its_document() -> None:
    for row in built_in().rows():
        document = json.loads(json.dumps(openapi.document(model_of(row))))
        read = row_of(document)
        for name in ("id", "category", "evidence", "date", "seen", "changed", "format"):
            assert read.get(name) == row.get(name), row["id"]
        for name in ("input", "output"):
            # As text: the order of the fields counts.
            assert json.dumps(read[name]) == json.dumps(row[name]) or has_correction(row["id"]), row["id"]


def has_correction(endpoint: str) -> bool:
    from mock_fal.models.overrides import CORRECTIONS

    return endpoint in CORRECTIONS
