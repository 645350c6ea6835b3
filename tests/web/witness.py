"""Asks the application what a document in `openapi/` describes, and holds each answer against it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from tests.specs import Operation, Place, spec
from tests.web.conftest import OURS, Fal

NOTHING: Mapping[str, Any] = {}


class Witness:
    """One fal, and all that was asked of it: `seen` are the operations and the statuses of their answers."""

    def __init__(self, fal: Fal) -> None:
        self.fal = fal
        self.seen: set[tuple[str, int]] = set()

    def ask(
        self,
        name: str,
        status: int | None = None,
        values: Mapping[str, Any] = NOTHING,
        *,
        body: Any = None,
        method: str = "",
        query: str = "",
        key: str | None = "alice:secret",
        headers: Mapping[str, str] = NOTHING,
    ) -> httpx.Response:
        """The answer to `file.operation`, which fits the document.

        `values` are parameters by their names; what is required and not among them is filled with its example, as the
        body is. `status` is what is expected; without it, any that the document has. `method` asks by another one, and
        `query` is put behind the address.
        """
        operation = operation_of(name)
        values = {**required(operation), **values}
        sent = body if body is not None else next((value for *_, value in operation.examples()), None)
        content, media_type = encoded(operation, sent)
        sent_headers = {"content-type": media_type} if media_type else {}
        sent_headers |= {each: str(values[each]) for each in operation.names("header") if each in values}
        response = self.fal.ask(
            method or operation.method.upper(),
            address(operation, values) + query,
            key=None if "authorization" in headers else key,
            headers={**sent_headers, **headers},
            body=content,
        )
        assert status in (None, response.status_code), (
            f"{name}: {response.status_code}, {response.text[:500]}"
        )
        faults = operation.faults(response)
        assert not faults, f"{name}, {response.status_code}: {faults}\n{response.text[:1000]}"
        self.seen.add((name, response.status_code))
        return response

    def follow(self, name: str, response: httpx.Response, values: Mapping[str, Any]) -> list[httpx.Response]:
        """The answers to what the document links an answer with."""
        operation = operation_of(name)
        said = operation.response(response.status_code)
        assert said is not None
        responses = []
        for _, link in said.get("links").items():
            told = {
                each: _evaluated(text, response, values)
                for each, text in link.get("parameters").value.items()
            }
            body = _evaluated(link.get("requestBody").value or None, response, values)
            target = f"{operation.spec.name}.{link['operationId'].value}"
            responses.append(self.ask(target, values=told, body=body))
        return responses


def operation_of(name: str) -> Operation:
    """The operation that `file.operation` names."""
    document, _, operation = name.partition(".")
    return spec(document).operation(operation)


def required(operation: Operation) -> dict[str, Any]:
    """The examples of the parameters without which there is no question."""
    return {each["name"].value: example(each) for each in operation.parameters if each.value.get("required")}


def example(parameter: Place) -> Any:
    """The example of a parameter; one of JSON is written out."""
    if "example" in parameter:
        return parameter["example"].value
    return json.dumps(parameter["content"]["application/json"]["example"].value)


def encoded(operation: Operation, body: Any) -> tuple[bytes, str]:
    """A body as it is sent, and its type."""
    if isinstance(body, bytes):
        return body, "application/json"
    if "requestBody" not in operation.node:
        return b"", ""
    kinds = list(operation.node["requestBody"]["content"].value)
    return (json.dumps(body).encode(), kinds[0]) if "json" in kinds[0] else (str(body).encode(), kinds[0])


def address(operation: Operation, values: Mapping[str, Any]) -> str:
    """Where an operation is asked for; a path may have several segments."""
    path = re.sub(r"{(\w+)}", lambda match: quote(str(values[match[1]]), safe="/"), operation.path)
    query = urlencode({each: values[each] for each in operation.names("query") if each in values}, doseq=True)
    return f"{base(operation)}{path}{'?' + query if query else ''}"


def base(operation: Operation) -> str:
    """The first server of a document; ours, where that is our own address."""
    url: str = (operation.item if "servers" in operation.item else operation.spec.root)["servers"][0][
        "url"
    ].value
    return OURS if "{" in url else url


def parts_of(url: str) -> dict[str, str]:
    """What the address of a file names, under the names of media.yaml."""
    *_, store, name = urlsplit(url).path.split("/")
    return {
        "store": store,
        "name": name,
        **dict(pair.split("=") for pair in urlsplit(url).query.split("&") if pair),
    }


def _evaluated(expression: Any, response: httpx.Response, values: Mapping[str, Any]) -> Any:
    """What a runtime expression of OpenAPI means, also inside lists and objects."""
    if isinstance(expression, dict):
        return {key: _evaluated(part, response, values) for key, part in expression.items()}
    if isinstance(expression, list):
        return [_evaluated(part, response, values) for part in expression]
    if not isinstance(expression, str) or not expression.startswith("$"):
        return expression
    if expression.startswith("$response.body#/"):
        return response.json()[expression.removeprefix("$response.body#/")]
    return values[expression.rpartition(".")[2]]
