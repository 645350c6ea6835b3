from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.conftest import OURS, QUEUE, SCHNELL, Fal

SCENARIO = f"{OURS}/_mock/scenario"


def rules(fal: Fal, query: str = "") -> list[Any]:
    found: list[Any] = fal.ask("GET", SCENARIO + query).json()["rules"]
    return found


def send(fal: Fal, method: str, document: Any, query: str = "") -> Any:
    return fal.ask(method, SCENARIO + query, body=json.dumps(document).encode())


def test_rules_are_replaced_added_to_and_forgotten(fal: Fal) -> None:
    assert rules(fal) == []
    send(fal, "PUT", ["queue=1", {"operation": "status", "status": 503, "times": 2}])
    send(fal, "POST", {"nsfw": True})
    told = ["nsfw", "queue=1", "times=2 operation=status status=503"]
    assert [each["rule"] for each in rules(fal)] == told
    send(fal, "PUT", "run=5")
    assert rules(fal) == [{"rule": "run=5", "asked": 0, "used": 0}]
    assert fal.ask("DELETE", SCENARIO).status_code == 204
    assert rules(fal) == []


def test_rules_tell_how_often_they_were_used(fal: Fal) -> None:
    send(fal, "PUT", ["operation=status status=503 times=1"])
    handle = fal.submit()
    assert [handle.status().status_code for _ in range(2)] == [503, 202]
    assert rules(fal) == [{"rule": "times=1 operation=status status=503", "asked": 2, "used": 1}]


def test_a_key_has_rules_of_its_own(fal: Fal) -> None:
    send(fal, "PUT", "status=503", "?key=alice")
    assert (rules(fal), len(rules(fal, "?key=alice"))) == ([], 1)
    codes = [
        fal.ask("POST", f"{QUEUE}/{SCHNELL}", key=key, body=b"{}").status_code for key in ("alice:x", "bob:x")
    ]
    assert codes == [503, 200]


def test_rules_may_be_yaml(fal: Fal) -> None:
    headers = {"content-type": "application/yaml"}
    fal.ask("PUT", SCENARIO, headers=headers, body=b"- nsfw\n- {run: 5}\n")
    assert [each["rule"] for each in rules(fal)] == ["nsfw", "run=5"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            b'["nsfw",\n {"rum": 5}]',
            "mock-fal: rule 2, line 2, column 3: unknown word 'rum'; did you mean 'run'?",
        ),
        (b"[", "mock-fal: line 1, column 2: no JSON: Expecting value"),
        (
            b'["nsfw endpoint=fal-ai/fluxx"]',
            "mock-fal: endpoint: 'fal-ai/fluxx' is like no endpoint of this mock-fal",
        ),
        (b"\xff", "mock-fal: no UTF-8: "),
    ],
)
def test_what_cannot_be_read_is_told_and_changes_nothing(fal: Fal, body: bytes, detail: str) -> None:
    send(fal, "PUT", "run=5")
    response = fal.ask("PUT", SCENARIO, body=body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(detail)
    assert [each["rule"] for each in rules(fal)] == ["run=5"]
