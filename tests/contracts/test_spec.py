from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mock_fal_contracts.exchanges import Exchange, from_journal
from mock_fal_contracts.spec import Spec, load

SPEC = """\
openapi: 3.1.0
servers: [{url: https://queue.fal.run}, {url: 'http://{address}/queue.fal.run', variables: {address: {default: x}}}]
paths:
  /{owner}/{app}/{path}:
    post:
      operationId: submit
      parameters:
        - {name: X-Fal-Queue-Priority, in: header, schema: {enum: [normal, low]}}
        - {name: fal_webhook, in: query, schema: {type: string, format: uri}}
        - {name: fal_max_queue_length, in: query, schema: {type: integer, minimum: 1}}
        - {name: Authorization, in: header, required: true, schema: {type: string}}
      requestBody: {required: true, content: {application/json: {schema: {type: object}}}}
      responses:
        "200":
          headers: {x-fal-request-id: {required: true, schema: {type: string}}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Taken'}}}
        4XX: {content: {application/json: {}}}
  /fal-ai/flux/dev:
    post:
      operationId: submitDev
      responses: {"200": {description: taken}}
  /{owner}/{app}/requests/{request_id}/status:
    get: {operationId: status, responses: {"200": {description: done}}}
components:
  schemas: {Taken: {type: object, required: [request_id], properties: {request_id: {type: string}}}}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    folder = tmp_path_factory.mktemp("openapi")
    (folder / "queue.yaml").write_text(SPEC, "utf-8")
    (folder / "linter.yaml").write_text("extends: [recommended]\n", "utf-8")
    return load(folder)


GOOD = Exchange(
    at=0.0,
    method="POST",
    host="queue.fal.run",
    path="/fal-ai/flux/schnell",
    query="",
    request_headers=[("Authorization", "Key alice:secret")],
    request_body=b'{"prompt": "a cat"}',
    status=200,
    response_headers=[("x-fal-request-id", "7"), ("content-type", "application/json")],
    response_body=b'{"request_id": "7"}',
)


def test_a_valid_exchange_has_no_violations(spec: Spec) -> None:
    assert spec.request_violations(GOOD) == []
    assert spec.response_violations(GOOD) == []


@pytest.mark.parametrize(
    ("path", "method", "operation"),
    [
        ("/fal-ai/flux/schnell", "POST", "submit"),
        ("/fal-ai/flux/dev/image-to-image", "POST", "submit"),
        ("/fal-ai/flux/dev", "POST", "submitDev"),
        ("/fal-ai/flux/requests/7/status", "GET", "status"),
        ("/fal-ai/flux/requests/7/status/", "GET", "status"),
        ("/fal-ai/flux/requests/7/status", "HEAD", "status"),
    ],
)
def test_a_request_belongs_to_the_closest_operation(
    spec: Spec, path: str, method: str, operation: str
) -> None:
    closest = spec.operation("queue.fal.run", method, path)
    assert closest is not None and closest.id == operation


def test_a_request_to_another_host_belongs_to_no_operation(spec: Spec) -> None:
    assert spec.operation("rest.fal.ai", "POST", "/fal-ai/flux/dev") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "DELETE"}, "DELETE https://queue.fal.run/fal-ai/flux/schnell: expected POST"),
        ({"path": "/"}, "no such path in the specification"),
        ({"query": "fal_max_queue_length=0"}, "query parameter 'fal_max_queue_length' is '0'"),
        ({"query": "fal_max_queue_length=many"}, "query parameter 'fal_max_queue_length' is 'many'"),
        ({"request_headers": []}, "header parameter 'Authorization' is missing"),
        ({"request_body": b""}, "the body is missing"),
        ({"request_body": b"{"}, "the body is not JSON"),
        ({"request_body": b"[1]"}, "the body does not match the schema: [1] is not of type 'object'"),
    ],
)
def test_an_invalid_request_is_reported_with_its_violation(
    spec: Spec, change: dict[str, object], message: str
) -> None:
    [violation] = spec.request_violations(replace(GOOD, **change))  # type: ignore[arg-type]
    assert message in violation


@pytest.mark.parametrize("query", ["fal_max_queue_length=5", "fal_webhook=https%3A%2F%2Fexample.com%2F"])
def test_a_valid_query_has_no_violations(spec: Spec, query: str) -> None:
    assert spec.request_violations(replace(GOOD, query=query)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": 202}, "submit: status 202 is not in the specification; expected one of 200, 4XX"),
        ({"response_headers": [("content-type", "application/json")]}, "lacks the header x-fal-request-id"),
        ({"response_headers": [("x-fal-request-id", "7")]}, "has content type '', expected application/json"),
        ({"response_body": b"{"}, "a body that is not JSON"),
        ({"response_body": b"{}"}, "'request_id' is a required property"),
        ({"response_body": b'{"request_id": 7}'}, "at request_id: 7 is not of type 'string'"),
    ],
)
def test_an_invalid_response_is_reported_with_its_violation(
    spec: Spec, change: dict[str, object], message: str
) -> None:
    [violation] = spec.response_violations(replace(GOOD, **change))  # type: ignore[arg-type]
    assert message in violation


def test_a_status_class_covers_its_statuses(spec: Spec) -> None:
    assert spec.response_violations(replace(GOOD, status=404)) == []


def test_evidence_masks_secrets(spec: Spec) -> None:
    text = GOOD.evidence("note").request
    assert "Authorization: Key alice:***" in text and "secret" not in text
    token = replace(GOOD, request_headers=[("authorization", "Bearer abc.def")])
    assert "Bearer ***" in token.evidence().request


def test_a_journal_record_becomes_an_exchange() -> None:
    record = {
        "at": 1.5,
        "method": "PUT",
        "host": "v3b.fal.media",
        "path": "/files/a",
        "query": "x=1",
        "status": 200,
        "request_id": None,
        "request": {"headers": [["Content-Type", "image/png"]], "body": "AAE=", "encoding": "base64"},
        "response": {"headers": [], "body": json.dumps({"a": 1})},
    }
    exchange = from_journal(record)
    assert exchange.request_body == b"\x00\x01"
    assert exchange.output == {"a": 1} and exchange.input is None
    assert exchange.request_header("content-type") == "image/png"
    assert exchange.url == "https://v3b.fal.media/files/a?x=1"


def test_the_shipped_specification_loads() -> None:
    spec = load(Path(__file__).parents[2] / "openapi")
    operation = spec.operation("queue.falrun.com", "POST", "/fal-ai/flux/schnell")
    assert operation is not None and operation.surface == "queue"
