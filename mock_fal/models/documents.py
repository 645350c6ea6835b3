"""Rows of the catalogue from fal's OpenAPI documents: the inverse of models/openapi.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from mock_fal.errors import JSON
from mock_fal.models.rows import Row

# Keywords that a row keeps, in this order. Titles of fields, descriptions and examples are fal's prose.
_KEPT: Final = (
    "title",
    "type",
    "format",
    "pattern",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "anyOf",
    "enum",
    "default",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "x-file",
    "x-media",
    "x-fal",
)

# Keyword -> the types that its value may have.
_NUMBER: Final = (int, float)
_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "title": str,
    "type": (str, list),
    "format": str,
    "pattern": str,
    "properties": dict,
    "required": list,
    "additionalProperties": (bool, dict),
    "items": (bool, dict),
    "prefixItems": list,
    "anyOf": list,
    "oneOf": list,
    "allOf": list,
    "enum": list,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "exclusiveMinimum": _NUMBER,
    "exclusiveMaximum": _NUMBER,
    "multipleOf": _NUMBER,
    "minLength": int,
    "maxLength": int,
    "minItems": int,
    "maxItems": int,
    "uniqueItems": bool,
    "x-file": bool,
    "x-media": str,
    "x-fal": dict,
}

# Keywords of a nullable schema that stand beside its `anyOf`, not in its branch.
_BESIDE: Final = {"default", "x-file", "x-media", "x-fal"}

_MAY_BE_NULL: Final = {"default", "const"}

_NULL: Final[JSON] = {"type": "null"}

# A text of more characters in a default is prose, unless it has no space.
_MAX_PROSE: Final = 60

# How deep schemas may be nested, and how many schemas a document may unfold to.
_MAX_DEPTH: Final = 40
_MAX_SCHEMAS: Final = 20_000

# The types of files in fal's documents.
_FILE_TYPES: Final = re.compile(r"(Image|Video|Audio|RawImage|\w*File)(Output|Input)?")
_FILE_FIELD: Final = re.compile(r".+_urls?")
_EXTENSION: Final = re.compile(r"https?://\S+\.([a-z0-9]{2,5})(?:\?\S*)?")


class BadDocument(ValueError):
    """A document that can't be used; its text says why."""


def row_of(document: Any, endpoint: str = "") -> Row:
    """The row of a document: id, category, schemas and their source. Raises BadDocument."""
    if not isinstance(document, dict) or not isinstance(document.get("openapi"), str):
        raise BadDocument("expected an OpenAPI document, with the member openapi")
    info = _dict(document.get("info"))
    metadata, own = _dict(info.get("x-fal-metadata")), _dict(info.get("x-mock-fal"))
    endpoint = endpoint or _text(metadata.get("endpointId")) or _endpoint_of(document)
    if not endpoint:
        raise BadDocument("the document names no endpoint; expected info.x-fal-metadata.endpointId")
    schemas = _Schemas(document)
    output = schemas.of(_result(document, endpoint))
    row: Row = {
        "id": endpoint,
        "category": _text(metadata.get("category")),
        "evidence": _text(own.get("evidence")) or "openapi",
        "date": _text(own.get("date")),
        "seen": _text(own.get("seen")),
        "changed": _text(own.get("changed")),
        "format": _text(own.get("format")) or schemas.example_format,
        "input": schemas.of(_body(document, endpoint)),
        "output": output,
    }
    return {name: value for name, value in row.items() if value != ""}


def row_of_listing(item: Any) -> Row:
    """The row of a model in the listing of the Platform API, with its document. Raises BadDocument."""
    item = _dict(item)
    endpoint, metadata = _text(item.get("endpoint_id")), _dict(item.get("metadata"))
    if not endpoint:
        raise BadDocument("a model of the list has no endpoint_id")
    if "openapi" not in item:
        raise BadDocument(f"{endpoint} has no document; expected the list with ?expand=openapi-3.0")
    try:
        row = row_of(item["openapi"], endpoint)
    except BadDocument as error:
        raise BadDocument(f"{endpoint}: {error}") from None
    title, status = _text(metadata.get("display_name")), _text(metadata.get("status"))
    return row | {
        "title": "" if title == endpoint else title,
        "category": _text(metadata.get("category")) or row.get("category", ""),
        "status": "" if status == "active" else status,
        "stream": bool(metadata.get("stream_url")),
    }


def row_of_row(item: dict[str, Any]) -> Row:
    """A row that was imported earlier, checked and with the schemas in the form of a row. Raises BadDocument."""
    endpoint = _text(item.get("id"))
    if not endpoint or not isinstance(item.get("output"), dict) or not isinstance(item["input"], dict):
        raise BadDocument(f"{endpoint or 'a row'}: expected id (a text), input and output (JSON Schemas)")
    texts = ("title", "category", "status", "description", "evidence", "date", "seen", "changed", "format")
    row: Row = {"id": endpoint, **{name: _text(item.get(name)) for name in texts}}
    row |= {name: item.get(name) is True for name in ("stream", "realtime")}
    row["event_name"] = _text(item.get("event_name"))
    row["released"] = _text(item.get("released"))
    row["tags"] = [tag for tag in _list(item.get("tags")) if isinstance(tag, str)]
    group = _list(item.get("group"))
    row["group"] = group if len(group) == 2 and all(isinstance(part, str) for part in group) else None
    return row | {name: _Schemas(item).of(item[name]) for name in ("input", "output")}


def without_prose(schema: JSON) -> JSON:
    """A schema of a row without defaults that are fal's prose, such as long negative prompts."""
    if isinstance(schema, list):
        return [without_prose(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if not (key == "default" and _is_prose(value))}
    for key in kept.keys() & {"anyOf", "items", "additionalProperties", "prefixItems"}:
        kept[key] = without_prose(kept[key])
    if "properties" in kept:
        kept["properties"] = {name: without_prose(field) for name, field in kept["properties"].items()}
    return kept


def _is_prose(value: Any) -> bool:
    return isinstance(value, str) and len(value) > _MAX_PROSE and " " in value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _endpoint_of(document: dict[str, Any]) -> str:
    """The endpoint of the first path with a POST request."""
    for path, item in _dict(document.get("paths")).items():
        if "post" in _dict(item):
            return str(path).strip("/")
    return ""


def _body(document: dict[str, Any], endpoint: str) -> Any:
    """The schema of the input."""
    for path, item in _dict(document.get("paths")).items():
        post = _dict(_dict(item).get("post"))
        if post and "/requests/" not in str(path):
            return _json_schema(_dict(post.get("requestBody")))
    raise BadDocument(f"{endpoint}: the document has no POST request with an input")


def _result(document: dict[str, Any], endpoint: str) -> Any:
    """The schema of the output: that of the result in the queue, else that of the direct response."""
    paths = _dict(document.get("paths"))
    for path, item in paths.items():
        if str(path).endswith("/requests/{request_id}") and "get" in _dict(item):
            return _json_schema(_ok(item["get"]))
    for item in paths.values():
        if "post" in _dict(item):
            return _json_schema(_ok(item["post"]))
    raise BadDocument(f"{endpoint}: the document has no result")


def _ok(operation: Any) -> dict[str, Any]:
    return _dict(_dict(_dict(operation).get("responses")).get("200"))


def _json_schema(message: dict[str, Any]) -> Any:
    return _dict(_dict(message.get("content")).get("application/json")).get("schema", {})


class _Schemas:
    """Converts the schemas of one document to JSON Schema 2020-12 without references."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._left = _MAX_SCHEMAS
        self.example_format = ""

    def of(self, schema: Any) -> JSON:
        """The schema in the form of a row."""
        self.example_format = next(_extensions(self._examples(schema)), "")
        return self._converted(schema, 0)

    def _examples(self, schema: Any) -> Any:
        resolved = self._resolved(_dict(schema))
        properties = _dict(resolved.get("properties")).values()
        return [_dict(field).get("examples", _dict(field).get("example")) for field in properties]

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A schema with the content of what it refers to. fal: some documents refer to what they lack."""
        for _ in range(_MAX_DEPTH):
            schema = {key: schema[key] for key in schema if schema[key] is not None or key in _MAY_BE_NULL}
            for key in schema.keys() & _TYPES.keys():
                if not isinstance(schema[key], _TYPES[key]):
                    raise BadDocument(f"found {key}: {schema[key]!r:.100} in a schema")
            if "allOf" in schema:
                parts = [self._resolved(_dict(part)) for part in schema["allOf"]]
                schema = _merged([*parts, {key: schema[key] for key in schema if key != "allOf"}])
            elif "$ref" in schema:
                target: Any = self._document
                for part in str(schema["$ref"]).removeprefix("#/").split("/"):
                    target = _dict(target).get(part)
                schema = {**_dict(target), **{key: schema[key] for key in schema if key != "$ref"}}
            else:
                return schema
        return {}

    def _converted(self, value: Any, depth: int, name: str = "") -> JSON:
        self._left -= 1
        if depth > _MAX_DEPTH or self._left < 0:
            raise BadDocument(
                f"its schemas unfold to more than {_MAX_SCHEMAS} or to more than {_MAX_DEPTH} levels"
            )
        schema = self._nullable(self._resolved(_dict(value)), depth)
        if schema.get("default", "") is None:
            del schema["default"]
        return _ordered({**schema, "x-file": True} if _names_file(name, schema) else schema)

    def _nullable(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """A schema whose null, however it is written, is the last branch of an `anyOf`."""
        types = schema.get("type")
        nulls = schema.get("nullable") is True
        branches: list[JSON] = []
        union = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(types, list):
            nulls = nulls or "null" in types
            union = [{**schema, "type": item} for item in types if item != "null"]
            schema = {key: schema[key] for key in schema if key in _BESIDE}
        if not union:
            plain = self._plain(schema, depth)
            return _union([{}], plain, null=True) if nulls else plain
        for member in union:
            branch = self._converted(member, depth + 1)
            if branch == _NULL or _is_null(_dict(member)):
                nulls = True
            elif branch.get("anyOf", [None])[-1] == _NULL and not branch.keys() - {"anyOf"}:
                nulls, branches = True, [*branches, *branch["anyOf"][:-1]]
            else:
                branches.append(branch)
        beside = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "type")}
        return _union(branches, self._plain(beside, depth), null=nulls)

    def _plain(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """The keywords that a row keeps, in its order."""
        kept: dict[str, Any] = {}
        for key in _KEPT:
            source = "x-prefix-items" if key == "prefixItems" and "prefixItems" not in schema else key
            if source not in schema:
                continue
            value = schema[source]
            match key:
                case "properties":
                    kept[key] = self._properties(schema, depth)
                case "anyOf":
                    pass  # an empty one says nothing
                case "title":
                    if "properties" in schema and isinstance(value, str):
                        kept[key] = value
                case "items" | "additionalProperties":
                    kept[key] = self._converted(value, depth + 1) if isinstance(value, dict) else value
                case "prefixItems":
                    kept[key] = [self._converted(item, depth + 1) for item in value]
                case "enum":
                    kept[key] = [item for item in value if item is not None]
                case _:
                    kept[key] = value
        if "const" in schema:
            kept["enum"] = [schema["const"]]
        if kept.get("type") == "array" and "items" not in kept:
            kept["items"] = {}
        _read_limits(schema, kept)
        return kept

    def _properties(self, schema: dict[str, Any], depth: int) -> dict[str, JSON]:
        properties = _dict(schema["properties"])
        order = schema.get("x-fal-order-properties")
        names = [name for name in order if name in properties] if isinstance(order, list) else []
        names = list(dict.fromkeys([*names, *properties]))
        return {name: self._converted(properties[name], depth + 1, name) for name in names}


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What a value must fulfil that fits all parts; of two titles or limits, the last counts."""
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            if key == "properties" and key in merged:
                value = {**merged[key], **value}
            elif key == "required" and key in merged:
                value = [*merged[key], *value]
            merged[key] = value
    return merged


def _is_null(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "null" or schema.get("enum") == [None]


def _union(branches: list[JSON], beside: dict[str, Any], *, null: bool) -> dict[str, Any]:
    """A union. A single branch takes the limits beside it; without null, it stands for the union."""
    limits = {key: value for key, value in beside.items() if key not in _BESIDE}
    beside = {key: value for key, value in beside.items() if key in _BESIDE}
    if len(branches) > 1:
        beside |= limits
    else:
        branches = [{**branch, **limits} for branch in branches]
    if len(branches) == 1 and not null:
        return {**branches[0], **beside}
    return {"anyOf": [*map(_ordered, branches), _NULL] if null else branches, **beside}


def _ordered(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in _KEPT if key in schema}


def _read_limits(schema: dict[str, Any], kept: dict[str, Any]) -> None:
    """Exclusive limits as numbers: in OpenAPI 3.0 they are a switch beside the limit."""
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if schema.get(bound) is True and limit in kept:
            kept[bound] = kept.pop(limit)
        elif isinstance(schema.get(bound), bool):
            kept.pop(bound, None)


def _names_file(name: str, schema: dict[str, Any]) -> bool:
    """Whether a field takes or gives a file, or a list of files, by its name and type; `name` is empty in a field."""
    if not name:
        return False
    branches = [schema, *schema.get("anyOf", ())]
    values = [
        _dict(branch.get("items", branch)) if branch.get("type") == "array" else branch for branch in branches
    ]
    if any("url" in value.get("properties", ()) and _is_file_type(value) for value in values):
        return True
    texts = [value for value in values if value.get("type") == "string" and "enum" not in value]
    return any(text.get("format") == "uri" for text in texts) or bool(texts and _FILE_FIELD.fullmatch(name))


def _is_file_type(schema: dict[str, Any]) -> bool:
    return bool(_FILE_TYPES.fullmatch(str(schema.get("title", ""))))


def _extensions(value: Any) -> Iterator[str]:
    """The extensions of the files in an example, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _extensions(item)
    elif isinstance(value, str) and (match := _EXTENSION.fullmatch(value)):
        yield match[1].replace("jpeg", "jpg")
