"""The control API: scenario rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.conftest import OURS, QUEUE, SCHNELL, Fal

SCENARIO = f"{OURS}/_mock/scenario"


def rules(fal: Fal, query: str = "") -> list[Any]:
    """The rules without their ids."""
    items: list[Any] = fal.request("GET", SCENARIO + query).json()["rules"]
    return [{name: value for name, value in item.items() if name != "id"} for item in items]


def send(fal: Fal, method: str, document: Any, query: str = "") -> Any:
    return fal.request(method, SCENARIO + query, body=json.dumps(document).encode())


def test_rules_are_replaced_added_and_removed(fal: Fal) -> None:
    assert rules(fal) == []
    send(fal, "PUT", ["queue=1", {"operation": "status", "status": 503, "times": 2}])
    send(fal, "POST", {"nsfw": True})
    expected = ["nsfw", "queue=1", "times=2 operation=status status=503"]
    assert [item["rule"] for item in rules(fal)] == expected
    send(fal, "PUT", "run=5")
    assert rules(fal) == [{"key": None, "rule": "run=5", "matched": 0, "used": 0}]
    assert fal.request("DELETE", SCENARIO).status_code == 204
    assert rules(fal) == []


def test_rules_count_matches_and_uses(fal: Fal) -> None:
    send(fal, "PUT", ["operation=status status=503 times=1"])
    handle = fal.submit()
    assert [handle.status().status_code for _ in range(2)] == [503, 202]
    rule = "times=1 operation=status status=503"
    assert rules(fal) == [{"key": None, "rule": rule, "matched": 2, "used": 1}]


def test_one_rule_is_removed_and_the_others_keep_their_counts(fal: Fal) -> None:
    send(fal, "PUT", ["operation=status status=503 times=1", "queue=1"])
    send(fal, "PUT", ["run=5", "run=6"], "?key=bob")
    fal.submit().status()
    listed = fal.request("GET", f"{SCENARIO}?all=1").json()["rules"]
    assert [(item["key"], item["rule"]) for item in listed] == [
        (None, "times=1 operation=status status=503"),
        (None, "queue=1"),
        ("bob", "run=5"),
        ("bob", "run=6"),
    ]
    for item in (listed[1], listed[2]):
        assert fal.request("DELETE", f"{SCENARIO}/{item['id']}").status_code == 204
    rest = fal.request("GET", f"{SCENARIO}?all=1").json()["rules"]
    assert rest == [listed[0], listed[3]]
    assert rest[0]["used"] == 1


@pytest.mark.parametrize(
    ("id", "detail"), [("999999999", "no rule 999999999"), ("x", "no route '/_mock/scenario/x'")]
)
def test_an_unknown_rule_is_not_found(fal: Fal, id: str, detail: str) -> None:
    response = fal.request("DELETE", f"{SCENARIO}/{id}")
    assert response.status_code == 404
    assert response.json()["detail"].startswith(f"mock-fal: {detail}")


@pytest.mark.parametrize("name", ["explain", "options"])
def test_the_names_beside_rules_take_no_delete(fal: Fal, name: str) -> None:
    assert fal.request("DELETE", f"{SCENARIO}/{name}").status_code == 405


def test_rules_of_all_keys_are_asked_for_by_one_or_zero(fal: Fal) -> None:
    assert fal.request("GET", f"{SCENARIO}?all=yes").status_code == 422


def test_a_rule_is_explained_without_being_added(fal: Fal) -> None:
    rule = {"error": "content_policy_violation", "times": 2, "endpoint": "fal-ai/flux/*"}
    [explained] = send(fal, "POST", rule, "/explain").json()["rules"]
    assert explained["rule"] == "endpoint=fal-ai/flux/* times=2 error=content_policy_violation"
    assert explained["options"][1] == {"name": "times", "text": "times=2"}
    assert "It is a model error: the result is HTTP 422." in explained["sentences"]
    assert explained["applies_to"] == ["submit", "run", "stream", "realtime"]
    assert rules(fal) == []


@pytest.mark.parametrize(
    ("rule", "column"), [("times=2 eror=x", 9), ("times=x", 1), ({"times": "x"}, None), ("queue=1 [", 9)]
)
def test_an_invalid_rule_names_its_column(fal: Fal, rule: Any, column: int | None) -> None:
    for method, path in (("POST", "/explain"), ("PUT", "")):
        response = send(fal, method, rule, path)
        assert (response.status_code, response.json().get("column")) == (422, column), response.text


def test_the_options_of_rules_are_listed(fal: Fal) -> None:
    listed = fal.request("GET", f"{SCENARIO}/options").json()
    by_name = {option["name"]: option for option in listed["options"]}
    assert (by_name["nsfw"]["value"], by_name["header"]["named"]) == (None, True)
    assert "submit" in by_name["error"]["operations"] and "{}" in by_name["times"]["sentence"]
    assert {"type": "content_policy_violation", "status": 422, "kind": "model"} in listed["errors"]
    assert listed["operations"][0] == "submit"


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
