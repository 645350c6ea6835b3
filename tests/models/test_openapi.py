"""The OpenAPI documents of the models, converted from pydantic's JSON Schema to OpenAPI 3.0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from mock_fal.models import openapi
from mock_fal.models.catalog import FAMILIES, schema
from mock_fal.models.descriptions import MODELS
from mock_fal.models.field_descriptions import INPUTS, OUTPUTS


def document_schemas(endpoint: str) -> dict[str, Any]:
    """The schemas of an endpoint's document."""
    document = openapi.document(endpoint)
    assert document is not None
    return dict(document["components"]["schemas"])


# All fields of the inputs and outputs of the models.
PROPERTIES = [
    (field, field_schema)
    for endpoint in FAMILIES
    for name, schema_part in document_schemas(endpoint).items()
    if name != "QueueStatus"
    for field, field_schema in schema_part["properties"].items()
]


class Part(BaseModel):
    size: int = Field(1, gt=0, lt=9)


class Whole(BaseModel):
    exact: Literal["one"] = "one"
    part: Part = Part(size=1)
    maybe: Part | None = None
    word: Literal["a", "b"] | None = Field(None, description="A word.")
    either: Part | str | None = None
    parts: list[Part | None] = []
    named: dict[str, Part] = {}


@pytest.fixture
def schemas(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The schemas of an endpoint whose input is Whole."""
    monkeypatch.setitem(FAMILIES, "fal-ai/some-model/v1.1", "flux")
    monkeypatch.setattr(openapi, "MODELS", {"fal-ai/some-model/v1.1": MODELS["fal-ai/flux/dev"]})
    monkeypatch.setattr(openapi, "schema", lambda endpoint: schema("fal-ai/flux/dev")._replace(input=Whole))
    yield document_schemas("fal-ai/some-model/v1.1")
    openapi.document.cache_clear()


def test_a_schema_is_named_after_its_endpoint(schemas: dict[str, Any]) -> None:
    assert list(schemas) == ["QueueStatus", "SomeModelV11Input", "Part", "SomeModelV11Output", "Image"]


def test_each_kind_of_field_is_converted_to_openapi_3_0(schemas: dict[str, Any]) -> None:
    part = {"$ref": "#/components/schemas/Part"}
    null_branch = {"type": "object", "nullable": True, "enum": [None]}
    assert schemas["SomeModelV11Input"]["properties"] == {
        "exact": {"default": "one", "title": "Exact", "type": "string", "enum": ["one"]},
        "part": {"allOf": [part], "default": {"size": 1}},
        "maybe": {"anyOf": [part, null_branch]},
        "word": {
            "enum": ["a", "b", None],
            "type": "string",
            "nullable": True,
            "description": "A word.",
            "title": "Word",
        },
        "either": {"anyOf": [part, {"type": "string", "nullable": True}], "title": "Either"},
        "parts": {"type": "array", "items": {"anyOf": [part, null_branch]}, "default": [], "title": "Parts"},
        "named": {"type": "object", "additionalProperties": part, "default": {}, "title": "Named"},
    }


def test_exclusive_limits_are_marked(schemas: dict[str, Any]) -> None:
    assert schemas["Part"]["properties"]["size"] == {
        "default": 1,
        "exclusiveMaximum": True,
        "exclusiveMinimum": True,
        "maximum": 9,
        "minimum": 0,
        "title": "Size",
        "type": "integer",
    }


def test_a_schema_without_required_fields_has_no_required(schemas: dict[str, Any]) -> None:
    assert "required" not in schemas["Part"]


def test_every_field_is_described() -> None:
    assert [field for field, field_schema in PROPERTIES if "description" not in field_schema] == []


def test_every_description_belongs_to_a_field() -> None:
    assert INPUTS.keys() | OUTPUTS.keys() == {field for field, _ in PROPERTIES}


def test_the_prompt_of_an_output_has_its_own_description() -> None:
    properties = document_schemas("fal-ai/flux/dev")["FluxDevOutput"]["properties"]
    assert properties["prompt"]["description"] == "The prompt that was used."


def test_an_unknown_endpoint_has_no_document() -> None:
    assert openapi.document("fal-ai/unheard-of") is None
