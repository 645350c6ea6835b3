"""api.fal.ai: workflows that are saved, listed and run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Fal
from tests.web.test_platform import API, error_of, get, post
from tests.web.test_workflows import NODES

# The example of fal's specification.
CONTENTS = {
    "name": "my-image-workflow",
    "version": "1.0.0",
    "nodes": {
        "node_a1b2c3": {
            "id": "node_a1b2c3",
            "type": "run",
            "app": "fal-ai/flux/dev",
            "depends": [],
            "input": {"prompt": "$input.prompt"},
            "metadata": {"position": {"x": 300, "y": 100}},
        }
    },
    "output": {"image": "$node_a1b2c3.images.0.url"},
    "schema": {"input": {"prompt": {"type": "string"}}, "output": {"image": {"type": "string"}}},
}


def save(fal: Fal, name: str = "posters", **fields: object) -> Any:
    body = {"name": name, "title": "Posters for all", "contents": CONTENTS, **fields}
    response = post(fal, "workflows", body)
    assert response.status_code == 201, response.text
    return response.json()["workflow"]


def test_a_saved_workflow_is_returned_as_it_was_sent(fal: Fal) -> None:
    saved = save(fal)
    assert list(saved) == ["name", "title", "user_nickname", "created_at", "is_public", "contents"]
    assert (saved["user_nickname"], saved["is_public"], saved["contents"]) == ("alice", False, CONTENTS)
    assert get(fal, "workflows/alice/posters") == {"workflow": saved}


def test_a_saved_workflow_runs(fal: Fal) -> None:
    save(fal, contents={"nodes": NODES})
    handle = fal.submit("a cat", endpoint="workflows/alice/posters", size="square")
    fal.advance(100)
    result = handle.result().json()
    assert list(result) == ["image", "first"]
    assert fal.request("GET", result["image"]["url"]).status_code == 200


def test_the_example_of_the_specification_runs(fal: Fal) -> None:
    save(fal)
    handle = fal.submit("a cat", endpoint="workflows/alice/posters")
    fal.advance(100)
    assert fal.request("GET", handle.result().json()["image"]).status_code == 200


def test_workflows_are_listed_latest_first_and_searched(fal: Fal) -> None:
    save(fal, "one")
    save(fal, "two", title="Cards", contents={"nodes": NODES})
    listed = get(fal, "workflows")
    assert [item["name"] for item in listed["workflows"]] == ["two", "one"]
    assert (listed["total"], listed["has_more"]) == (2, False)
    assert listed["workflows"][0]["endpoint_ids"] == ["fal-ai/flux/dev", "fal-ai/flux/dev/image-to-image"]
    for query, names in {
        "search=CARDS": ["two"],
        "search=o": ["two", "one"],
        "used_endpoint_ids=fal-ai/flux/dev/image-to-image": ["two"],
        "used_endpoint_ids=fal-ai/flux/schnell": [],
        "limit=1&cursor=Mg==": ["one"],
    }.items():
        assert [item["name"] for item in get(fal, f"workflows?{query}")["workflows"]] == names, query


def test_others_see_public_workflows_only(fal: Fal) -> None:
    save(fal, "secret")
    save(fal, "open", is_public=True)
    assert get(fal, "workflows", key="bob:secret")["workflows"] == []
    assert get(fal, "workflows/alice/open", key="bob:secret")["workflow"]["name"] == "open"
    hidden = fal.request("GET", f"{API}/workflows/alice/secret", key="bob:secret")
    assert error_of(hidden) == (404, "not_found", "Resource not found: no workflow alice/secret")


def test_a_name_is_used_once(fal: Fal) -> None:
    save(fal)
    body = {"name": "posters", "title": "Again", "contents": CONTENTS}
    assert error_of(post(fal, "workflows", body))[:2] == (400, "validation_error")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": "a b"}, "name is 'a b'"),
        ({"name": "a" * 129}, "name is 'aaa"),
        ({"title": ""}, "title is ''"),
        ({"is_public": 1}, "is_public is 1"),
        ({"contents": {"nodes": {}}}, "contents: a definition has no node of the type 'run'"),
        ({"contents": None}, "contents: a definition is None"),
    ],
)
def test_an_invalid_workflow_is_rejected_with_the_reason(
    fal: Fal, fields: dict[str, object], named: str
) -> None:
    body = {"name": "posters", "title": "Posters", "contents": CONTENTS, **fields}
    status, kind, message = error_of(post(fal, "workflows", body))
    assert (status, kind) == (400, "validation_error")
    assert named in message


def test_a_key_whose_id_is_no_name_saves_no_workflow(fal: Fal) -> None:
    body = b'{"name": "a", "title": "A", "contents": {}}'
    response = fal.request("POST", f"{API}/workflows", key="a/b:secret", body=body)
    assert "name is 'a/b/a'" in error_of(response)[2]


@pytest.mark.parametrize(("limit", "value"), [("MAX_WORKFLOWS", 1), ("MAX_BYTES", 700)])
def test_the_saved_workflows_are_limited(
    fal: Fal, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(f"mock_fal.models.saved_workflows.{limit}", value)
    save(fal, "one")
    response = post(fal, "workflows", {"name": "two", "title": "Two", "contents": CONTENTS})
    assert "no room" in error_of(response)[2]


def test_a_reset_forgets_the_workflows_of_the_account(fal: Fal) -> None:
    save(fal)
    fal.emulator.reset("bob")
    assert get(fal, "workflows")["total"] == 1
    fal.emulator.reset("alice")
    assert get(fal, "workflows")["total"] == 0
