"""Sends requests that a document in `openapi/` describes, and validates each response against it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from tests.specs import Operation, Place, spec
from tests.web.conftest import OURS, Fal

# Where a token for kv.fal.media comes from.
TOKENS = "https://rest.fal.ai/storage/auth/token"

NOTHING: Mapping[str, Any] = {}


class Witness:
    """A validating client. `seen` are the operations and response statuses so far."""

    def __init__(self, fal: Fal) -> None:
        self.fal = fal
        self.seen: set[tuple[str, int]] = set()

    def request(
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
        peer: str = "127.0.0.1",
    ) -> httpx.Response:
        """The validated response to `file.operation`.

        `values` are parameters by name. Missing required parameters and a missing body are filled with their examples.
        `status` is the expected status; without it, any status in the document is accepted. `method` overrides the
        method, and `query` is appended to the URL.
        """
        operation = operation_of(name)
        values = {**required(operation), **values}
        payload = body if body is not None else next((value for *_, value in operation.examples()), None)
        content, media_type = encoded(operation, payload)
        sent_headers = {"content-type": media_type} if media_type else {}
        if operation.spec.name == "kv" and key is not None and "authorization" not in headers:
            token = self.fal.request("POST", TOKENS, key=key, body=b"{}").json()["token"]
            headers = {**headers, "authorization": f"Bearer {token}"}
        sent_headers |= {
            header: str(values[header]) for header in operation.names("header") if header in values
        }
        response = self.fal.request(
            method or operation.method.upper(),
            address(operation, values) + query,
            key=None if "authorization" in headers else key,
            headers={**sent_headers, **headers},
            body=content,
            peer=peer,
        )
        assert status in (None, response.status_code), (
            f"{name}: {response.status_code}, {response.text[:500]}"
        )
        errors = operation.faults(response)
        assert not errors, f"{name}, {response.status_code}: {errors}\n{response.text[:1000]}"
        self.seen.add((name, response.status_code))
        return response

    def follow(self, name: str, response: httpx.Response, values: Mapping[str, Any]) -> list[httpx.Response]:
        """The responses to the links of a response in the document."""
        operation = operation_of(name)
        documented = operation.response(response.status_code)
        assert documented is not None
        responses = []
        for _, link in documented.get("links").items():
            parameters = {
                parameter: _evaluated(text, response, values)
                for parameter, text in link.get("parameters").value.items()
            }
            body = _evaluated(link.get("requestBody").value or None, response, values)
            target = f"{operation.spec.name}.{link['operationId'].value}"
            responses.append(self.request(target, values=parameters, body=body))
        return responses


def operation_of(name: str) -> Operation:
    """The operation that `file.operation` names."""
    document, _, operation = name.partition(".")
    return spec(document).operation(operation)


def required(operation: Operation) -> dict[str, Any]:
    """The examples of the required parameters, by name."""
    return {
        parameter["name"].value: example(parameter)
        for parameter in operation.parameters
        if parameter.value.get("required")
    }


def example(parameter: Place) -> Any:
    """The example of a parameter; a JSON example is encoded."""
    if "example" in parameter:
        return parameter["example"].value
    return json.dumps(parameter["content"]["application/json"]["example"].value)


def encoded(operation: Operation, body: Any) -> tuple[bytes, str]:
    """An encoded body and its content type."""
    if isinstance(body, bytes):
        return body, "application/json"
    if "requestBody" not in operation.node:
        return b"", ""
    kinds = list(operation.node["requestBody"]["content"].value)
    return (json.dumps(body).encode(), kinds[0]) if "json" in kinds[0] else (str(body).encode(), kinds[0])


def address(operation: Operation, values: Mapping[str, Any]) -> str:
    """The URL of an operation. A path parameter may contain slashes."""
    path = re.sub(r"{(\w+)}", lambda match: quote(str(values[match[1]]), safe="/"), operation.path)
    query = urlencode({name: values[name] for name in operation.names("query") if name in values}, doseq=True)
    return f"{base(operation)}{path}{'?' + query if query else ''}"


def base(operation: Operation) -> str:
    """The URL of the first server of a document, or mock-fal's own address."""
    url: str = (operation.item if "servers" in operation.item else operation.spec.root)["servers"][0][
        "url"
    ].value
    return OURS if "{" in url else url


def parts_of(url: str) -> dict[str, str]:
    """The parameters in the URL of a file, with the names in media.yaml."""
    *_, store, name = urlsplit(url).path.split("/")
    return {
        "store": store,
        "name": name,
        **dict(pair.split("=") for pair in urlsplit(url).query.split("&") if pair),
    }


def _evaluated(expression: Any, response: httpx.Response, values: Mapping[str, Any]) -> Any:
    """The value of an OpenAPI runtime expression, also inside lists and objects."""
    if isinstance(expression, dict):
        return {key: _evaluated(part, response, values) for key, part in expression.items()}
    if isinstance(expression, list):
        return [_evaluated(part, response, values) for part in expression]
    if not isinstance(expression, str) or not expression.startswith("$"):
        return expression
    if expression.startswith("$response.body#/"):
        return response.json()[expression.removeprefix("$response.body#/")]
    return values[expression.rpartition(".")[2]]
