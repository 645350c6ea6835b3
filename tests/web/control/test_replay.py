"""A call is submitted again, as a client would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.web.conftest import DEV, OURS, QUEUE, RUN_S, SCHNELL, Fal, Serve

CALLS = f"{OURS}/_mock/calls"
NOTHING: Mapping[str, Any] = {}


def replay(fal: Fal, call_id: str, **changes: Any) -> httpx.Response:
    return fal.request("POST", f"{CALLS}/{call_id}/replay", key=None, body=json.dumps(changes).encode())


def detail(fal: Fal, call_id: str) -> dict[str, Any]:
    document: dict[str, Any] = fal.request("GET", f"{CALLS}/{call_id}", key=None).json()
    return document


def test_the_same_input_is_submitted_again(fal: Fal) -> None:
    headers = {
        "x-fal-tags": "team=red",
        "x-fal-queue-priority": "low",
        "x-mock-fal": "queue=3",
        "x-other": "1",
    }
    first = fal.submit("a cat", seed=7, headers=headers, query="?fal_max_queue_length=9")
    response = replay(fal, first.id)
    assert response.status_code == 202
    second = response.json()["id"]
    assert response.json() == {"id": second, "status": 200} and second != first.id
    call = detail(fal, second)
    assert (call["key"], call["endpoint"], call["input"]) == (
        "alice",
        SCHNELL,
        {"prompt": "a cat", "seed": 7},
    )
    assert (call["replay_of"], call["tags"], call["directive"]) == (first.id, {"team": "red"}, "queue=3")
    exchange = fal.journal[-1]
    assert exchange.query == "fal_max_queue_length=9"
    sent = dict(exchange.request_headers)
    assert sent[b"x-fal-queue-priority"] == b"low" and b"x-other" not in sent
    assert b"alice:" in sent[b"authorization"]


def test_the_input_the_key_and_the_directive_may_be_others(fal: Fal) -> None:
    first = fal.submit(headers={"x-mock-fal": "queue=3"})
    second = replay(fal, first.id, input={"prompt": "a dog"}, key="bob", directive="run=5").json()["id"]
    call = detail(fal, second)
    assert (call["key"], call["input"], call["directive"]) == ("bob", {"prompt": "a dog"}, "run=5")
    third = replay(fal, first.id, directive="").json()["id"]
    assert detail(fal, third)["directive"] is None


def test_a_direct_request_is_submitted_to_the_queue(fal: Fal) -> None:
    fal.run("a cat", endpoint=DEV)
    [first] = fal.emulator.store.requests
    second = replay(fal, first).json()["id"]
    call = detail(fal, second)
    assert (call["operation"], call["endpoint"], call["state"]) == ("submit", DEV, "queued")


def test_rules_act_on_a_replay(fal: Fal) -> None:
    first = fal.submit()
    fal.emulator.scenario.add("status=429 times=1")
    response = replay(fal, first.id)
    assert response.json() == {"id": "exchange-2", "status": 429}
    assert detail(fal, "exchange-2")["replay_of"] == first.id


def test_a_refused_call_is_submitted_again(fal: Fal) -> None:
    fal.request("POST", f"{QUEUE}/me/app", body=b'{"n": 1}')
    fal.emulator.scenario.respond("me/app", {"text": "hello"})
    call_id = replay(fal, "exchange-1").json()["id"]
    fal.advance(60)
    assert detail(fal, call_id)["output"] == {"text": "hello"}


def test_the_webhook_is_requested_again(fal: Fal) -> None:
    """Also one whose shown URL hides a secret."""
    url = "http://127.0.0.1:9/hook?token=s3cr3t-token&id=1"
    first = fal.submit(query=f"?fal_webhook={httpx.QueryParams({'u': url})['u'].replace('&', '%26')}")
    second = replay(fal, first.id).json()["id"]
    deliveries = fal.emulator.deliveries
    assert [(item.request_id, item.url) for item in deliveries] == [(first.id, url), (second, url)]


def test_with_known_keys_the_key_of_the_account_is_used(serve: Serve) -> None:
    fal = serve(key=("alice:secret", "bob:secret"))
    first = fal.submit()
    assert replay(fal, first.id).json()["status"] == 200
    assert replay(fal, first.id, key="bob").json()["status"] == 200
    response = replay(fal, first.id, key="eve")
    assert (response.status_code, response.json()["detail"]) == (
        409,
        "mock-fal: no --key of the account 'eve'",
    )


def test_a_call_without_a_key_is_refused_again(fal: Fal) -> None:
    fal.request("POST", f"{QUEUE}/{SCHNELL}", key=None, body=b"{}")
    assert replay(fal, "exchange-1").json() == {"id": "exchange-2", "status": 401}


def test_a_forgotten_input_is_not_replayed(fal: Fal) -> None:
    handle = fal.submit()
    fal.emulator.store.exchanges.clear()
    response = replay(fal, handle.id)
    assert (response.status_code, response.json()["detail"]) == (
        409,
        f"mock-fal: the input of {handle.id!r} is not stored",
    )


def test_while_recording_nothing_is_replayed(serve: Serve, tmp_path: Any) -> None:
    fal = serve(record=str(tmp_path / "tapes"), allow_egress=True, live_key="live:secret-secret")
    fal.request("POST", f"{QUEUE}/{SCHNELL}", body=b"{}")
    response = replay(fal, "exchange-1")
    assert response.status_code == 409
    assert "the live service would bill a replay" in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"[]", 422, 'expected {} with "input", "key" or "directive", got []'),
        (b'{"prompt": "a dog"}', 422, "expected {} with"),
        (b"{", 422, "expected {} with"),
        (b'{"key": 5}', 422, "key is 5, expected the id of a key"),
        (b'{"key": "a:b"}', 422, "key is 'a:b', expected the id of a key"),
        (b'{"directive": "a\\nb"}', 422, "directive is 'a\\nb', expected at most 4000 characters"),
        (
            b'{"input": ' + b"[" * 200 + b"]" * 200 + b"}",
            422,
            "lists and objects are nested more than 100 deep",
        ),
        (b" " * 2_000_001, 413, "expected {} with"),
    ],
)
def test_an_invalid_body_is_rejected(fal: Fal, body: bytes, status: int, detail: str) -> None:
    handle = fal.submit()
    response = fal.request("POST", f"{CALLS}/{handle.id}/replay", key=None, body=body)
    assert response.status_code == status
    assert response.json()["detail"].startswith(f"mock-fal: {detail}")
    assert len(fal.journal) == 1


def test_a_replay_is_not_sent_by_a_page_of_another_site(fal: Fal) -> None:
    handle = fal.submit()
    headers = {"origin": "https://evil.example"}
    response = fal.request("POST", f"{CALLS}/{handle.id}/replay", key=None, headers=headers, body=b"{}")
    assert response.status_code == 403
    assert len(fal.journal) == 1


def test_a_replay_runs_like_any_request(fal: Fal) -> None:
    second = replay(fal, fal.submit().id).json()["id"]
    fal.advance(RUN_S * 2)
    assert detail(fal, second)["state"] == "completed"
