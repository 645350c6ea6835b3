"""The OpenAPI document of an endpoint, as fal publishes it, made of the models that its runner reads and fills."""

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
    """The document of an endpoint; None for one that there is not. To be read, not changed."""
    if endpoint not in FAMILIES:
        return None
    name = _component(endpoint)
    its = schema(endpoint)
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
                **_schemas(f"{name}Input", its.input.model_json_schema(), INPUTS),
                **_schemas(f"{name}Output", its.output.model_json_schema(), INPUTS | OUTPUTS),
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
    """The address of a model's picture in the gallery."""
    # deviation: no thumbnail is there.
    return f"https://v3b.fal.media/files/b/thumbnails/{endpoint.replace('/', '-')}.jpg"


def _component(endpoint: str) -> str:
    """What fal calls an endpoint's schemas: `FluxSchnell` for fal-ai/flux/schnell."""
    words = re.split(r"[^A-Za-z0-9]+", endpoint.partition("/")[2])
    return "".join(word[:1].upper() + word[1:] for word in words)


def _paths(endpoint: str, name: str) -> JSON:
    # fal: of the whole id, where the live service wants the app's (published copies).
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


def _schemas(name: str, whole: dict[str, Any], words: Mapping[str, str]) -> dict[str, JSON]:
    """The schema of one model, and those that it refers to; `words` describe the fields."""
    named = {name: whole, **whole.pop("$defs", {})}
    return {name: _object(its, words) for name, its in named.items()}


def _object(its: dict[str, Any], words: Mapping[str, str]) -> JSON:
    properties = {
        name: _converted({"description": words[name], **part} if name in words else part)
        for name, part in its["properties"].items()
    }
    required = {"required": its["required"]} if its.get("required") else {}
    return {
        "title": its["title"],
        "type": "object",
        "properties": properties,
        "x-fal-order-properties": list(properties),
        **required,
    }


def _converted(its: dict[str, Any]) -> dict[str, Any]:
    """A schema in the dialect of OpenAPI 3.0, which knows neither the type null nor siblings of a reference."""
    # deviation: published documents say {"type": "null"} all the same, which validators of 3.0 refuse.
    its = {key: value for key, value in its.items() if not (key == "default" and value is None)}
    if "anyOf" in its:
        return _union(its)
    if "$ref" in its:
        ref = {"$ref": its.pop("$ref").replace("#/$defs/", _REF)}
        return {"allOf": [ref], **its} if its else ref
    if "const" in its:
        its["enum"] = [its.pop("const")]
    for bound, place in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in its:
            its |= {place: its[bound], bound: True}
    for inner in ("items", "additionalProperties"):
        if isinstance(its.get(inner), dict):
            its[inner] = _converted(its[inner])
    return its


def _union(its: dict[str, Any]) -> dict[str, Any]:
    given = its.pop("anyOf")
    branches = [_converted(branch) for branch in given if branch != {"type": "null"}]
    if len(branches) < len(given):
        _admit_null(branches)
    if len(branches) > 1:
        return {"anyOf": branches, **its}
    return {**branches[0], **its}


def _admit_null(branches: list[dict[str, Any]]) -> None:
    """Let null pass one of the branches: OpenAPI 3.0 knows it beside a type only."""
    typed = next((branch for branch in branches if "type" in branch), None)
    if typed is None:
        branches.append({"type": "object", "nullable": True, "enum": [None]})
        return
    typed["nullable"] = True
    if "enum" in typed:
        typed["enum"] = [*typed["enum"], None]
