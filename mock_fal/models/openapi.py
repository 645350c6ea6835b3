"""The OpenAPI document of an endpoint in fal's form, generated from schema input and output models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from mock_fal.errors import JSON
from mock_fal.models.catalog import FAMILIES, schema
from mock_fal.models.descriptions import MODELS
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


@lru_cache(maxsize=256)
def document(endpoint: str) -> JSON | None:
    """The document of an endpoint, or None if it does not exist. Cached: do not modify it."""
    if endpoint not in FAMILIES:
        return None
    name = _component(endpoint)
    models = schema(endpoint)
    return {
        "openapi": "3.0.4",
        "info": _info(endpoint),
        "components": {
            "securitySchemes": {
                "apiKeyAuth": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "Fal Key",
                }
            },
            "schemas": {
                "QueueStatus": _QUEUE_STATUS,
                **_schemas(f"{name}Input", models.input.model_json_schema(), INPUTS),
                **_schemas(f"{name}Output", models.output.model_json_schema(), INPUTS | OUTPUTS),
            },
        },
        "paths": _paths(endpoint, name),
        "servers": [{"url": "https://queue.fal.run"}],
        "security": [{"apiKeyAuth": []}],
    }


def _info(endpoint: str) -> JSON:
    return {
        "title": f"Queue OpenAPI for {endpoint}",
        "version": "1.0.0",
        "description": f"The OpenAPI schema for the {endpoint} queue.",
        "x-fal-metadata": {
            "endpointId": endpoint,
            "category": MODELS[endpoint].category,
            "thumbnailUrl": thumbnail_url(endpoint),
            "playgroundUrl": f"{_SITE}/{endpoint}",
            "documentationUrl": f"{_SITE}/{endpoint}/api",
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


# -- from JSON Schema, as pydantic writes it, to OpenAPI 3.0


def _schemas(name: str, schema: dict[str, Any], descriptions: Mapping[str, str]) -> dict[str, JSON]:
    """The schema of one model, and those that it refers to, with descriptions by field name."""
    schemas = {name: schema, **schema.pop("$defs", {})}
    return {name: _object(schema, descriptions) for name, schema in schemas.items()}


def _object(schema: dict[str, Any], descriptions: Mapping[str, str]) -> JSON:
    properties = {
        name: _converted({"description": descriptions[name], **field} if name in descriptions else field)
        for name, field in schema["properties"].items()
    }
    required = {"required": schema["required"]} if schema.get("required") else {}
    return {
        "title": schema["title"],
        "type": "object",
        "properties": properties,
        "x-fal-order-properties": list(properties),
        **required,
    }


def _converted(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema in the dialect of OpenAPI 3.0, which has neither the type null nor siblings of a `$ref`."""
    # deviation: published documents contain {"type": "null"} nevertheless, which validators of 3.0 reject.
    schema = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    if "anyOf" in schema:
        return _union(schema)
    if "$ref" in schema:
        ref = {"$ref": schema.pop("$ref").replace("#/$defs/", _REF)}
        return {"allOf": [ref], **schema} if schema else ref
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in schema:
            schema |= {limit: schema[bound], bound: True}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            schema[inner] = _converted(schema[inner])
    return schema


def _union(schema: dict[str, Any]) -> dict[str, Any]:
    members = schema.pop("anyOf")
    branches = [_converted(member) for member in members if member != {"type": "null"}]
    if len(branches) < len(members):
        _allow_null(branches)
    if len(branches) > 1:
        return {"anyOf": branches, **schema}
    return {**branches[0], **schema}


def _allow_null(branches: list[dict[str, Any]]) -> None:
    """Make one of the branches nullable: OpenAPI 3.0 allows `nullable` beside a type only."""
    typed = next((branch for branch in branches if "type" in branch), None)
    if typed is None:
        branches.append({"type": "object", "nullable": True, "enum": [None]})
        return
    typed["nullable"] = True
    if "enum" in typed:
        typed["enum"] = [*typed["enum"], None]
