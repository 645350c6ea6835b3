"""The fields of an output schema, prepared once for each model: which value each field gets, and by which rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from mock_fal.errors import JSON
from mock_fal.models.classify import Kind
from mock_fal.models.result_files import media_of
from mock_fal.models.schema_types import SchemaKey
from mock_fal.models.values import BOOLEANS, NUMBERS, TEXTS, Scope, flagged, lookup, placeholder

MAX_DEPTH: Final = 12  # of a schema; deeper parts are left empty
MAX_PREPARED: Final = 512  # models

# A file object as newer models write it, for fields whose schema says nothing.
FILE: Final[JSON] = {
    "type": "object",
    "properties": {
        "url": {"type": "string"},
        "content_type": {"type": "string"},
        "file_name": {"type": "string"},
        "file_size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["url"],
}

# assumption: the output of models whose schema says nothing is the commonest one of their kind.
TYPICAL_OUTPUTS: Final[dict[str, JSON]] = {
    kind: {"type": "object", "properties": properties, "required": list(properties)}
    for kind, properties in {
        "image": {
            "images": {"type": "array", "items": FILE},
            "seed": {"type": "integer"},
            "prompt": {"type": "string"},
        },
        "video": {"video": FILE},
        "audio": {"audio": FILE},
        "speech": {"audio": FILE},
        "text": {"output": {"type": "string"}},
        "transcript": {"text": {"type": "string"}},
        "3d": {"model_mesh": FILE},
        "training": {"diffusers_lora_file": FILE, "config_file": FILE},
        "json": {"output": {"type": "string"}},
    }.items()
}

_FILE_KEYS: Final = frozenset(
    "content_type file_name file_size file_data width height fps num_frames duration".split()
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an output.

    `kind` is a type of JSON Schema, or one of file, url, const, enum and any. `schema` is the branch of a union that is
    built. `by_name` is the rule for the value that follows from the name. `fields` are the properties of an object,
    `item` is that of a list, `parts` those of a list of a fixed length. `limits` are those of a number.
    """

    name: str
    path: str
    kind: str
    schema: JSON
    is_nullable: bool
    is_required: bool
    by_name: Callable[[Scope], Any] | None = None
    fields: tuple[Field, ...] = ()
    item: Field | None = None
    parts: tuple[Field, ...] = ()
    in_pixels: bool = False
    limits: tuple[float, float] = (-math.inf, math.inf)
    properties: frozenset[str] = field(default=frozenset())

    @property
    def is_flag(self) -> bool:
        """Whether the value says that the safety checker has flagged something."""
        return self.by_name is flagged

    @property
    def is_named(self) -> bool:
        """Whether the name says what the value is."""
        return self.by_name is not None and self.by_name is not placeholder

    def bounded(self, number: float) -> float | int:
        """The number within the limits of the schema, as an integer where that is the type."""
        low, high = self.limits
        number = min(max(number, low), high)
        return math.floor(number) if self.kind == "integer" else number


_RULES: Final = {
    "integer": NUMBERS,
    "number": NUMBERS,
    "string": TEXTS,
    "enum": TEXTS,
    "boolean": BOOLEANS,
}


def output_field(schema: JSON, kind: Kind) -> Field:
    """The output of a model of that kind. It is kept while the same schema object is in use: do not modify that."""
    return _prepared(SchemaKey(schema), kind)


@lru_cache(maxsize=MAX_PREPARED)
def _prepared(key: SchemaKey, kind: Kind) -> Field:
    prepared = _field("", key.schema, "", required=True, depth=0)
    is_empty = prepared.kind == "any" or prepared.kind == "object" and not prepared.fields
    return _field("", TYPICAL_OUTPUTS[kind], "", required=True, depth=0) if is_empty else prepared


def _field(name: str, schema: JSON, path: str, *, required: bool, depth: int) -> Field:
    path = f"{path}/{name}" if path else name
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return Field(name, path, "any", {}, is_nullable=True, is_required=required)
    schema, nullable = _branch(schema)
    kind = _kind(name, schema)
    properties = schema.get("properties") if kind in ("object", "file") else None
    names = frozenset(properties or ())
    item = None
    if kind == "array":
        item = _field(name, schema.get("items", {}), path, required=True, depth=depth + 1)
        if item.kind == "any" and media_of(name, "json", ""):
            item = _field(name, FILE, path, required=True, depth=depth + 1)
    parts = schema.get("prefixItems") if kind == "array" else None
    needed = schema.get("required", ())
    return Field(
        name,
        path,
        kind,
        schema,
        nullable,
        required,
        lookup(_RULES.get(kind, []), name),
        tuple(
            _field(inner, part, path, required=inner in needed, depth=depth + 1)
            for inner, part in (properties or {}).items()
        ),
        item,
        tuple(_field(name, part, path, required=True, depth=depth + 1) for part in parts or ()),
        {"w", "h"} <= names or {"x", "width"} <= names,
        _limits(schema, kind) if kind in ("integer", "number") else (-math.inf, math.inf),
        names,
    )


def _limits(schema: JSON, kind: str) -> tuple[float, float]:
    """The smallest and the largest valid number."""
    step = 1 if kind == "integer" else 1e-6
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    return max(low, above + step), min(high, below - step)


def _branch(schema: JSON) -> tuple[JSON, bool]:
    """The branch of a union that is built, with the keywords beside it; and whether null is valid too."""
    nullable = False
    for _ in range(MAX_DEPTH):
        branches = schema.get("anyOf") or schema.get("oneOf")
        if not branches:
            break
        others = [branch for branch in branches if branch.get("type") != "null"]
        nullable = nullable or len(others) < len(branches)
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        # A file if there is one: `audio` may be a URL or an object.
        chosen = next(
            (branch for branch in others if _is_file(branch)), others[0] if others else {"type": "null"}
        )
        schema = {**rest, **chosen}
    if isinstance(schema.get("type"), list):
        types = [name for name in schema["type"] if name != "null"]
        nullable = nullable or len(types) < len(schema["type"])
        schema = {**schema, "type": types[0] if types else "null"}
    for part in schema.get("allOf", ()):
        schema = {**part, **{key: value for key, value in schema.items() if key != "allOf"}}
    return schema, nullable


def _kind(name: str, schema: JSON) -> str:
    if "const" in schema:
        return "const"
    if _is_file(schema):
        return "file"
    kind = str(schema.get("type", ""))
    if not kind:
        kind = (
            "object"
            if "properties" in schema
            else "array"
            if schema.keys() & {"items", "prefixItems"}
            else "any"
        )
    if "enum" in schema and kind not in ("object", "array"):
        return "enum"
    return "url" if kind == "string" and _is_url(name, schema) else kind


def _is_file(schema: JSON) -> bool:
    """Whether a schema is that of a file object, or of a file's bytes with their type."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return False
    names = properties.keys()
    return ("url" in names or names >= {"content", "content_type"}) and (
        len(names) == 1 or not _FILE_KEYS.isdisjoint(names)
    )


def _is_url(name: str, schema: JSON) -> bool:
    """Whether a text is the URL of a file: one that does not open must never be sent."""
    if schema.get("x-file") or schema.get("format") in ("uri", "binary"):
        return True
    return name == "url" or name.endswith(("_url", "_urls"))
