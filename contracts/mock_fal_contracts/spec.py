"""The OpenAPI specification: finds the operation of a request, and validates requests and responses against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from mock_fal_contracts.exchanges import Exchange

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of one file. References in `parameters` and `responses` are resolved at the first level."""

    surface: str
    id: str
    method: str
    template: str
    hosts: frozenset[str]
    parameters: tuple[Object, ...]
    body: Object
    responses: Mapping[str, Object]
    document: Object = field(repr=False)

    @property
    def literal_segments(self) -> int:
        """The number of path segments without a parameter. The template with the most is the closest match."""
        return sum("{" not in segment for segment in self.template.split("/"))

    def response(self, status: int) -> Object | None:
        """The response specified for a status; None if there is none."""
        for name in (str(status), f"{status // 100}XX", "default"):
            if name in self.responses:
                return self.responses[name]
        return None

    def validator(self, schema: Object) -> Draft202012Validator:
        """A validator for a schema of the same document."""
        return Draft202012Validator({**schema, "components": self.document.get("components", {})})


class Spec:
    """The operations of all API surfaces."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = sorted(operations, key=lambda operation: -operation.literal_segments)

    def operations_at(self, host: str, path: str) -> list[Operation]:
        """The operations with a matching path and any method, the closest match first."""
        return [
            operation
            for operation in self.operations
            if host in operation.hosts and _pattern(operation.template).fullmatch(path)
        ]

    def operation(self, host: str, method: str, path: str) -> Operation | None:
        """The operation of a request; None if no operation matches. HEAD counts as GET."""
        expected = "GET" if method == "HEAD" else method
        matches = self.operations_at(host, path)
        return next((operation for operation in matches if operation.method == expected), None)

    def request_violations(self, exchange: Exchange) -> list[str]:
        """The violations in a request: its method and path, query, headers and body."""
        operation = self.operation(exchange.host, exchange.method, exchange.path)
        if operation is None:
            others = self.operations_at(exchange.host, exchange.path)
            methods = ", ".join(dict.fromkeys(other.method for other in others))
            expected = f"expected {methods}" if methods else "no such path in the specification"
            return [f"{exchange.method} https://{exchange.host}{exchange.path}: {expected}"]
        return [*_parameter_violations(operation, exchange), *_body_violations(operation, exchange)]

    def response_violations(self, exchange: Exchange) -> list[str]:
        """The violations in a response: its status, headers and body. None for a request that matches no operation."""
        operation = self.operation(exchange.host, exchange.method, exchange.path)
        if operation is None:
            return []
        response = operation.response(exchange.status)
        if response is None:
            listed = ", ".join(sorted(operation.responses))
            return [
                f"{operation.id}: status {exchange.status} is not in the specification; "
                f"expected one of {listed}"
            ]
        return [
            *_header_violations(operation, response, exchange),
            *_content_violations(operation, response, exchange),
        ]


def folder() -> Path:
    """The folder of the specification: beside `contracts/` in a checkout, inside `mock_fal` in an installed package."""
    module = Path(__file__).resolve()
    candidates = [module.parents[2] / "openapi", module.parents[1] / "mock_fal" / "openapi"]
    existing = next((path for path in candidates if (path / "queue.yaml").is_file()), None)
    if existing is None:
        raise FileNotFoundError(
            f"no specification; looked for queue.yaml in {candidates[0]} and {candidates[1]}"
        )
    return existing


@lru_cache
def load(folder: Path) -> Spec:
    """The specification in a folder of OpenAPI files, one for each API surface."""
    return Spec(operation for file in sorted(folder.glob("*.yaml")) for operation in _operations(file))


def _operations(file: Path) -> Iterator[Operation]:
    document = yaml.load(file.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(document, dict) or "openapi" not in document:
        return  # not an OpenAPI file, such as the settings of a linter
    for template, item in (document.get("paths") or {}).items():
        servers = item.get("servers") or document.get("servers") or []
        for method in ("get", "put", "post", "delete", "patch", "options"):
            if method in item:
                node = item[method]
                parameters = [*item.get("parameters", []), *node.get("parameters", [])]
                yield Operation(
                    surface=file.stem,
                    id=node.get("operationId", f"{method} {template}"),
                    method=method.upper(),
                    template=template,
                    hosts=_hosts(node.get("servers") or servers),
                    parameters=tuple(_resolved(parameter, document) for parameter in parameters),
                    body=_resolved(node.get("requestBody", {}), document),
                    responses={
                        str(status): _resolved(response, document)
                        for status, response in node["responses"].items()
                    },
                    document=document,
                )


def _hosts(servers: Iterable[Object]) -> frozenset[str]:
    names = (urlsplit(server["url"]).hostname or "" for server in servers)
    return frozenset(name for name in names if "{" not in name and name)


def _resolved(node: Object, document: Object) -> Object:
    """The node itself, or the node of the same document that its `$ref` refers to."""
    while "$ref" in node:
        value: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            value = value[key.replace("~1", "/").replace("~0", "~")]
        node = value
    return node


@lru_cache(maxsize=512)
def _pattern(template: str) -> re.Pattern[str]:
    """The paths that match a template. `{path}` and `{file}` match several segments, which OpenAPI can't express."""
    parts = re.split(r"(\{[^}]+\})", template)
    patterns = {"{path}": ".+", "{file}": ".+"}
    return re.compile(
        "".join(patterns.get(part, "[^/]+") if part.startswith("{") else re.escape(part) for part in parts)
        + "/?"
    )


def _parameter_violations(operation: Operation, exchange: Exchange) -> Iterator[str]:
    query = dict(exchange.params)
    for parameter in operation.parameters:
        name, location = parameter["name"], parameter["in"]
        if location == "path":
            continue  # checked by _pattern
        value = query.get(name) if location == "query" else exchange.request_header(name)
        if value is None:
            if parameter.get("required"):
                yield f"{location} parameter {name!r} is missing"
            continue
        if "schema" in parameter:
            yield from _mismatch(
                operation, parameter["schema"], _readings(unquote(value)), f"{location} parameter {name!r}"
            )


def _readings(text: str) -> list[Any]:
    """The values that a text in a query or a header can represent: JSON where it parses, and the text itself."""
    try:
        return [json.loads(text), text]
    except (ValueError, RecursionError):
        return [text]


def _mismatch(operation: Operation, schema: Object, readings: list[Any], where: str) -> Iterator[str]:
    validator = operation.validator(_resolved(schema, operation.document))
    if not any(validator.is_valid(reading) for reading in readings):
        yield f"{where} is {readings[-1]!r}: {_reason(validator, readings[0])}"


def _reason(validator: Draft202012Validator, value: Any) -> str:
    error = best_match(validator.iter_errors(value))
    path = "/".join(map(str, error.absolute_path))
    return f"{f'at {path}: ' if path else ''}{error.message[:300]}"


def _body_violations(operation: Operation, exchange: Exchange) -> Iterator[str]:
    content = operation.body.get("content", {})
    if not exchange.request_body:
        if operation.body.get("required"):
            yield "the body is missing"
        return
    if "application/json" not in content:
        return
    try:
        document = json.loads(exchange.request_body)
    except (ValueError, RecursionError) as error:
        yield f"the body is not JSON: {error}"
        return
    schema = content["application/json"].get("schema")
    if schema is not None:
        validator = operation.validator(_resolved(schema, operation.document))
        if not validator.is_valid(document):
            yield f"the body does not match the schema: {_reason(validator, document)}"


def _header_violations(operation: Operation, response: Object, exchange: Exchange) -> Iterator[str]:
    for name, header in (response.get("headers") or {}).items():
        header = _resolved(header, operation.document)
        value = exchange.response_header(name)
        if value is None:
            if header.get("required"):
                yield f"{operation.id}: {exchange.status} lacks the header {name}"
        elif "schema" in header:
            yield from _mismatch(
                operation,
                header["schema"],
                _readings(value),
                f"{operation.id}: {exchange.status}: header {name}",
            )


def _content_violations(operation: Operation, response: Object, exchange: Exchange) -> Iterator[str]:
    content = {
        name.partition(";")[0].strip().lower(): media_type
        for name, media_type in (response.get("content") or {}).items()
    }
    if not content or exchange.method == "HEAD":
        return
    content_type = (exchange.response_header("content-type") or "").partition(";")[0].strip().lower()
    if (
        content_type not in content
        and "*/*" not in content
        and not any(name.endswith("/*") and content_type.startswith(name[:-1]) for name in content)
    ):
        yield (
            f"{operation.id}: {exchange.status} has content type {content_type!r}, "
            f"expected {' or '.join(content)}"
        )
        return
    schema = (content.get(content_type) or {}).get("schema")
    if content_type != "application/json" or schema is None:
        return
    try:
        document = json.loads(exchange.response_body)
    except (ValueError, RecursionError) as error:
        yield f"{operation.id}: {exchange.status} has a body that is not JSON: {error}"
        return
    validator = operation.validator(_resolved(schema, operation.document))
    if not validator.is_valid(document):
        yield (
            f"{operation.id}: {exchange.status} has a body that does not match the schema: "
            f"{_reason(validator, document)}"
        )
