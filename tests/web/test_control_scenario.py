"""The control API: scenario rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.conftest import OURS, QUEUE, SCHNELL, Fal

SCENARIO = f"{OURS}/_mock/scenario"


def rules(fal: Fal, query: str = "") -> list[Any]:
    items: list[Any] = fal.request("GET", SCENARIO + query).json()["rules"]
    return items


def send(fal: Fal, method: str, document: Any, query: str = "") -> Any:
    return fal.request(method, SCENARIO + query, body=json.dumps(document).encode())


def test_rules_are_replaced_added_and_removed(fal: Fal) -> None:
    assert rules(fal) == []
    send(fal, "PUT", ["queue=1", {"operation": "status", "status": 503, "times": 2}])
    send(fal, "POST", {"nsfw": True})
    expected = ["nsfw", "queue=1", "times=2 operation=status status=503"]
    assert [item["rule"] for item in rules(fal)] == expected
    send(fal, "PUT", "run=5")
    assert rules(fal) == [{"rule": "run=5", "matched": 0, "used": 0}]
    assert fal.request("DELETE", SCENARIO).status_code == 204
    assert rules(fal) == []


def test_rules_count_matches_and_uses(fal: Fal) -> None:
    send(fal, "PUT", ["operation=status status=503 times=1"])
    handle = fal.submit()
    assert [handle.status().status_code for _ in range(2)] == [503, 202]
    assert rules(fal) == [{"rule": "times=1 operation=status status=503", "matched": 2, "used": 1}]


def test_each_key_has_separate_rules(fal: Fal) -> None:
    send(fal, "PUT", "status=503", "?key=alice")
    assert (rules(fal), len(rules(fal, "?key=alice"))) == ([], 1)
    codes = [
        fal.request("POST", f"{QUEUE}/{SCHNELL}", key=key, body=b"{}").status_code
        for key in ("alice:x", "bob:x")
    ]
    assert codes == [503, 200]


def test_rules_may_be_yaml(fal: Fal) -> None:
    headers = {"content-type": "application/yaml"}
    fal.request("PUT", SCENARIO, headers=headers, body=b"- nsfw\n- {run: 5}\n")
    assert [item["rule"] for item in rules(fal)] == ["nsfw", "run=5"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            b'["nsfw",\n {"rum": 5}]',
            "mock-fal: rule 2, line 2, column 3: unknown option 'rum'; did you mean 'run'?",
        ),
        (b"[", "mock-fal: line 1, column 2: invalid JSON: Expecting value"),
        (
            b'["nsfw endpoint=fal-ai/fluxx"]',
            "mock-fal: endpoint: 'fal-ai/fluxx' matches no endpoint of this mock-fal",
        ),
        (b"\xff", "mock-fal: not UTF-8: "),
    ],
)
def test_an_invalid_rule_is_rejected_and_changes_nothing(fal: Fal, body: bytes, detail: str) -> None:
    send(fal, "PUT", "run=5")
    response = fal.request("PUT", SCENARIO, body=body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(detail)
    assert [item["rule"] for item in rules(fal)] == ["run=5"]
