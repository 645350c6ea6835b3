"""The smallest valid input of a schema: its required fields, each with the smallest valid value."""

from __future__ import annotations

import math
import re

from mock_fal.errors import JSON

# Files are on another host: they are not fetched, and count as valid.
FILES = {"image": "cat.png", "video": "cat.mp4", "audio": "cat.mp3"}

TEXTS = ("a cat", "a", "1", "00:00:00")

UUID = "00000000-0000-4000-8000-000000000000"


def smallest(schema: JSON, name: str = "") -> JSON:
    """The smallest valid value of a JSON Schema of the catalogue; `name` is that of the field with this schema."""
    if schema is True:
        return {}
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            rest = {key: value for key, value in schema.items() if key not in (keyword, "enum")}
            members = [member for member in schema[keyword] if member.get("type") != "null"]
            return smallest({**members[0], **rest}, name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else None)
    match kind[0] if isinstance(kind, list) else kind:
        case "string":
            return _text(schema, name)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
        case "array":
            items = schema.get("prefixItems") or [schema.get("items", True)] * schema.get("minItems", 0)
            # Where a list of files is required, an empty one is of no use.
            files = [schema["items"]] if not items and schema.get("x-file") and "items" in schema else items
            return [smallest({**item, "x-file": schema.get("x-file", False)}, name) for item in files]
        case "object":
            fields = schema.get("properties", {})
            return {field: smallest(fields[field], field) for field in schema.get("required", ())}
    return None if kind == "null" else {}


def _text(schema: JSON, name: str) -> str:
    if schema.get("format") == "uuid4":
        return UUID
    if schema.get("format") == "binary":
        return ""
    if schema.get("x-file") or schema.get("format") == "uri" or re.fullmatch(r"(.*_)?urls?", name):
        media = next((media for media in ("video", "audio", "image") if media in name), "image")
        return f"https://example.com/{FILES[media]}"
    least, most = schema.get("minLength", 0), schema.get("maxLength", 1000)
    texts = [text.ljust(least, "!")[:most] for text in TEXTS]
    return next(text for text in texts if re.search(schema.get("pattern", ""), text))


def _number(schema: JSON) -> int | float:
    whole = schema["type"] == "integer" or schema.get("x-int", False)
    step = schema.get("multipleOf", 1 if whole else None)
    least: float = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    if schema.get("maximum", least) < least:
        least = schema["maximum"]
    if step:
        least = math.ceil(least / step) * step
    if "exclusiveMinimum" in schema and least <= schema["exclusiveMinimum"]:
        least += step or min(1, (schema.get("maximum", math.inf) - least) / 2)
    return int(least) if whole else least
