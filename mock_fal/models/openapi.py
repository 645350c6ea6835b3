"""The OpenAPI document of an endpoint in fal's form, and the dialect of its schemas, OpenAPI 3.0."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mock_fal.errors import JSON
from mock_fal.models.catalog import Model
from mock_fal.models.field_descriptions import INPUTS, OUTPUTS

_SITE: Final = "https://fal.ai/models"
_REF: Final = "#/components/schemas/"

# fal: the order of keys everywhere here is that of the published documents (copies in public repositories, 2025-2026).
_QUEUE_STATUS: Final[JSON] = {
    "type": "object",
    "required": ["status", "request_id"],
    "properties": {
        "status": {"type": "string", "enum": ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]},
        "request_id": {"type": "string", "description": "The request id."},
        "response_url": {"type": "string", "description": "The response url."},
        "status_url": {"type": "string", "description": "The status url."},
        "cancel_url": {"type": "string", "description": "The cancel url."},
        "logs": {"type": "object", "description": "The logs.", "additionalProperties": True},
        "metrics": {"type": "object", "description": "The metrics.", "additionalProperties": True},
        "queue_position": {"type": "integer", "description": "The queue position."},
    },
}

_CANCELLED: Final[JSON] = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean", "description": "Whether the request was cancelled successfully."}
    },
}

_REQUEST_ID: Final[JSON] = {
    "name": "request_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "description": "Request ID"},
}

_LOGS: Final[JSON] = {
    "name": "logs",
    "in": "query",
    "required": False,
    "schema": {
        "type": "number",
        "description": "Whether to include logs (`1`) in the response or not (`0`).",
    },
}


# The keywords of a file field that stand beside a reference, not inside the type of the file.
_BESIDE_REF: Final[tuple[str, ...]] = ("default", "x-file", "x-media", "x-fal")


def document(model: Model) -> JSON:
    """The document of an endpoint."""
    name = _component(model.id)
    components = Components()
    components.add(f"{name}Input", model.input, INPUTS)
    components.add(f"{name}Output", model.output, INPUTS | OUTPUTS)
    return {
        "openapi": "3.0.4",
        "info": _info(model),
        "components": {
            "securitySchemes": {
                "apiKeyAuth": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "Fal Key",
                }
            },
            "schemas": {"QueueStatus": _QUEUE_STATUS, **components.schemas},
        },
        "paths": _paths(model.id, name),
        "servers": [{"url": "https://queue.fal.run"}],
        "security": [{"apiKeyAuth": []}],
    }


def _info(model: Model) -> JSON:
    return {
        "title": f"Queue OpenAPI for {model.id}",
        "version": "1.0.0",
        "description": f"The OpenAPI schema for the {model.id} queue.",
        "x-fal-metadata": {
            "endpointId": model.id,
            "category": model.category,
            "thumbnailUrl": thumbnail_url(model.id),
            "playgroundUrl": f"{_SITE}/{model.id}",
            "documentationUrl": f"{_SITE}/{model.id}/api",
        },
        # deviation: documents also state where their schemas are from, and of what date they are.
        "x-mock-fal": {
            name: value
            for name, value in (
                ("evidence", model.evidence),
                ("date", model.date),
                ("seen", model.seen),
                ("changed", model.changed),
                ("format", model.format),
            )
            if value
        },
    }


def thumbnail_url(endpoint: str) -> str:
    """The URL of a model's thumbnail in the gallery."""
    # deviation: there is no thumbnail at this URL.
    return f"https://v3b.fal.media/files/b/thumbnails/{endpoint.replace('/', '-')}.jpg"


def _component(endpoint: str) -> str:
    """The prefix of an endpoint's schema names: `FluxSchnell` for fal-ai/flux/schnell."""
    words = re.split(r"[^A-Za-z0-9]+", endpoint.partition("/")[2])
    return "".join(word[:1].upper() + word[1:] for word in words)


def _paths(endpoint: str, name: str) -> JSON:
    # fal: the paths contain the endpoint id, although the live service expects the app id (published copies).
    request = f"/{endpoint}/requests/{{request_id}}"
    status = _json("The request status.", f"{_REF}QueueStatus")
    body = {"required": True, "content": _content({"$ref": f"{_REF}{name}Input"})}
    return {
        f"{request}/status": {"get": {"parameters": [_REQUEST_ID, _LOGS], "responses": status}},
        f"{request}/cancel": {
            "put": {
                "parameters": [_REQUEST_ID],
                "responses": {
                    "200": {"description": "The request was cancelled.", "content": _content(_CANCELLED)}
                },
            }
        },
        f"/{endpoint}": {"post": {"requestBody": body, "responses": status}},
        request: {
            "get": {
                "parameters": [_REQUEST_ID],
                "responses": _json("Result of the request.", f"{_REF}{name}Output"),
            }
        },
    }


def _json(description: str, ref: str) -> JSON:
    return {"200": {"description": description, "content": _content({"$ref": ref})}}


def _content(schema: JSON) -> JSON:
    return {"application/json": {"schema": schema}}


# -- from JSON Schema to OpenAPI 3.0


class Components:
    """The schemas of a document, by name: those that were added, and the types that they use."""

    def __init__(self) -> None:
        self.schemas: dict[str, JSON] = {}
        # Type -> its schema before the conversion: another type of the same name is written in place.
        self._types: dict[str, Any] = {}
        self._descriptions: Mapping[str, str] = {}

    def add(self, name: str, schema: JSON, descriptions: Mapping[str, str]) -> None:
        """Add the schema of an input or output, with descriptions by field name."""
        self._descriptions = descriptions
        self._types[name] = schema
        self.schemas[name] = {}
        self.schemas[name] = self._object(schema) if "properties" in schema else self._converted(schema)

    def _object(self, schema: dict[str, Any]) -> JSON:
        properties = {name: self._field(name, field) for name, field in schema.get("properties", {}).items()}
        required = {"required": schema["required"]} if schema.get("required") else {}
        others = {key: value for key, value in schema.items() if key not in _OBJECT_KEYS}
        return {
            **({"title": schema["title"]} if "title" in schema else {}),
            "type": "object",
            "properties": properties,
            "x-fal-order-properties": list(properties),
            **required,
            **self._converted(others),
        }

    def _field(self, name: str, field: dict[str, Any]) -> JSON:
        described = {"description": self._descriptions[name]} if name in self._descriptions else {}
        # fal: fields have titles, except those that refer to a type (published documents, 2026).
        titled = {} if "properties" in field else {"title": name.replace("_", " ").title()}
        return self._converted({**described, **field, **titled})

    def _converted(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A schema in the dialect of OpenAPI 3.0, which has neither the type null nor siblings of a `$ref`."""
        # deviation: published documents contain {"type": "null"} nevertheless, which validators of 3.0 reject.
        schema = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
        if "anyOf" in schema:
            return self._union(schema)
        if "properties" in schema:
            return self._reference(schema)
        if "const" in schema:
            schema["enum"] = [schema.pop("const")]
        if "prefixItems" in schema:
            schema["x-prefix-items"] = [self._converted(item) for item in schema.pop("prefixItems")]
        if schema.get("type") == "array":
            schema.setdefault("items", {})
        for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if bound in schema:
                schema |= {limit: schema[bound], bound: True}
        for inner in ("items", "additionalProperties"):
            if isinstance(schema.get(inner), dict):
                schema[inner] = self._converted(schema[inner])
        return schema

    def _reference(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A reference to a type. A type without a name, or with the name of another one, is written in place."""
        beside = {key: schema.pop(key) for key in ("description", *_BESIDE_REF) if key in schema}
        title = schema.get("title", "")
        if not _NAME.fullmatch(title) or self._types.setdefault(title, schema) != schema:
            return {**self._object(schema), **beside}
        if title not in self.schemas:
            self.schemas[title] = {}
            self.schemas[title] = self._object(schema)
        ref = {"$ref": f"{_REF}{title}"}
        return {"allOf": [ref], **beside} if beside else ref

    def _union(self, schema: dict[str, Any]) -> dict[str, Any]:
        members = schema.pop("anyOf")
        branches = [self._converted(member) for member in members if member != {"type": "null"}]
        if len(branches) < len(members):
            _allow_null(branches)
        if len(branches) > 1:
            return {"anyOf": branches, **schema}
        if "title" in branches[0]:
            schema.pop("title", None)  # the name of a type counts more than the title of a field
        return {**branches[0], **schema}


_OBJECT_KEYS: Final = {"title", "type", "properties", "required"}
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def _allow_null(branches: list[dict[str, Any]]) -> None:
    """Make one of the branches nullable: OpenAPI 3.0 allows `nullable` beside a type only."""
    typed = next((branch for branch in branches if "type" in branch), None)
    if typed is None:
        branches.append({"type": "object", "nullable": True, "enum": [None]})
        return
    typed["nullable"] = True
    if "enum" in typed:
        typed["enum"] = [*typed["enum"], None]
