"""The specification: which operation a question belongs to, and in what an exchange doesn't keep to it."""

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
    """One operation of one file. `parameters` and `responses` are resolved to the first level."""

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
        """How many segments of the path are spelt out: the more, the closer it fits."""
        return sum("{" not in segment for segment in self.template.split("/"))

    def response(self, status: int) -> Object | None:
        """What is said of a status; None when nothing is."""
        for name in (str(status), f"{status // 100}XX", "default"):
            if name in self.responses:
                return self.responses[name]
        return None

    def validator(self, schema: Object) -> Draft202012Validator:
        """A validator for a schema of the same document."""
        return Draft202012Validator({**schema, "components": self.document.get("components", {})})


class Spec:
    """The operations of all planes."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = sorted(operations, key=lambda each: -each.literal_segments)

    def operations_at(self, host: str, path: str) -> list[Operation]:
        """Those that have such a path, whatever the method; the closest first."""
        return [
            each for each in self.operations if host in each.hosts and _pattern(each.template).fullmatch(path)
        ]

    def operation(self, host: str, method: str, path: str) -> Operation | None:
        """The operation that is asked; None when there is no such."""
        wanted = "GET" if method == "HEAD" else method
        return next((each for each in self.operations_at(host, path) if each.method == wanted), None)

    def request_violations(self, exchange: Exchange) -> list[str]:
        """What is wrong with a question: its method and path, query, headers and body."""
        its = self.operation(exchange.host, exchange.method, exchange.path)
        if its is None:
            others = self.operations_at(exchange.host, exchange.path)
            known = ", ".join(dict.fromkeys(each.method for each in others))
            expected = f"expected {known}" if known else "no such path in the specification"
            return [f"{exchange.method} https://{exchange.host}{exchange.path}: {expected}"]
        return [*_parameter_faults(its, exchange), *_body_faults(its, exchange)]

    def response_violations(self, exchange: Exchange) -> list[str]:
        """What is wrong with an answer: its status, headers and body."""
        its = self.operation(exchange.host, exchange.method, exchange.path)
        if its is None:
            return []
        response = its.response(exchange.status)
        if response is None:
            listed = ", ".join(sorted(its.responses))
            return [
                f"{its.id}: status {exchange.status} is not in the specification; expected one of {listed}"
            ]
        return [*_header_faults(its, response, exchange), *_content_faults(its, response, exchange)]


def folder() -> Path:
    """Where the specification lies: beside `contracts/` in a checkout, within `mock_fal` where it is installed."""
    here = Path(__file__).resolve()
    places = [here.parents[2] / "openapi", here.parents[1] / "mock_fal" / "openapi"]
    found = next((place for place in places if (place / "queue.yaml").is_file()), None)
    if found is None:
        raise FileNotFoundError(f"no specification; looked for queue.yaml in {places[0]} and {places[1]}")
    return found


@lru_cache
def load(folder: Path) -> Spec:
    """The specification in a folder of OpenAPI files, one a plane."""
    return Spec(operation for file in sorted(folder.glob("*.yaml")) for operation in _operations(file))


def _operations(file: Path) -> Iterator[Operation]:
    document = yaml.load(file.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(document, dict) or "openapi" not in document:
        return  # a linter's settings, perhaps
    for template, item in (document.get("paths") or {}).items():
        servers = item.get("servers") or document.get("servers") or []
        for method in ("get", "put", "post", "delete", "patch", "options"):
            if method in item:
                its = item[method]
                parameters = [*item.get("parameters", []), *its.get("parameters", [])]
                yield Operation(
                    surface=file.stem,
                    id=its.get("operationId", f"{method} {template}"),
                    method=method.upper(),
                    template=template,
                    hosts=_hosts(its.get("servers") or servers),
                    parameters=tuple(_resolved(each, document) for each in parameters),
                    body=_resolved(its.get("requestBody", {}), document),
                    responses={
                        str(status): _resolved(each, document) for status, each in its["responses"].items()
                    },
                    document=document,
                )


def _hosts(servers: Iterable[Object]) -> frozenset[str]:
    names = (urlsplit(server["url"]).hostname or "" for server in servers)
    return frozenset(name for name in names if "{" not in name and name)


def _resolved(part: Object, document: Object) -> Object:
    """What a `$ref` to the same document stands for."""
    while "$ref" in part:
        value: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            value = value[step.replace("~1", "/").replace("~0", "~")]
        part = value
    return part


@lru_cache(maxsize=512)
def _pattern(template: str) -> re.Pattern[str]:
    """The paths that a template stands for. A `{path}` may have several segments, which OpenAPI can't say."""
    parts = re.split(r"(\{[^}]+\})", template)
    read = {"{path}": ".+", "{file}": ".+"}
    return re.compile(
        "".join(read.get(part, "[^/]+") if part.startswith("{") else re.escape(part) for part in parts) + "/?"
    )


def _parameter_faults(its: Operation, exchange: Exchange) -> Iterator[str]:
    values = dict(exchange.params)
    for parameter in its.parameters:
        name, place = parameter["name"], parameter["in"]
        if place == "path":
            continue  # the path has matched
        seen = values.get(name) if place == "query" else exchange.request_header(name)
        if seen is None:
            if parameter.get("required"):
                yield f"{place} parameter {name!r} is missing"
            continue
        if "schema" in parameter:
            yield from _mismatch(
                its, parameter["schema"], _read(unquote(seen)), f"{place} parameter {name!r}"
            )


def _read(text: str) -> list[Any]:
    """What a text in a query or a header may stand for."""
    try:
        return [json.loads(text), text]
    except (ValueError, RecursionError):
        return [text]


def _mismatch(its: Operation, schema: Object, readings: list[Any], where: str) -> Iterator[str]:
    validator = its.validator(_resolved(schema, its.document))
    if not any(validator.is_valid(reading) for reading in readings):
        yield f"{where} is {readings[-1]!r}: {_reason(validator, readings[0])}"


def _reason(validator: Draft202012Validator, seen: Any) -> str:
    error = best_match(validator.iter_errors(seen))
    place = "/".join(map(str, error.absolute_path))
    return f"{f'at {place}: ' if place else ''}{error.message[:300]}"


def _body_faults(its: Operation, exchange: Exchange) -> Iterator[str]:
    content = its.body.get("content", {})
    if not exchange.request_body:
        if its.body.get("required"):
            yield "the body is missing"
        return
    if "application/json" not in content:
        return
    try:
        document = json.loads(exchange.request_body)
    except (ValueError, RecursionError) as error:
        yield f"the body is no JSON: {error}"
        return
    schema = content["application/json"].get("schema")
    if schema is not None:
        validator = its.validator(_resolved(schema, its.document))
        if not validator.is_valid(document):
            yield f"the body does not fit: {_reason(validator, document)}"


def _header_faults(its: Operation, response: Object, exchange: Exchange) -> Iterator[str]:
    for name, header in (response.get("headers") or {}).items():
        header = _resolved(header, its.document)
        seen = exchange.response_header(name)
        if seen is None:
            if header.get("required"):
                yield f"{its.id}: {exchange.status} lacks the header {name}"
        elif "schema" in header:
            yield from _mismatch(
                its, header["schema"], _read(seen), f"{its.id}: {exchange.status}: header {name}"
            )


def _content_faults(its: Operation, response: Object, exchange: Exchange) -> Iterator[str]:
    content = {
        name.partition(";")[0].strip().lower(): each for name, each in (response.get("content") or {}).items()
    }
    if not content or exchange.method == "HEAD":
        return
    kind = (exchange.response_header("content-type") or "").partition(";")[0].strip().lower()
    if (
        kind not in content
        and "*/*" not in content
        and not any(each.endswith("/*") and kind.startswith(each[:-1]) for each in content)
    ):
        yield f"{its.id}: {exchange.status} has content type {kind!r}, expected {' or '.join(content)}"
        return
    schema = (content.get(kind) or {}).get("schema")
    if kind != "application/json" or schema is None:
        return
    try:
        document = json.loads(exchange.response_body)
    except (ValueError, RecursionError) as error:
        yield f"{its.id}: {exchange.status} has a body that is no JSON: {error}"
        return
    validator = its.validator(_resolved(schema, its.document))
    if not validator.is_valid(document):
        yield f"{its.id}: {exchange.status} has a body that does not fit: {_reason(validator, document)}"
