"""`node/control.d.ts`: the control API, the settings and the rules as TypeScript, from the documents and the code.

`python -m tests.node_package.control_types` (or `make docs`) rewrites the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import yaml

from mock_fal.errors import MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.scenario.options import OPERATIONS, OPTIONS
from mock_fal.settings import Settings

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "node/control.d.ts"

# Schemas of the document that are of no use to a test.
_LEFT_OUT: Final = {"ControlError", "RuleList", "Rule", "Archive"}

# `File` is a class of JavaScript.
_NAMES: Final = {"File": "StoredFile", "WebhookDelivery": "Delivery"}

_SIMPLE: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
    "object": "Record<string, unknown>",
    "array": "unknown[]",
}

# The settings whose values are text with a unit, and those with a few values.
_SETTINGS: Final = {
    **dict.fromkeys(
        ("max_memory", "max_body", "max_upload", "max_disk"), "number | `${number}${'k' | 'M' | 'G'}`"
    ),
    "clock": "Clock",
    "webhook_retries": "'fast' | 'real' | 'none'",
}

# What the formats of rule options stand for; several words with | between them are literals.
_FORMATS: Final = {
    "": "boolean",
    "CODE": "number",
    "N": "number",
    "SECONDS": "number",
    "UNITS": "number",
    "BYTES_PER_SECOND": "number",
    "502|503|504": "502 | 503 | 504",
    "true|false": "boolean",
    "OPERATION": "RuleOperation",
    "TYPE": "ErrorType",
    "JSON": "unknown",
    "TEXT|JSON": "unknown",
    "JSON|null": "unknown",
}


def control_types() -> str:
    """The text of the file."""
    document = yaml.safe_load((ROOT / "openapi/control.yaml").read_text("utf-8"))
    schemas: dict[str, Any] = document["components"]["schemas"]
    rules = document["components"]["responses"]["Rules"]["content"]["application/json"]["schema"]
    filters = document["paths"]["/_mock/requests"]["get"]["parameters"]
    return "\n".join(
        [
            "// Made from openapi/control.yaml and the settings and rules of mock-fal by `make docs`. Do not edit.",
            "",
            *(
                line
                for name, schema in schemas.items()
                if name not in _LEFT_OUT
                for line in _declared(_NAMES.get(name, name), schema)
            ),
            *_declared("AddedRule", rules["properties"]["rules"]["items"]),
            *_interface("RequestFilter", _filters(filters)),
            *_literals("ErrorType", "The errors of fal.", [*MODEL_ERRORS, *REQUEST_ERRORS]),
            *_literals("RuleOperation", "The operations that a rule can be limited to.", OPERATIONS),
            *_interface(
                "RuleOptions", _rule_options(), "The options of a rule; see docs/reference/directives.md."
            ),
            *_interface("Settings", _settings(), "The settings of a server; see docs/reference/settings.md."),
        ]
    )


def _declared(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if "properties" not in schema:
        yield from _comment(schema.get("description", ""))
        yield f"export type {name} = {_type(schema)}"
        yield ""
        return
    yield from _interface(name, _members(schema), schema.get("description", ""))


def _members(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    # The server writes all members, also those that a reader of the document may not count on.
    for name, member in schema["properties"].items():
        yield name, _type(member), member.get("description", "")


def _filters(parameters: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    yield "key?", "string", "The id of a key."
    for parameter in parameters:
        if "name" in parameter and parameter["name"] != "format":
            yield f"{parameter['name']}?", _type(parameter["schema"]), parameter.get("description", "")


def _rule_options() -> Iterator[tuple[str, str, str]]:
    for name, kind in OPTIONS.items():
        written = kind.value_format
        words = re.fullmatch(r"[a-z_]+(\|[a-z_]+)*", written)
        literals = " | ".join(f"'{word}'" for word in written.split("|"))
        found = _FORMATS.get(written) or (literals if words else "string")
        if name in ("ctx", "header"):
            name, found = ("headers" if name == "header" else name), "Record<string, unknown>"
        yield f"{name}?", found, kind.sentence.replace("{}.", "…").replace("{}", "…")


def _settings() -> Iterator[tuple[str, str, str]]:
    for setting in fields(Settings):
        name = re.sub(r"_(.)", lambda match: match[1].upper(), setting.name)
        written = "readonly string[]" if setting.default == () else type(setting.default).__name__
        simple = {"str": "string", "int": "number", "float": "number", "bool": "boolean"}
        found = _SETTINGS.get(setting.name) or simple.get(written, written)
        help_text = str(setting.metadata["help"])
        yield f"{name}?", found, f"{help_text[0].upper()}{help_text[1:]}."


def _type(schema: Mapping[str, Any]) -> str:
    """The TypeScript of a schema, in one line."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(map(_literal, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(map(_type, schema["anyOf"]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": name}) for name in kind)
    if kind == "array" and "items" in schema:
        if schema.get("minItems") == schema.get("maxItems") == 2:
            return f"[{_type(schema['items'])}, {_type(schema['items'])}]"
        return f"Array<{_type(schema['items'])}>"
    if kind == "object" and "properties" in schema:
        return "{ " + "; ".join(f"{name}: {type_}" for name, type_, _ in _members(schema)) + " }"
    if kind == "object" and "additionalProperties" in schema:
        return f"Record<string, {_type(schema['additionalProperties'])}>"
    # Of a value that may be anything, a test knows what it is.
    return _SIMPLE[kind] if kind else "any"


def _literal(value: object) -> str:
    return json.dumps(value) if value is None else f"'{value}'"


def _interface(name: str, members: Iterable[tuple[str, str, str]], description: str = "") -> Iterator[str]:
    yield from _comment(description)
    yield f"export interface {name} {{"
    for member, type_, text in members:
        yield from _comment(text, "  ")
        yield f"  {member}: {type_}"
    yield from ("}", "")


def _literals(name: str, description: str, values: Iterable[str]) -> Iterator[str]:
    yield from _comment(description)
    yield f"export type {name} ="
    yield from (f"  | '{value}'" for value in values)
    yield ""


def _comment(text: str, indent: str = "") -> Iterator[str]:
    if text:
        yield f"{indent}/** {' '.join(text.split())} */"


if __name__ == "__main__":
    FILE.write_text(control_types(), "utf-8")
