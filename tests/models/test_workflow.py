"""Definitions of workflows."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from mock_fal.errors import JSON
from mock_fal.models.workflow import InvalidWorkflow, is_definition, load, load_text, parse

# fal: the form of the example in fal's workflow documentation (2026).
POSTERS: dict[str, Any] = {
    "input": {"id": "input", "type": "input", "depends": [], "input": {"prompt": "", "size": "square"}},
    "node_1": {
        "id": "node_1",
        "type": "run",
        "depends": ["input"],
        "app": "fal-ai/flux/dev",
        "input": {"prompt": "$input.prompt", "image_size": "$input.size", "seed": "$input.seed"},
    },
    "node_2": {
        "id": "node_2",
        "type": "run",
        "depends": ["node_1"],
        "app": "fal-ai/birefnet",
        "input": {"image_url": "$node_1.images.0.url", "tags": ["$input.prompt", "$5 each"]},
    },
    "output": {
        "id": "output",
        "type": "display",
        "depends": ["node_2"],
        "fields": {"image": "$node_2.image"},
    },
}


def changed(node: str, **members: Any) -> dict[str, Any]:
    definition = deepcopy(POSTERS)
    definition.setdefault(node, {}).update(members)
    return definition


def test_a_file_names_workflows_by_id() -> None:
    assert list(load({"workflows": {"ana/posters": POSTERS, "workflows/bob/x": POSTERS}})) == [
        "ana/posters",
        "bob/x",
    ]


def test_a_file_may_hold_workflows_as_the_api_returns_them() -> None:
    nodes = {"n": POSTERS["node_1"] | {"type": "model"}}
    contents = {"name": "workflow", "nodes": nodes, "output": {"image": "$n.image"}}
    workflow = {"name": "posters", "user_nickname": "ana", "contents": contents}
    assert is_definition(workflow)
    assert load(workflow) == load([workflow]) == load({"workflows": [workflow]})
    assert load(workflow)["ana/posters"].output == {"image": "$n.image"}


@pytest.mark.parametrize("document", [{}, [], {"openapi": "3.1.0"}, {"contents": 3}])
def test_other_documents_are_no_workflows(document: JSON) -> None:
    assert not is_definition(document)


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (3, "a definition is 3, expected an object with nodes"),
        ({"nodes": []}, "nodes is [], expected an object"),
        ({}, "no node of the type 'run'"),
        (changed("output", type="strange"), "type is 'strange', expected 'input', 'run' or 'display'"),
        (changed("output", fields={}), "no node of the type 'display' with fields"),
        (
            changed("output", fields={"a": "$node_9.x"}),
            "'output' refers to 'node_9', expected one of input, node_1",
        ),
        (changed("node_1", depends=["node_2"]), "the nodes wait for each other: node_"),
        (changed("node_1", depends="input"), "depends is 'input', expected a list of node ids"),
        (changed("node_1", app="flux"), "app is 'flux': 'flux' is not an endpoint id"),
        (changed("node_1", app="workflows/a/b"), "expected a model and not a workflow"),
        (changed("node_1", input=[1]), "input is [1], expected an object"),
        (changed("input", type="run", app="fal-ai/flux/dev"), "this id is that of the input"),
        ({"a": 3}, "node 'a' is 3, expected an object"),
        ({str(n): {} for n in range(26)}, "26 nodes, expected at most 25"),
        (changed("node_1", input={"a": list(range(6000))}), "more than 5000 values"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_definition_is_an_error(definition: JSON, reason: str) -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        parse(definition)
    assert reason in str(caught.value)


def test_a_definition_has_limited_depth() -> None:
    deep: JSON = {}
    for _ in range(30):
        deep = {"a": deep}
    with pytest.raises(InvalidWorkflow, match="nested more than 20 deep"):
        parse(changed("node_1", input=deep))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"workflows": {"posters": POSTERS}}, "expected user/name, as in ana/posters"),
        ({"workflows": {"a/b/c": POSTERS}}, "expected user/name"),
        ([3], "a workflow is 3, expected an object"),
        ({"name": "posters"}, "no user_nickname or no name"),
    ],
)
def test_a_workflow_without_an_id_is_an_error(document: JSON, reason: str) -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        load(document)
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", [b"[", b"[1]", b'{"openapi": "3.1.0", "workflows": 3', b'{"models": []}'])
def test_a_text_without_workflows_has_none(text: bytes) -> None:
    assert load_text(text) is None
