"""Failures on demand, as unmodified clients see them: every documented error by a prompt alone, and who tries again."""

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
from tests.clients.programs import NODES, Node

SCHNELL = "fal-ai/flux/schnell"
NGINX = "<center>nginx</center>"

# How often each client asks, the first time included.
PYTHON_TRIES, NODE_TRIES, NODE_LOOKS = 10, 4, 6


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two tries; the client is as it is."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def refusal(call: Any, prompt: str, **how: Any) -> FalClientHTTPError:
    with pytest.raises(FalClientHTTPError) as error:
        call(SCHNELL, {"prompt": prompt}, **how)
    return error.value


def tries(mock_fal: Account) -> dict[tuple[str, int], int]:
    """How often each operation was answered with each status."""
    return dict(Counter((each.operation, each.status) for each in mock_fal.requests))


CALLS = [fal_client.run, fal_client.subscribe]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_python_sees_every_model_error(mock_fal: Account, error_type: str, call: Any) -> None:
    kind = MODEL_ERRORS[error_type]
    error = refusal(call, f"a cat [mock: error={error_type}]")
    (item,) = json.loads(error.response.text)["detail"]
    message: Any = error.message  # which is a list where the detail is one
    assert message == [item]
    assert (error.status_code, error.error_type) == (kind.status, None)
    assert (item["type"], item["msg"], item["loc"]) == (error_type, kind.msg, list(kind.loc))
    assert item["url"] == f"https://docs.fal.ai/errors#{error_type}"
    assert item.get("ctx") == (dict(kind.ctx) or None)
    assert error.response_headers["x-fal-needs-retry"] == ("false" if kind.status == 422 else "true")
    assert error.response_headers["x-fal-billable-units"] == "0"


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error_type", REQUEST_ERRORS)
def test_python_sees_every_request_error(mock_fal: Account, error_type: str, call: Any) -> None:
    kind = REQUEST_ERRORS[error_type]
    error = refusal(call, f"a cat [mock: error={error_type}]")
    assert (error.status_code, error.message, error.error_type) == (kind.status, kind.detail, error_type)
    assert error.response_headers["x-fal-error-type"] == error_type
    assert error.response_headers["x-fal-needs-retry"] == ("1" if kind.status in (429, 503, 504) else "0")


ROWS = [*MODEL_ERRORS, *REQUEST_ERRORS]


@pytest.fixture(scope="module")
def node_server() -> Iterator[MockFal]:
    with MockFal(clock="auto-advance") as fal:
        yield fal


@pytest.fixture(scope="module")
def node_sees(node_server: MockFal) -> dict[str, Any]:
    """Every documented error as the JavaScript client saw it, all in one process."""
    if os.name == "nt":
        pytest.skip("Node on Windows wants more of an environment than ours")
    prompts = json.dumps([f"a cat [mock: error={row}]" for row in ROWS])
    found = Node(NODES[-1])("failures.mjs", prompts, env=os.environ | node_server.env)
    return dict(zip(ROWS, found, strict=True))


@pytest.mark.parametrize("call", ["run", "subscribe"])
@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_node_sees_every_model_error(node_sees: dict[str, Any], error_type: str, call: str) -> None:
    kind, seen = MODEL_ERRORS[error_type], node_sees[error_type][call]
    name = "ValidationError" if kind.status == 422 else "ApiError"
    assert (seen["name"], seen["isApiError"], seen["status"]) == (name, True, kind.status)
    (item,) = seen["body"]["detail"]
    assert (item["type"], item["msg"], item["loc"]) == (error_type, kind.msg, list(kind.loc))
    assert item.get("ctx") == (dict(kind.ctx) or None)
    assert seen.get("fieldErrors") == ([item] if kind.status == 422 else None)
    assert seen["requestId"]


@pytest.mark.parametrize("call", ["run", "subscribe"])
@pytest.mark.parametrize("error_type", REQUEST_ERRORS)
def test_node_sees_every_request_error(node_sees: dict[str, Any], error_type: str, call: str) -> None:
    kind, seen = REQUEST_ERRORS[error_type], node_sees[error_type][call]
    assert (seen["name"], seen["isValidationError"], seen["status"]) == ("ApiError", False, kind.status)
    assert seen["body"] == {"detail": kind.detail, "error_type": error_type}
    assert "timeoutType" not in seen


# -- who tries again


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    "directive",
    [
        *("ingress=502", "ingress=503", "ingress=504", "status=408", "status=409", "status=429"),
        *("connection=reset", "connection=reset_after_headers"),
    ],
)
def test_python_tries_again_until_it_passes(mock_fal: Account, directive: str) -> None:
    fal_client.run(SCHNELL, {"prompt": f"a cat [mock: {directive} times=3]"})
    assert len(mock_fal.requests) == 4
    assert [bool(each.directive) for each in mock_fal.requests] == [True, True, True, False]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("directive", "status"), [("ingress=502", 502), ("status=429", 429)])
def test_python_gives_up_after_ten_tries(mock_fal: Account, directive: str, status: int) -> None:
    assert refusal(fal_client.run, f"[mock: {directive}]").status_code == status
    assert len(mock_fal.requests) == PYTHON_TRIES


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("status", [400, 403, 500, 502, 503, 504])
def test_python_tries_nothing_again_that_fal_itself_answered(mock_fal: Account, status: int) -> None:
    assert refusal(fal_client.run, f"[mock: status={status}]").status_code == status
    assert len(mock_fal.requests) == 1


@pytest.mark.usefixtures("at_once")
def test_a_deadline_of_the_users_own_is_not_tried_again_by_python(mock_fal: Account) -> None:
    error = refusal(fal_client.run, "[mock: queue=60]", start_timeout=1.5)
    assert (error.status_code, error.response_headers["x-fal-request-timeout-type"]) == (504, "user")
    assert len(mock_fal.requests) == 1


@pytest.mark.usefixtures("at_once")
def test_python_looks_again_where_a_look_fails(mock_fal: Account) -> None:
    result = fal_client.subscribe(SCHNELL, {"prompt": "[mock: ingress=502 operation=status times=2]"})
    assert result["images"]
    assert tries(mock_fal)["status", 502] == 2


def node(mock_fal: Account, prompt: str) -> Any:
    return Node(NODES[-1])("failures.mjs", json.dumps([prompt]))[0]


@pytest.mark.skipif(os.name == "nt", reason="Node on Windows wants more of an environment than ours")
class TestNode:
    @pytest.mark.parametrize("directive", ["ingress=502", "status=429", "status=503", "connection=reset"])
    def test_node_tries_again_until_it_passes(self, mock_fal: Account, directive: str) -> None:
        assert "data" in node(mock_fal, f"[mock: {directive} times=3]")["run"]
        assert [each.operation for each in mock_fal.requests if each.directive] == ["run"] * 3

    def test_node_gives_up_after_three_more_tries(self, mock_fal: Account) -> None:
        seen = node(mock_fal, "[mock: ingress=502]")
        assert (seen["run"]["status"], seen["subscribe"]["status"]) == (502, 502)
        assert tries(mock_fal) == {("run", 502): NODE_TRIES, ("submit", 502): NODE_TRIES}

    def test_node_looks_at_a_status_more_often_and_after_a_500_too(self, mock_fal: Account) -> None:
        seen = node(mock_fal, "[mock: status=500 operation=status]")
        assert seen["subscribe"]["status"] == 500
        assert tries(mock_fal)["status", 500] == NODE_LOOKS

    @pytest.mark.parametrize("status", [400, 403, 408, 500])
    def test_node_tries_nothing_else_again(self, mock_fal: Account, status: int) -> None:
        assert node(mock_fal, f"[mock: status={status}]")["run"]["status"] == status
        assert tries(mock_fal)["run", status] == 1

    def test_a_deadline_of_the_users_own_is_not_tried_again_by_node(self, mock_fal: Account) -> None:
        seen = node(mock_fal, "[mock: status=504 header.x-fal-request-timeout-type=user]")["run"]
        assert (seen["status"], seen["timeoutType"]) == (504, "user")
        assert tries(mock_fal)["run", 504] == 1


# -- what else there is


def test_a_locked_account_is_told_wherever_it_asks(mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "a cat"})
    mock_fal.scenario.add("account=locked")
    for call in (handle.status, handle.get, handle.cancel, lambda: fal_client.submit(SCHNELL, {})):
        with pytest.raises(FalClientHTTPError, match="User is locked. Reason: Exhausted balance") as error:
            call()
        assert error.value.status_code == 403
    mock_fal.scenario.clear()
    assert handle.get()["images"]


def test_a_body_that_is_no_json_reaches_the_program_as_such(mock_fal: Account) -> None:
    for spoiled in ("truncated", "malformed", "empty"):
        with pytest.raises(json.JSONDecodeError):
            fal_client.run(SCHNELL, {"prompt": f"[mock: json={spoiled}]"})


def test_members_come_and_go_as_asked(mock_fal: Account) -> None:
    directive = '[mock: operation=result merge={"timings":null,"seed":"seven","extra":{"a":[1]}}]'
    result = fal_client.subscribe(SCHNELL, {"prompt": directive})
    assert (result["seed"], result["extra"]) == ("seven", {"a": [1]})
    assert "timings" not in result


def test_a_result_and_its_files_expire(mock_fal: Account) -> None:
    assert refusal(fal_client.subscribe, "[mock: result=expired]").message == "Request not found"
    result = fal_client.subscribe(SCHNELL, {"prompt": "[mock: file=expired]"})
    assert httpx.get(result["images"][0]["url"]).status_code == 404


def test_a_hang_ends_with_the_clients_own_patience(mock_fal: Account) -> None:
    with pytest.raises(httpx.ReadTimeout):
        fal_client.run(SCHNELL, {"prompt": "[mock: connection=hang]"}, timeout=0.2, start_timeout=30)
