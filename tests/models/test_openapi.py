"""The OpenAPI documents of the models: from what pydantic writes to what OpenAPI 3.0 knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from mock_fal.models import openapi
from mock_fal.models.catalog import FAMILIES, schema
from mock_fal.models.descriptions import MODELS
from mock_fal.models.field_descriptions import INPUTS, OUTPUTS


def documented(endpoint: str) -> dict[str, Any]:
    """The schemas of an endpoint's document."""
    document = openapi.document(endpoint)
    assert document is not None
    return dict(document["components"]["schemas"])


# The fields of all that goes into the models and comes out of them.
PROPERTIES = [
    (field, its)
    for endpoint in FAMILIES
    for name, part in documented(endpoint).items()
    if name != "QueueStatus"
    for field, its in part["properties"].items()
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
    """The schemas of an endpoint that takes a Whole."""
    monkeypatch.setitem(FAMILIES, "fal-ai/some-model/v1.1", "flux")
    monkeypatch.setattr(openapi, "MODELS", {"fal-ai/some-model/v1.1": MODELS["fal-ai/flux/dev"]})
    monkeypatch.setattr(openapi, "schema", lambda endpoint: schema("fal-ai/flux/dev")._replace(input=Whole))
    yield documented("fal-ai/some-model/v1.1")
    openapi.document.cache_clear()


def test_a_schema_has_the_name_of_its_endpoint(schemas: dict[str, Any]) -> None:
    assert list(schemas) == ["QueueStatus", "SomeModelV11Input", "Part", "SomeModelV11Output", "Image"]


def test_each_kind_of_field_is_said_in_the_words_of_3_0(schemas: dict[str, Any]) -> None:
    part = {"$ref": "#/components/schemas/Part"}
    set_null = {"type": "object", "nullable": True, "enum": [None]}
    assert schemas["SomeModelV11Input"]["properties"] == {
        "exact": {"default": "one", "title": "Exact", "type": "string", "enum": ["one"]},
        "part": {"allOf": [part], "default": {"size": 1}},
        "maybe": {"anyOf": [part, set_null]},
        "word": {
            "enum": ["a", "b", None],
            "type": "string",
            "nullable": True,
            "description": "A word.",
            "title": "Word",
        },
        "either": {"anyOf": [part, {"type": "string", "nullable": True}], "title": "Either"},
        "parts": {"type": "array", "items": {"anyOf": [part, set_null]}, "default": [], "title": "Parts"},
        "named": {"type": "object", "additionalProperties": part, "default": {}, "title": "Named"},
    }


def test_bounds_that_are_left_out_are_marked(schemas: dict[str, Any]) -> None:
    assert schemas["Part"]["properties"]["size"] == {
        "default": 1,
        "exclusiveMaximum": True,
        "exclusiveMinimum": True,
        "maximum": 9,
        "minimum": 0,
        "title": "Size",
        "type": "integer",
    }


def test_what_needs_nothing_names_nothing(schemas: dict[str, Any]) -> None:
    assert "required" not in schemas["Part"]


def test_every_field_is_described() -> None:
    assert [field for field, its in PROPERTIES if "description" not in its] == []


def test_no_description_is_of_a_field_that_there_is_not() -> None:
    assert INPUTS.keys() | OUTPUTS.keys() == {field for field, _ in PROPERTIES}


def test_the_prompt_that_comes_out_is_described_as_such() -> None:
    response = documented("fal-ai/flux/dev")["FluxDevOutput"]["properties"]
    assert response["prompt"]["description"] == "The prompt that was used."


def test_an_endpoint_that_there_is_not_has_none() -> None:
    assert openapi.document("fal-ai/unheard-of") is None
