"""Runs of workflows."""

from __future__ import annotations

import pytest

from mock_fal.errors import JSON
from mock_fal.models.workflow import Node, parse, standard
from mock_fal.models.workflow_run import NodeRun, WorkflowRun, execute, read_input
from tests.models.test_workflow import POSTERS, changed


class Runs:
    """Runs nodes in one second each, and remembers their inputs."""

    def __init__(self, *failing: str, missing: bool = False) -> None:
        self.inputs: dict[str, JSON] = {}
        self._failing = failing
        self._missing = missing

    def __call__(self, node: Node, given: JSON, at: float) -> NodeRun:
        self.inputs[node.id] = given
        if node.id in self._failing:
            return NodeRun(f"id-{node.id}", 503, {"detail": "gone"}, at, at + 1)
        body = {} if self._missing else {"images": [{"url": "u"}], "image": {"url": node.id}}
        return NodeRun(f"id-{node.id}", 200, body, at, at + 1)


def run(runs: Runs, definition: JSON = POSTERS, **fields: JSON) -> WorkflowRun:
    return execute(parse(definition), fields, 10.0, runs)


def test_the_nodes_run_in_the_order_of_their_dependencies() -> None:
    runs = Runs()
    turned = dict(reversed(POSTERS.items()))
    assert run(runs, turned, prompt="a cat").ends_at == 12.0
    assert list(runs.inputs) == ["node_1", "node_2"]


def test_references_are_replaced_by_inputs_and_outputs() -> None:
    runs = Runs()
    assert run(runs, prompt="a cat").body == {"image": {"url": "node_2"}}
    assert runs.inputs["node_1"] == {"prompt": "a cat", "image_size": "square"}
    assert runs.inputs["node_2"] == {"image_url": "u", "tags": ["a cat", "$5 each"]}


def test_the_events_are_those_that_fal_documents() -> None:
    output = {"images": [{"url": "u"}], "image": {"url": "node_1"}}
    assert run(Runs(), prompt="a cat").events[:2] == (
        {"type": "submit", "node_id": "node_1", "app_id": "fal-ai/flux/dev", "request_id": "id-node_1"},
        {"type": "completion", "node_id": "node_1", "output": output},
    )


def test_independent_nodes_run_at_once() -> None:
    definition = changed("node_3", type="run", app="fal-ai/flux/schnell", input={"prompt": "$input.prompt"})
    result = run(Runs(), definition, prompt="a cat")
    assert [(event["type"], event["node_id"]) for event in result.events] == [
        ("submit", "node_1"),
        ("submit", "node_3"),
        ("completion", "node_1"),
        ("completion", "node_3"),
        ("submit", "node_2"),
        ("completion", "node_2"),
    ]
    assert result.ends_at == 12.0


def test_a_failed_node_ends_the_workflow_with_an_error_event() -> None:
    runs = Runs("node_1")
    result = run(runs, prompt="a cat")
    assert (result.status, result.body, result.ends_at) == (503, {"detail": "gone"}, 11.0)
    assert result.events[-1] == {
        "type": "error",
        "node_id": "node_1",
        "message": "Error while fetching the result of the request id-node_1",
        "error": {"status": 503, "body": {"detail": "gone"}},
    }
    assert list(runs.inputs) == ["node_1"]


def test_a_reference_to_what_a_node_did_not_return_is_an_error() -> None:
    result = run(Runs(missing=True), prompt="a cat")
    problem = "$node_1.images.0.url refers to 'images', which the output of 'node_1' does not have"
    assert (result.status, result.body) == (422, {"detail": problem})
    assert (result.events[-1]["node_id"], result.events[-1]["message"]) == ("node_2", problem)


def test_an_output_that_refers_to_nothing_is_an_error() -> None:
    result = run(Runs(), changed("output", fields={"image": "$node_1.images.7"}), prompt="a cat")
    assert (result.status, result.events[-1]["node_id"]) == (422, "output")


@pytest.mark.parametrize(
    ("fields", "prompt"), [({"prompt": "a cat"}, "a cat"), ({"n": 1, "text": "a dog"}, "a dog"), ({}, "")]
)
def test_a_workflow_without_a_definition_makes_a_picture(fields: dict[str, JSON], prompt: str) -> None:
    runs = Runs()
    result = execute(standard(fields), fields, 0.0, runs)
    assert result.body == {"images": [{"url": "u"}]}
    assert runs.inputs == {"node_1": {"prompt": prompt}}


def test_a_node_behind_one_that_did_not_run_does_not_run() -> None:
    definition = changed("node_3", type="run", app="fal-ai/flux/dev", input={"image_url": "$node_2.image"})
    runs = Runs("node_1")
    assert run(runs, definition, prompt="a cat").status == 503
    assert list(runs.inputs) == ["node_1"]


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff"])
def test_an_input_that_is_no_object_is_rejected(body: bytes) -> None:
    fields, rejection = read_input(body)
    assert fields == {}
    assert rejection is not None
    assert rejection.status in (400, 422)


def test_any_object_is_an_input() -> None:
    assert read_input(b'{"a": {"b": [1]}}') == ({"a": {"b": [1]}}, None)
