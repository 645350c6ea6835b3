"""kv.fal.media: values by key."""

from __future__ import annotations

import httpx
import pytest

from tests.web.conftest import OURS, Fal

HOST = "https://kv.fal.media"


def token(fal: Fal, key: str = "alice:secret") -> str:
    """A token as fal's SDK gets it."""
    response = fal.request("POST", "https://rest.fal.ai/storage/auth/token", key=key, body=b"{}")
    return str(response.json()["token"])


def send(fal: Fal, method: str, path: str, body: bytes = b"", key: str = "alice:secret") -> httpx.Response:
    bearer = {"authorization": f"Bearer {token(fal, key)}"}
    return fal.request(method, f"{HOST}{path}", key=None, headers=bearer, body=body)


def test_a_value_is_set_read_and_deleted(fal: Fal) -> None:
    assert send(fal, "PUT", "/set/cache/a", "grün".encode()).status_code == 200
    assert send(fal, "GET", "/get/cache/a").json() == {"value": "grün"}
    assert send(fal, "GET", "/get/other/a").status_code == 404
    assert send(fal, "GET", "/get/cache/a", key="bob:secret").status_code == 404
    for _ in range(2):
        assert send(fal, "DELETE", "/delete/cache/a").status_code == 200
    missing = send(fal, "GET", "/get/cache/a")
    assert (missing.status_code, missing.json()) == (404, {"error": "Key not found"})


def test_a_value_expires(fal: Fal) -> None:
    send(fal, "PUT", "/set/cache/a?ttl=60", b"1")
    fal.advance(59)
    assert send(fal, "GET", "/get/cache/a").status_code == 200
    fal.advance(1)
    assert send(fal, "GET", "/get/cache/a").status_code == 404


@pytest.mark.parametrize("ttl", ["59", "2592001", "x", "-60", ""])
def test_an_invalid_lifetime_is_rejected(fal: Fal, ttl: str) -> None:
    response = send(fal, "PUT", f"/set/cache/a?ttl={ttl}", b"1")
    assert response.status_code == 400
    assert "ttl is" in response.json()["error"]


def test_a_value_is_text(fal: Fal) -> None:
    assert send(fal, "PUT", "/set/cache/a", b"\xff").status_code == 400


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Key alice:secret"}, {"authorization": "Bearer x"}]
)
def test_a_token_is_needed(fal: Fal, headers: dict[str, str]) -> None:
    response = fal.request("GET", f"{HOST}/get/cache/a", key=None, headers=headers)
    assert (response.status_code, response.json()) == (401, {"error": "Unauthorized"})


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/get/a", 404), ("POST", "/get/a/b", 405)])
def test_other_requests_are_rejected(fal: Fal, method: str, path: str, status: int) -> None:
    assert send(fal, method, path).status_code == status


@pytest.mark.parametrize(("limit", "value"), [("MAX_VALUES", 1), ("MAX_BYTES", 25)])
def test_the_oldest_value_makes_room(
    fal: Fal, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(f"mock_fal.accounts.key_values.{limit}", value)
    send(fal, "PUT", "/set/d/a", b"1")
    send(fal, "PUT", "/set/d/b", b"2")
    assert [send(fal, "GET", f"/get/d/{key}").status_code for key in "ab"] == [404, 200]


def test_a_value_that_is_too_large_is_rejected(fal: Fal) -> None:
    response = send(fal, "PUT", "/set/d/a", b"1" * ((1 << 20) + 1))
    assert (response.status_code, list(response.json())) == (413, ["error"])


def test_a_reset_of_an_account_deletes_its_values_and_no_others(fal: Fal) -> None:
    send(fal, "PUT", "/set/d/a", b"1")
    send(fal, "PUT", "/set/d/a", b"2", key="bob:secret")
    fal.request("DELETE", f"{OURS}/_mock/requests?key=alice", key=None)
    assert send(fal, "GET", "/get/d/a").status_code == 404
    assert send(fal, "GET", "/get/d/a", key="bob:secret").json() == {"value": "2"}
    fal.request("DELETE", f"{OURS}/_mock/requests", key=None)
    assert send(fal, "GET", "/get/d/a", key="bob:secret").status_code == 404


def test_the_store_is_available_by_path(fal: Fal) -> None:
    bearer = {"authorization": f"Bearer {token(fal)}"}
    url = f"{OURS}/kv.fal.media/set/d/a"
    assert fal.request("PUT", url, key=None, headers=bearer, body=b"1").status_code == 200
