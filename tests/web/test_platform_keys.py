"""api.fal.ai: keys, and what a key with few permissions may do."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from mock_fal.accounts.permissions import PRESETS
from tests.web.conftest import OURS, QUEUE, RUN, SCHNELL, Fal, Serve
from tests.web.test_platform import API, error_of, get, post

INSUFFICIENT = (403, "authorization_error", "Insufficient permissions")


def created(fal: Fal, scope: object = "API", alias: str = "CI") -> str:
    """A new key of alice, as a program uses it."""
    response = post(fal, "keys", {"alias": alias, "scope": scope})
    assert response.status_code == 201, response.text
    return str(response.json()["key"])


def test_a_key_is_created_listed_and_deleted(fal: Fal) -> None:
    response = post(fal, "keys", {"alias": "Production Key"})
    key = response.json()
    assert (response.status_code, list(key)) == (201, ["key_id", "key_secret", "key"])
    assert key["key"] == f"{key['key_id']}:{key['key_secret']}"
    [listed] = get(fal, "keys")["keys"]
    assert list(listed) == ["key_id", "alias", "scope", "created_at"]
    assert (listed["key_id"], listed["alias"], listed["scope"]) == (key["key_id"], "Production Key", "API")
    assert get(fal, "keys?expand=creator_info")["keys"][0]["creator_nickname"] == "alice"
    assert get(fal, "keys", key="bob:secret")["keys"] == []
    for _ in range(2):
        assert fal.request("DELETE", f"{API}/keys/{key['key_id']}").status_code == 204
    assert get(fal, "keys")["keys"] == []


def test_a_created_key_shares_the_requests_of_its_account(fal: Fal) -> None:
    key = created(fal)
    handle = fal.completed(key=key)
    assert handle.result().status_code == 200
    [item] = get(fal, f"models/requests/by-endpoint?endpoint_id={SCHNELL}")["items"]
    assert item["request_id"] == handle.id
    assert [exchange.tenant for exchange in fal.journal if exchange.is_submission] == ["alice"]


@pytest.mark.parametrize("accepted", [(), ("alice:secret",)])
def test_a_created_key_needs_its_secret_and_a_deleted_one_is_invalid(
    serve: Serve, accepted: tuple[str, ...]
) -> None:
    fal = serve(key=accepted)
    key = created(fal)
    key_id = key.partition(":")[0]
    assert submit(fal, key).status_code == 200
    assert submit(fal, f"{key_id}:other").status_code == 401
    fal.request("DELETE", f"{API}/keys/{key_id}", key="alice:secret")
    response = submit(fal, key)
    assert (response.status_code, response.json()) == (401, {"detail": "invalid key credentials"})


def submit(fal: Fal, key: str) -> httpx.Response:
    return fal.request("POST", f"{QUEUE}/{SCHNELL}", key=key, body=b'{"prompt": "a cat"}')


CALLS: dict[str, Any] = {
    "queue": ("POST", f"{QUEUE}/{SCHNELL}"),
    "run": ("POST", f"{RUN}/{SCHNELL}"),
    "stream": ("POST", f"{RUN}/{SCHNELL}/stream"),
    "upload": ("POST", "https://rest.fal.ai/storage/upload/initiate"),
    "token": ("POST", "https://rest.fal.ai/tokens/"),
    "openai": ("POST", f"{RUN}/openrouter/router/openai/v1/chat/completions"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("scope", ["READONLY", "BILLING", ["models:read"]])
def test_a_key_without_permission_calls_no_model(fal: Fal, scope: object, call: str) -> None:
    method, url = CALLS[call]
    response = fal.request(method, url, key=created(fal, scope), body=b'{"prompt": "a cat"}')
    assert response.status_code == 403
    assert "Insufficient permissions" in response.text


def test_a_key_to_read_sees_a_request_but_can_not_cancel_it(fal: Fal) -> None:
    handle, key = fal.submit(), created(fal, "READONLY")
    assert handle.status(key=key).status_code == 202
    assert handle.cancel(key=key).status_code == 403
    assert handle.cancel().status_code == 200


@pytest.mark.parametrize(
    ("scope", "allowed", "refused"),
    [
        ("API", f"models/pricing?endpoint_id={SCHNELL}", "models/usage"),
        ("API", "storage/settings", "keys"),
        ("BILLING", "models/usage", "models/requests/search"),
        ("READONLY", "models/usage", ""),
        ("SERVERLESS", "serverless/apps", "account/billing"),
        ("COMPUTE", "meta", "models/usage"),
        (["workflows:read"], "workflows", "keys"),
        ("FULL", "keys", ""),
    ],
)
def test_a_scope_limits_the_platform_api(fal: Fal, scope: object, allowed: str, refused: str) -> None:
    key = created(fal, scope)
    get(fal, allowed, key=key)
    if refused:
        assert error_of(fal.request("GET", f"{API}/{refused}", key=key)) == INSUFFICIENT


REST = "https://rest.alpha.fal.ai"


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("API", "billing/user_balance", 403),
        ("API", "billing/user_details", 403),
        ("BILLING", "billing/user_balance", 200),
        ("BILLING", "billing/user_details", 200),
        ("READONLY", "billing/user_balance", 200),
        ("BILLING", "storage/files/acl?url=https://v3b.fal.media/files/b/0/none", 403),
        ("READONLY", "storage/files/acl?url=https://v3b.fal.media/files/b/0/none", 404),
        (["models:run"], "users/current", 200),
    ],
)
def test_a_scope_limits_what_is_read_about_an_account(
    fal: Fal, scope: object, path: str, status: int
) -> None:
    response = fal.request("GET", f"{REST}/{path}", key=created(fal, scope))
    assert response.status_code == status
    assert status != 403 or response.json() == {"detail": "Insufficient permissions"}


def test_a_key_to_read_sets_no_access_list(fal: Fal) -> None:
    url = f"{REST}/storage/files/acl?url=https://v3b.fal.media/files/b/0/none"
    assert fal.request("PUT", url, key=created(fal, "READONLY"), body=b"{}").status_code == 403


def test_the_secret_of_a_created_key_is_in_its_response_and_not_in_the_journal(fal: Fal) -> None:
    key_id, _, secret = created(fal).partition(":")
    body = json.dumps({"prompt": f"what is {secret}?"}).encode()
    fal.request("POST", f"{QUEUE}/{SCHNELL}?note={secret}", body=body, headers={"x-note": secret})
    for path in ("_mock/requests", "_mock/requests.har", "_mock/requests?format=har"):
        shown = fal.request("GET", f"{OURS}/{path}", key=None)
        assert shown.status_code == 200, path
        assert secret not in shown.text and key_id in shown.text, path
    [made] = [exchange for exchange in fal.journal if exchange.path == "/v1/keys"]
    shown_body = json.loads(fal.emulator.shown(made).response_body)
    assert shown_body == {"key_id": key_id, "key_secret": "•••", "key": f"{key_id}:•••"}


def test_a_key_to_read_changes_nothing(fal: Fal) -> None:
    key = created(fal, "READONLY")
    body = json.dumps({"alias": "more", "scope": "FULL"}).encode()
    assert error_of(fal.request("POST", f"{API}/keys", key=key, body=body)) == INSUFFICIENT
    settings = {"content-type": "application/json"}
    response = fal.request("PUT", f"{API}/storage/settings", key=key, body=b"{}", headers=settings)
    assert error_of(response) == INSUFFICIENT


def test_a_key_with_a_list_of_permissions_lists_them(fal: Fal) -> None:
    created(fal, ["models:run", "models:read"])
    [listed] = get(fal, "keys")["keys"]
    assert (listed["scope"], listed["permissions"]) == ("CUSTOM", ["models:read", "models:run"])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "alias is None"),
        ({"alias": ""}, "alias is ''"),
        ({"alias": "a" * 257}, "alias is 'aaa"),
        ({"alias": "a", "scope": "ROOT"}, f"scope is 'ROOT', expected one of {', '.join(PRESETS)}"),
        ({"alias": "a", "scope": []}, "scope is []"),
        ({"alias": "a", "scope": ["models:write"]}, "scope is 'models:write', expected one of "),
        ({"alias": "a", "scope": [1]}, "scope is [1]"),
    ],
)
def test_an_invalid_key_request_is_rejected_with_the_reason(
    fal: Fal, body: dict[str, object], named: str
) -> None:
    status, kind, message = error_of(post(fal, "keys", body))
    assert (status, kind) == (400, "validation_error")
    assert named in message


def test_the_number_of_keys_is_limited(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.accounts.keys.MAX_CREATED", 1)
    created(fal)
    assert error_of(post(fal, "keys", {"alias": "b"}))[0] == 400


def test_a_reset_makes_the_keys_of_the_account_invalid(fal: Fal) -> None:
    key = created(fal)
    fal.emulator.reset("bob")
    assert submit(fal, key).status_code == 200
    fal.emulator.reset("alice")
    assert submit(fal, key).status_code == 401
