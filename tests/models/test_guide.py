"""A model in words."""

from __future__ import annotations

import pytest

from mock_fal.billing.prices import Price
from mock_fal.errors import JSON
from mock_fal.models.catalog import Catalog, Model, model_of
from mock_fal.models.guide import example_input, guide, price_text, range_text, type_text

CATALOG = Catalog()


def model(input: JSON, endpoint: str = "me/my-app", **members: JSON) -> Model:
    return model_of({"id": endpoint, "input": input, "output": {}, **members})


def known(endpoint: str) -> Model:
    found = CATALOG.find(endpoint)
    assert found is not None
    return found


def test_a_guide_has_input_example_output_and_price() -> None:
    text = guide(known("fal-ai/flux/schnell"))
    assert "- **Price**: $0.003 per megapixel\n" in text
    assert "- **Also**: `https://fal.run/fal-ai/flux/schnell/stream`\n" in text
    assert "| `prompt` | string | required |  | What to generate. |\n" in text
    assert "| `num_images` | integer | `1` | 1 to 4 | The number of pictures to generate. |\n" in text
    assert "| `seed` | integer or null |  |  |" in text
    assert "| `images` | list of Image | required |  |" in text
    assert """-d '{"prompt": "a cat"}'\n""" in text


def test_an_unknown_price_is_not_a_number() -> None:
    assert price_text(None) == "not known"
    assert price_text(Price(0.05, "requests")) == "$0.05 per request"


def test_an_example_is_safe_in_a_shell() -> None:
    schema = {"properties": {"a": {"type": "string", "enum": ["it's"]}}, "required": ["a"]}
    assert """-d '{"a": "it'\\''s"}'\n""" in guide(model(schema))


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "string", "x-file": True}, "https://example.com/picture.png"),
        (
            {"type": "array", "items": {"type": "string"}, "x-file": True, "x-media": "video"},
            ["https://example.com/video.mp4"],
        ),
        ({"type": "string"}, "a cat"),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "string", "enum": ["a", "b"]}, "a"),
    ],
)
def test_an_example_has_the_required_fields(schema: JSON, example: JSON) -> None:
    fields = {"it": schema, "other": {"type": "string"}}
    assert example_input(model({"properties": fields, "required": ["it"]})) == {"it": example}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"minimum": 1, "maximum": 4}, "1 to 4"),
        ({"minimum": 1}, "1 or more"),
        ({"maximum": 4}, "up to 4"),
        ({"exclusiveMinimum": 0, "maximum": 4}, "more than 0 to 4"),
        ({"exclusiveMinimum": 0}, "more than 0"),
        ({"minLength": 1, "maxLength": 9}, "1 to 9 characters"),
        ({"minItems": 2}, "2 or more items"),
        ({"multipleOf": 8}, "multiples of 8"),
        (
            {"enum": list(range(14))},
            "`0`, `1`, `2`, `3`, `4`, `5`, `6`, `7`, `8`, `9`, `10`, `11` and 2 more",
        ),
        ({"anyOf": [{"minimum": 1, "maximum": 2}, {"type": "null"}]}, "1 to 2"),
        ({}, ""),
    ],
)
def test_a_range_is_written_in_words(schema: JSON, text: str) -> None:
    assert range_text(schema) == text


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "x-file": True, "x-media": "image_mask"}, "URL of image mask"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "x-file": True}, "URL of a file or null"),
        ({"title": "Image", "properties": {}}, "Image"),
        ({}, "any"),
    ],
)
def test_a_type_is_written_in_words(schema: JSON, text: str) -> None:
    assert type_text(schema) == text


def test_every_model_has_a_guide_with_a_valid_example() -> None:
    from mock_fal.models.input_schema import input_adapter

    wrong = []
    for endpoint in CATALOG.ids()[::20]:
        found = known(endpoint)
        assert guide(found).startswith(f"# {found.title}\n")
        try:
            input_adapter(found.input).validate_python(example_input(found))
        except ValueError as error:
            wrong.append((endpoint, str(error)))
    assert wrong == []
