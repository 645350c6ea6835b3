"""Pydantic types made from JSON Schema, as pydantic writes it.

fal's documents are what pydantic wrote for the original model of each endpoint. A model made from such a document
therefore gives the same validation errors as the original.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time
from typing import Annotated, Any, Final, Literal, Union

from pydantic import (
    UUID1,
    UUID3,
    UUID4,
    UUID5,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    TypeAdapter,
    create_model,
)
from pydantic_core import SchemaError

from mock_fal.errors import JSON
from mock_fal.terminal import logger

# Limits of a schema: levels, schemas inside it, values of all its enums, and characters of a pattern and of a name.
# The largest document of fal has some 350 schemas and 1,400 values.
MAX_LEVELS: Final = 40
MAX_SCHEMAS: Final = 10_000
MAX_VALUES: Final = 20_000
MAX_PATTERN: Final = 1_000
MAX_NAME: Final = 200


class UnusableSchema(ValueError):
    """No model can be built from a schema; the text names the place and what was found there."""


# fal: pydantic writes these formats for the types beside them, and for nothing else.
# assumption: any other format was added by hand, and is not validated.
_FORMATS: Final[dict[str, Any]] = {
    "binary": bytes,
    "date": date,
    "date-time": datetime,
    "time": time,
    "uuid1": UUID1,
    "uuid3": UUID3,
    "uuid4": UUID4,
    "uuid5": UUID5,
}

# Keyword of JSON Schema -> argument of pydantic's Field, by the types that it applies to.
_NUMBER_LIMITS: Final = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}
_STRING_LIMITS: Final = {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"}
_LIST_LIMITS: Final = {"minItems": "min_length", "maxItems": "max_length"}

# pydantic's HttpUrl is written with exactly this format and these lengths, its AnyUrl without the maximum.
_MAX_HTTP_URL: Final = 2083

_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class SchemaTypes:
    """Builds the types of one schema and counts its parts. Its methods raise UnusableSchema."""

    def __init__(self) -> None:
        self._schemas = self._values = 0

    def model(
        self, schema: JSON, name: str, place: str, level: int, *, defer: bool = True
    ) -> type[BaseModel]:
        """The model of an object with properties, named by its title as in errors about unions."""
        properties, required = schema["properties"], schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise UnusableSchema(f"{place}: expected `properties` as an object and `required` as a list")
        fields: dict[str, Any] = {}
        for number, (key, field) in enumerate(properties.items()):
            if len(key) > MAX_NAME:
                raise UnusableSchema(f"{place}: a field's name has {len(key)} characters; at most {MAX_NAME}")
            kind = self.type(field, _title(key), f"{place}.{key}", level + 1)
            python_name = _python_name(key, number, properties)
            options: dict[str, Any] = {"alias": key} if python_name != key else {}
            if key not in required:
                # fal: a default is not validated; some documents have one that breaks its own schema.
                # assumption: a field that is not required and has no default has the default null.
                options["default"] = field.get("default") if isinstance(field, dict) else None
            fields[python_name] = (kind, Field(**options))
        extra = schema.get("additionalProperties")
        config = ConfigDict(
            extra="forbid" if extra is False else "allow" if extra else "ignore",
            protected_namespaces=(),
            defer_build=defer,  # the model around it builds it
        )
        model: type[BaseModel] = create_model(_class_name(schema, name), __config__=config, **fields)
        return model

    def type(self, schema: JSON, name: str, place: str, level: int) -> Any:
        """The type of a value, with its limits. `name` is for a model without a title."""
        self._schemas += 1
        if level > MAX_LEVELS or self._schemas > MAX_SCHEMAS:
            raise UnusableSchema(
                f"{place[:MAX_NAME]}: a schema has at most {MAX_LEVELS} levels and {MAX_SCHEMAS} schemas inside it"
            )
        if schema is True:
            return Any
        if not isinstance(schema, dict):
            raise UnusableSchema(f"{place}: found {_shown(schema)}; expected a schema")
        if "$ref" in schema:
            raise UnusableSchema(
                f"{place}: found the reference {_shown(schema['$ref'])}; expected its target"
            )
        if "allOf" in schema:
            schema = _merged(schema, place)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                # assumption: an enum beside a union is a hint for forms, as pydantic writes none there.
                return _limited(
                    self._union(schema[keyword], name, place, level), schema, _NUMBER_LIMITS, place
                )
        if "const" in schema:
            return self._literal([schema["const"]], place)
        if "enum" in schema:
            return self._literal(schema["enum"], place)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return self._union([{**schema, "type": kind} for kind in kinds], name, place, level)
        return self._plain(schema, kinds, name, place, level)

    def _plain(self, schema: dict[str, Any], kind: JSON, name: str, place: str, level: int) -> Any:
        match kind:
            case "string":
                return _string(schema, place)
            case "integer":
                return _limited(int, schema, _NUMBER_LIMITS, place)
            case "number":
                # Documents made from typings have `number` for integers too, marked by `x-int`.
                return _limited(int if schema.get("x-int") else float, schema, _NUMBER_LIMITS, place)
            case "boolean":
                return bool
            case "null":
                return None
            case "array":
                return self._list(schema, name, place, level)
            case "object" | None if "properties" in schema:
                return self.model(schema, name, place, level)
            case "object":
                values = schema.get("additionalProperties", True)
                mapping: Any = dict
                return mapping[str, self.type(values, name, place, level + 1) if values else Any]
            case None:
                return Any
        raise UnusableSchema(f"{place}: found the type {_shown(kind)}; expected one of JSON Schema")

    def _list(self, schema: dict[str, Any], name: str, place: str, level: int) -> Any:
        first = schema.get("prefixItems")
        if (
            isinstance(first, list)
            and first
            and len(first) == schema.get("minItems") == schema.get("maxItems")
        ):
            pair: Any = tuple
            return pair[
                tuple(self.type(item, name, f"{place}[{i}]", level + 1) for i, item in enumerate(first))
            ]
        item = self.type(schema.get("items", True), name, f"{place}[]", level + 1)
        # fal: pydantic writes `uniqueItems` for a set only.
        collection: Any = set if schema.get("uniqueItems") else list
        return _limited(collection[item], schema, _LIST_LIMITS, place)

    def _union(self, members: JSON, name: str, place: str, level: int) -> Any:
        if not isinstance(members, list) or not members:
            raise UnusableSchema(f"{place}: found {_shown(members)}; expected a list of schemas or types")
        union: Any = Union
        return union[tuple(self.type(member, name, place, level + 1) for member in members)]

    def _literal(self, values: JSON, place: str) -> Any:
        if not isinstance(values, list) or not values:
            raise UnusableSchema(f"{place}: found {_shown(values)}; expected a list of values as `enum`")
        self._values += len(values)
        if self._values > MAX_VALUES:
            raise UnusableSchema(f"{place}: the enums of a schema have at most {MAX_VALUES} values together")
        if any(isinstance(value, dict | list) for value in values):
            raise UnusableSchema(f"{place}: found an object or a list in an enum; expected plain values")
        literal: Any = Literal
        return literal[tuple(values)]


def _merged(schema: dict[str, Any], place: str) -> dict[str, Any]:
    """A schema with `allOf` as one schema: fields of all parts, and other keywords of the last that has them."""
    parts = schema["allOf"]
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise UnusableSchema(f"{place}: found {_shown(parts)}; expected a list of schemas as `allOf`")
    whole: dict[str, Any] = {}
    for part in (*parts, {key: value for key, value in schema.items() if key != "allOf"}):
        part = _merged(part, place) if "allOf" in part else part
        for keyword, join in (("properties", dict), ("required", list)):
            if isinstance(part.get(keyword), join) and isinstance(whole.get(keyword), join):
                both = (whole[keyword], part[keyword])
                part = {**part, keyword: both[0] | both[1] if join is dict else [*both[0], *both[1]]}
        whole |= part
    return whole


def _string(schema: dict[str, Any], place: str) -> Any:
    format = schema.get("format")
    if format == "uri" and schema.get("minLength") == 1:
        # fal: so pydantic writes its HttpUrl and its AnyUrl.
        if schema.get("maxLength") == _MAX_HTTP_URL:
            return HttpUrl
        if "maxLength" not in schema:
            return AnyUrl
    if isinstance(format, str) and format in _FORMATS:
        return _FORMATS[format]
    if "pattern" in schema and not _is_usable(schema["pattern"], place):
        schema = {key: value for key, value in schema.items() if key != "pattern"}
    return _limited(str, schema, _STRING_LIMITS, place)


def _is_usable(pattern: JSON, place: str) -> bool:
    """Whether pydantic's engine, which takes linear time, can compile a pattern. Warns if not."""
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise UnusableSchema(f"{place}: expected a pattern of at most {MAX_PATTERN} characters")
    try:
        TypeAdapter(Annotated[str, Field(pattern=pattern)])
    except SchemaError as error:
        reason = str(error).splitlines()[-1].strip()
        logger.warning("%s: the pattern %s is ignored: %s", place, _shown(pattern), reason)
        return False
    return True


def _limited(kind: Any, schema: dict[str, Any], limits: dict[str, str], place: str) -> Any:
    options = {
        option: _limit(schema[keyword], keyword, whole=kind is int, place=place)
        for keyword, option in limits.items()
        if keyword in schema
    }
    return Annotated[kind, Field(**options)] if options else kind


def _limit(value: JSON, keyword: str, *, whole: bool, place: str) -> JSON:
    if keyword == "pattern":
        return value
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise UnusableSchema(f"{place}: found {_shown(value)} as `{keyword}`; expected a number")
    if (keyword == "multipleOf" and value <= 0) or (keyword[3:] in ("Length", "Items") and value < 0):
        raise UnusableSchema(f"{place}: found {_shown(value)} as `{keyword}`; expected a positive number")
    if whole and isinstance(value, float):
        # An integer is at least 0.5 if it is at least 1, and more than 0.5 if it is more than 0.
        return math.ceil(value) if keyword in ("minimum", "exclusiveMaximum") else math.floor(value)
    return value


def _python_name(key: str, number: int, properties: dict[str, Any]) -> str:
    """The attribute for a field: its own name, unless pydantic needs that name or it is none in Python."""
    if _PLAIN_NAME.fullmatch(key) and not hasattr(BaseModel, key):
        return key
    name = f"field_{number}"
    while name in properties:
        name += "_"
    return name


def _class_name(schema: JSON, name: str) -> str:
    title = schema.get("title")
    usable = isinstance(title, str) and 0 < len(title) <= MAX_NAME and title.isprintable()
    return title if usable else name


def _title(key: str) -> str:
    """A name for the model of a field without a title: `ImageSize` for image_size."""
    words = re.split(r"[^A-Za-z0-9]+", key)
    return "".join(word[:1].upper() + word[1:] for word in words) or "Input"


def _shown(value: JSON) -> str:
    return repr(value)[:100]


class SchemaKey:
    """A schema as a key of a cache: the same object, not an equal one."""

    __slots__ = ("schema",)

    def __init__(self, schema: JSON) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SchemaKey) and other.schema is self.schema
