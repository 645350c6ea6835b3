"""A model in words, as Markdown: its input as a table, an example call, its output, and its price."""

from __future__ import annotations

import json
from typing import Any, Final

from mock_fal.billing.prices import Price, price
from mock_fal.errors import JSON
from mock_fal.models.catalog import Model
from mock_fal.models.descriptions import CATEGORIES
from mock_fal.models.field_descriptions import INPUTS, OUTPUTS
from mock_fal.models.json_sample import Unsatisfiable, sample

_SOURCES: Final = {
    "openapi": "fal's OpenAPI document",
    "types": "the types of fal's JavaScript client, which state no limits",
    "types-merged": "the types of fal's JavaScript client, which state no limits and share some defaults",
    "fields": "the names of its fields; types and limits are not known",
    "guess": "a guess from the words of its id (--guess-models)",
}

_EXAMPLES: Final = {"video": "video.mp4", "audio": "audio.mp3", "image": "picture.png"}

_MAX_CHOICES: Final = 12
_MAX_VALUE: Final = 60

_CALLS: Final = """\
```sh
curl https://fal.run/{id} \\
  -H "Authorization: Key $FAL_KEY" -H "Content-Type: application/json" \\
  -d {shell}
```

```python
import fal_client

result = fal_client.subscribe("{id}", arguments={python})
```

```js
import {{ fal }} from "@fal-ai/client";

const {{ data }} = await fal.subscribe("{id}", {{ input: {javascript} }});
```
"""


def guide(model: Model) -> str:
    """The Markdown of a model."""
    arguments = example_input(model)
    compact = json.dumps(arguments, ensure_ascii=False)
    return "\n".join(
        [
            f"# {model.title}",
            "",
            f"> {model.description or CATEGORIES.get(model.category, 'A model of fal.')}",
            "",
            "## Overview",
            "",
            *_overview(model),
            "",
            "## Input",
            "",
            *_table(model.input, INPUTS),
            "",
            "## Output",
            "",
            *_table(model.output, INPUTS | OUTPUTS),
            "",
            "## Example",
            "",
            _CALLS.format(
                id=model.id,
                # In single quotes of a shell, a single quote ends them, and an escaped one follows.
                shell="'" + compact.replace("'", "'\\''") + "'",
                python=repr(arguments),
                javascript=compact,
            ),
        ]
    )


def _overview(model: Model) -> list[str]:
    paths = [word for word, has in (("stream", model.is_streaming), ("realtime", model.is_realtime)) if has]
    also = [model.id if model.id.endswith(f"/{path}") else f"{model.id}/{path}" for path in paths]
    schema = f"{model.date}, from {_SOURCES.get(model.evidence, model.evidence)}".removeprefix(", ")
    changed = f"; fields added or removed by {model.changed}" if model.changed else ""
    return [
        f"- **Endpoint**: `https://fal.run/{model.id}`",
        f"- **Model ID**: `{model.id}`",
        f"- **Category**: {model.category or 'unknown'} (answers with {_KINDS[model.kind]})",
        *(f"- **Also**: `https://fal.run/{path}`" for path in also),
        f"- **Price**: {price_text(price(model.id))}",
        f"- **Schema**: {schema}{changed}",
    ]


_KINDS: Final = {
    "image": "pictures",
    "video": "video",
    "audio": "sound",
    "speech": "speech",
    "text": "text",
    "transcript": "a transcript",
    "3d": "3D models",
    "training": "trained weights",
    "json": "data",
}


def price_text(rate: Price | None) -> str:
    """A price in words: `$0.003 per megapixel`."""
    if rate is None:
        return "not known"
    if rate.unit == "dollars":
        return "stated in the output"
    unit = rate.unit.removesuffix("s")
    return f"${rate.unit_price:.9f}".rstrip("0").rstrip(".") + f" per {unit}"


def example_input(model: Model) -> dict[str, JSON]:
    """The required fields of an input, with values that are valid for the schema; at least a prompt."""
    fields = model.input.get("properties", {})
    required = [name for name in model.input.get("required", ()) if name in fields]
    names = required or [name for name in ("prompt", "text") if name in fields]
    return {name: _example(name, fields[name]) for name in names}


def _example(name: str, schema: dict[str, Any]) -> JSON:
    if schema.get("x-file"):
        media = schema.get("x-media", name)
        file = next((file for word, file in _EXAMPLES.items() if word in media), "picture.png")
        url = f"https://example.com/{file}"
        branches = [schema, *schema.get("anyOf", ())]
        if any(branch.get("type") == "array" for branch in branches):
            return [url]
        if not any("properties" in branch for branch in branches):
            return url
    try:
        return sample(schema, "a cat")
    except Unsatisfiable:
        return None


def _table(schema: dict[str, Any], descriptions: dict[str, str]) -> list[str]:
    """A row for each field, with type, default and range."""
    fields = schema.get("properties", {})
    if not fields:
        return ["Not known."]
    required = set(schema.get("required", ()))
    rows = [
        f"| `{name}` | {_cell(type_text(field))} | "
        f"{'required' if name in required else _cell(_default(field))} | {_cell(range_text(field))} | "
        f"{descriptions.get(name, '')} |"
        for name, field in fields.items()
    ]
    return ["| field | type | default | values | |", "| --- | --- | --- | --- | --- |", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def type_text(schema: dict[str, Any]) -> str:
    """The type of a field in words: `integer or null`, `list of Image`, `file`."""
    if "anyOf" in schema:
        kinds = dict.fromkeys(type_text({**branch, **_mark(schema)}) for branch in schema["anyOf"])
        return " or ".join(kinds)
    kind = schema.get("type")
    if kind == "array":
        return f"list of {type_text({**schema.get('items', {}), **_mark(schema)})}"
    if "properties" in schema:
        return str(schema.get("title", "object"))
    if schema.get("x-file") and kind == "string":
        return f"URL of {schema['x-media'].replace('_', ' ')}" if "x-media" in schema else "URL of a file"
    return str(kind or "any")


def _mark(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("x-file", "x-media") if key in schema}


def _default(schema: dict[str, Any]) -> str:
    return _shown(schema["default"]) if "default" in schema else ""


def _shown(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 1] + '…'}`"


def range_text(schema: dict[str, Any]) -> str:
    """The values that a field accepts, in words: `1 to 4`, `"jpeg", "png"`."""
    texts = dict.fromkeys(
        _range(branch)
        for branch in (schema, *schema.get("anyOf", ()), schema.get("items", {}))
        if isinstance(branch, dict)
    )
    return "; ".join(text for text in texts if text)


def _range(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        shown = ", ".join(map(_shown, schema["enum"][:_MAX_CHOICES]))
        more = len(schema["enum"]) - _MAX_CHOICES
        return f"{shown} and {more} more" if more > 0 else shown
    texts = []
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None or high is not None:
        least = f"more than {low}" if "exclusiveMinimum" in schema else f"{low}"
        most = f"less than {high}" if "exclusiveMaximum" in schema else f"{high}"
        if high is None:
            texts.append(least if "exclusiveMinimum" in schema else f"{least} or more")
        else:
            texts.append(f"{least} to {most}" if low is not None else f"up to {most}")
    for least_key, most_key, unit in (
        ("minLength", "maxLength", "characters"),
        ("minItems", "maxItems", "items"),
    ):
        if least_key in schema or most_key in schema:
            few, many = schema.get(least_key, 0), schema.get(most_key)
            texts.append(f"{few} or more {unit}" if many is None else f"{few} to {many} {unit}")
    if "multipleOf" in schema:
        texts.append(f"multiples of {schema['multipleOf']}")
    return ", ".join(texts)


def overview(entries: list[tuple[str, str]]) -> str:
    """The Markdown list of all models: id and title."""
    lines = [f"- [{title or id}](https://fal.ai/models/{id}/llms.txt): `{id}`" for id, title in entries]
    return "\n".join(
        ["# fal", "", "> Models of fal that mock-fal answers for.", "", "## Models", "", *lines, ""]
    )
