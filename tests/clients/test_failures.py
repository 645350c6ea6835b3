"""Injected failures in unmodified clients: every documented error, requested by a prompt, and the clients' retries."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import fal_client
import httpx
import pytest
from fal_client import FalClientHTTPError

from mock_fal import Account, MockFal
from mock_fal.errors import MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.scenario.options import CONCURRENCY_ERROR
from tests.clients.programs import NODES, Node

SCHNELL = "fal-ai/flux/schnell"
NGINX = "<center>nginx</center>"

# The number of attempts of each client, including the first.
PYTHON_TRIES, NODE_TRIES, NODE_LOOKS = 10, 4, 6


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the delay between retries; the client is otherwise unchanged."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def error_of(call: Any, prompt: str, **options: Any) -> FalClientHTTPError:
    with pytest.raises(FalClientHTTPError) as error:
        call(SCHNELL, {"prompt": prompt}, **options)
    return error.value


def attempts(mock_fal: Account) -> dict[tuple[str, int], int]:
    """The number of responses by operation and status."""
    return dict(Counter((exchange.operation, exchange.status) for exchange in mock_fal.requests))


CALLS = [fal_client.run, fal_client.subscribe]
# Queued requests wait at the concurrency limit; only direct ones get its error.
REQUEST_ERRORS_OF_CALLS = [
    (call, error_type)
    for call in ("run", "subscribe")
    for error_type in REQUEST_ERRORS
    if (call, error_type) != ("subscribe", CONCURRENCY_ERROR)
]


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_python_raises_every_model_error(mock_fal: Account, error_type: str, call: Any) -> None:
    kind = MODEL_ERRORS[error_type]
    error = error_of(call, f"a cat [mock: error={error_type}]")
    (item,) = json.loads(error.response.text)["detail"]
    message: Any = error.message  # a list if the detail is a list
    assert message == [item]
    assert (error.status_code, error.error_type) == (kind.status, None)
    assert (item["type"], item["msg"], item["loc"]) == (error_type, kind.msg, list(kind.loc))
    assert item["url"] == f"https://docs.fal.ai/errors#{error_type}"
    assert item.get("ctx") == (dict(kind.ctx) or None)
    assert error.response_headers["x-fal-needs-retry"] == ("false" if kind.status == 422 else "true")
    assert error.response_headers["x-fal-billable-units"] == "0"


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(("call", "error_type"), REQUEST_ERRORS_OF_CALLS)
def test_python_raises_every_request_error(mock_fal: Account, call: str, error_type: str) -> None:
    kind = REQUEST_ERRORS[error_type]
    error = error_of(getattr(fal_client, call), f"a cat [mock: error={error_type}]")
    assert (error.status_code, error.message, error.error_type) == (kind.status, kind.detail, error_type)
    assert error.response_headers["x-fal-error-type"] == error_type
    assert error.response_headers["x-fal-needs-retry"] == ("1" if kind.status in (429, 503, 504) else "0")


ROWS = [*MODEL_ERRORS, *REQUEST_ERRORS]


@pytest.fixture(scope="module")
def node_server() -> Iterator[MockFal]:
    with MockFal(clock="auto-advance") as fal:
        yield fal


@pytest.fixture(scope="module")
def node_errors(node_server: MockFal) -> dict[str, Any]:
    """Every documented error as the JavaScript client raised it, in one process."""
    if os.name == "nt":
        pytest.skip("Node on Windows needs more environment variables")
    prompts = json.dumps([f"a cat [mock: error={row}]" for row in ROWS])
    errors = Node(NODES[-1])("failures.mjs", prompts, env=os.environ | node_server.env)
    return dict(zip(ROWS, errors, strict=True))


@pytest.mark.parametrize("call", ["run", "subscribe"])
@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_node_raises_every_model_error(node_errors: dict[str, Any], error_type: str, call: str) -> None:
    kind, output = MODEL_ERRORS[error_type], node_errors[error_type][call]
    name = "ValidationError" if kind.status == 422 else "ApiError"
    assert (output["name"], output["isApiError"], output["status"]) == (name, True, kind.status)
    (item,) = output["body"]["detail"]
    assert (item["type"], item["msg"], item["loc"]) == (error_type, kind.msg, list(kind.loc))
    assert item.get("ctx") == (dict(kind.ctx) or None)
    assert output.get("fieldErrors") == ([item] if kind.status == 422 else None)
    assert output["requestId"]


@pytest.mark.parametrize(("call", "error_type"), REQUEST_ERRORS_OF_CALLS)
def test_node_raises_every_request_error(node_errors: dict[str, Any], error_type: str, call: str) -> None:
    kind, output = REQUEST_ERRORS[error_type], node_errors[error_type][call]
    assert (output["name"], output["isValidationError"], output["status"]) == ("ApiError", False, kind.status)
    assert output["body"] == {"detail": kind.detail, "error_type": error_type}
    assert "timeoutType" not in output


# -- retries


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(
    "directive",
    [
        *("ingress=502", "ingress=503", "ingress=504", "status=408", "status=409", "status=429"),
        *("connection=reset", "connection=reset_after_headers"),
    ],
)
def test_python_retries_until_it_succeeds(mock_fal: Account, directive: str) -> None:
    fal_client.run(SCHNELL, {"prompt": f"a cat [mock: {directive} times=3]"})
    assert len(mock_fal.requests) == 4
    assert [bool(exchange.directive) for exchange in mock_fal.requests] == [True, True, True, False]


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(("directive", "status"), [("ingress=502", 502), ("status=429", 429)])
def test_python_gives_up_after_ten_attempts(mock_fal: Account, directive: str, status: int) -> None:
    assert error_of(fal_client.run, f"[mock: {directive}]").status_code == status
    assert len(mock_fal.requests) == PYTHON_TRIES


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("status", [400, 403, 500, 502, 503, 504])
def test_python_does_not_retry_responses_of_fal_itself(mock_fal: Account, status: int) -> None:
    assert error_of(fal_client.run, f"[mock: status={status}]").status_code == status
    assert len(mock_fal.requests) == 1


@pytest.mark.usefixtures("no_backoff")
def test_python_does_not_retry_the_users_own_timeout(mock_fal: Account) -> None:
    error = error_of(fal_client.run, "[mock: queue=60]", start_timeout=1.5)
    assert (error.status_code, error.response_headers["x-fal-request-timeout-type"]) == (504, "user")
    assert len(mock_fal.requests) == 1


@pytest.mark.usefixtures("no_backoff")
def test_python_retries_a_failed_poll(mock_fal: Account) -> None:
    result = fal_client.subscribe(SCHNELL, {"prompt": "[mock: ingress=502 operation=status times=2]"})
    assert result["images"]
    assert attempts(mock_fal)["status", 502] == 2


def node(mock_fal: Account, prompt: str) -> Any:
    return Node(NODES[-1])("failures.mjs", json.dumps([prompt]))[0]


@pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")
class TestNode:
    @pytest.mark.parametrize("directive", ["ingress=502", "status=429", "status=503", "connection=reset"])
    def test_node_retries_until_it_succeeds(self, mock_fal: Account, directive: str) -> None:
        assert "data" in node(mock_fal, f"[mock: {directive} times=3]")["run"]
        assert [exchange.operation for exchange in mock_fal.requests if exchange.directive] == ["run"] * 3

    def test_node_gives_up_after_three_retries(self, mock_fal: Account) -> None:
        output = node(mock_fal, "[mock: ingress=502]")
        assert (output["run"]["status"], output["subscribe"]["status"]) == (502, 502)
        assert attempts(mock_fal) == {("run", 502): NODE_TRIES, ("submit", 502): NODE_TRIES}

    def test_node_retries_a_status_more_often_and_after_a_500_too(self, mock_fal: Account) -> None:
        output = node(mock_fal, "[mock: status=500 operation=status]")
        assert output["subscribe"]["status"] == 500
        assert attempts(mock_fal)["status", 500] == NODE_LOOKS

    @pytest.mark.parametrize("status", [400, 403, 408, 500])
    def test_node_retries_nothing_else(self, mock_fal: Account, status: int) -> None:
        assert node(mock_fal, f"[mock: status={status}]")["run"]["status"] == status
        assert attempts(mock_fal)["run", status] == 1

    def test_node_does_not_retry_the_users_own_timeout(self, mock_fal: Account) -> None:
        output = node(mock_fal, "[mock: status=504 header.x-fal-request-timeout-type=user]")["run"]
        assert (output["status"], output["timeoutType"]) == (504, "user")
        assert attempts(mock_fal)["run", 504] == 1


# -- other faults


def test_a_locked_account_gets_an_error_from_every_operation(mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "a cat"})
    mock_fal.scenario.add("account=locked")
    for call in (handle.status, handle.get, handle.cancel, lambda: fal_client.submit(SCHNELL, {})):
        with pytest.raises(FalClientHTTPError, match="User is locked. Reason: Exhausted balance") as error:
            call()
        assert error.value.status_code == 403
    mock_fal.scenario.clear()
    assert handle.get()["images"]


def test_a_body_that_is_not_json_reaches_the_program(mock_fal: Account) -> None:
    for spoiled in ("truncated", "malformed", "empty"):
        with pytest.raises(json.JSONDecodeError):
            fal_client.run(SCHNELL, {"prompt": f"[mock: json={spoiled}]"})


def test_merge_adds_and_removes_members(mock_fal: Account) -> None:
    directive = '[mock: operation=result merge={"timings":null,"seed":"seven","extra":{"a":[1]}}]'
    result = fal_client.subscribe(SCHNELL, {"prompt": directive})
    assert (result["seed"], result["extra"]) == ("seven", {"a": [1]})
    assert "timings" not in result


def test_a_result_and_its_files_expire(mock_fal: Account) -> None:
    assert error_of(fal_client.subscribe, "[mock: result=expired]").message == "Request not found"
    result = fal_client.subscribe(SCHNELL, {"prompt": "[mock: file=expired]"})
    assert httpx.get(result["images"][0]["url"]).status_code == 404


def test_a_hang_ends_with_the_clients_timeout(mock_fal: Account) -> None:
    with pytest.raises(httpx.ReadTimeout):
        fal_client.run(SCHNELL, {"prompt": "[mock: connection=hang]"}, timeout=0.2, start_timeout=30)
