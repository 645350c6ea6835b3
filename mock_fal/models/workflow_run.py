"""Running a workflow: its nodes in order, the events of its stream, and its result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON
from mock_fal.hosts import RESULT_HOST
from mock_fal.media.recipe import MediaRecipe
from mock_fal.models.catalog import Model
from mock_fal.models.engine import named_files as files_of_model
from mock_fal.models.input_schema import FileReference, as_plain, input_adapter
from mock_fal.models.validation import Rejected, load
from mock_fal.models.workflow import INPUT, Node, Workflow, replaced, resolved
from mock_fal.requests.outcome import Deferred, MediaFile, RunnerResponse, needs_rendering
from mock_fal.requests.queue import ModelRequest


class NodeRun(NamedTuple):
    """A run of a node: its request, status and body, and when it starts and ends, in seconds."""

    request_id: str
    status: int
    body: JSON
    starts_at: float
    ends_at: float


class WorkflowRun(NamedTuple):
    """A run of a workflow: status and body of its result, the events before the result, and when it ends."""

    status: int
    body: JSON
    events: tuple[JSON, ...]
    ends_at: float

    @property
    def response(self) -> RunnerResponse:
        """The response of a runner."""
        # Each node is a request of its own, and is billed as such.
        return RunnerResponse(self.status, self.body, billable_units=0, inline=needs_rendering(self.body))


# -- inputs


def read_input(body: bytes) -> tuple[dict[str, JSON], RunnerResponse | None]:
    """The input of a workflow, which may be any object; or the response that rejects it."""
    try:
        return dict(as_plain(load(body, input_adapter({})))), None
    except Rejected as rejection:
        return {}, rejection.response


def node_input(given: JSON, model: Model | None) -> tuple[bytes, dict[str, MediaRecipe]]:
    """The body of a request to a node, and the files of earlier nodes that it names, by URL."""
    files: dict[str, MediaRecipe] = {}

    def written(value: Any) -> JSON:
        match value:
            case MediaFile():
                url = f"https://{RESULT_HOST}{value.path}"
                files[url] = value.recipe
                return url
            case Deferred():
                return value.json()
            case _:  # the size of a file, which is not known before it is rendered
                return 0

    # deviation: nodes return URLs, also those whose `sync_mode` requests data URIs: they would have to be rendered.
    if model is not None and "sync_mode" in model.input.get("properties", {}):
        given = {**given, "sync_mode": False}
    return json.dumps(given, default=written).encode(), files


def named_files(
    workflow: Workflow, document: JSON, find: Callable[[EndpointId], Model | None]
) -> Iterator[FileReference]:
    """The files that the input of a workflow names, as its nodes read them."""
    fields = document if isinstance(document, dict) else {}
    results = {INPUT: {**workflow.defaults, **fields}}
    for node in workflow.nodes:
        model = find(node.app)
        if model is not None:
            yield from files_of_model(model, replaced(node.input, results))


# -- runs


def node_run(request: ModelRequest, at: float) -> NodeRun:
    """The run of a node that is ready at `at`, from its request."""
    submission, outcome = request.submission, request.outcome
    starts_at = max(at, submission.ready_at)
    ends_at = starts_at + submission.duration
    if isinstance(outcome, RunnerResponse):
        return NodeRun(request.id, outcome.status, outcome.body, starts_at, ends_at)
    body = {"detail": outcome.detail, "error_type": outcome.error_type}
    return NodeRun(request.id, outcome.kind.status, body, starts_at, ends_at)


def execute(
    workflow: Workflow, fields: Mapping[str, JSON], now: float, run: Callable[[Node, JSON, float], NodeRun]
) -> WorkflowRun:
    """Run the nodes; `run(node, input, at)` runs one from the time `at`. The first failure ends the workflow."""
    results: dict[str, JSON] = {INPUT: {**workflow.defaults, **fields}}
    ends: dict[str, float] = {}
    timed: list[tuple[float, int, JSON]] = []
    failures: list[tuple[float, int, NodeRun]] = []
    for number, node in enumerate(workflow.nodes):
        if not node.needs <= ends.keys():
            continue  # it waits for a node that did not run
        starts_at = max((ends[name] for name in node.needs), default=now)
        if failures and starts_at >= failures[0][0]:
            continue  # the workflow has ended before
        given, problem = resolved(node.input, results)
        done = (
            NodeRun("", 422, {"detail": problem}, starts_at, starts_at)
            if problem
            else run(node, given, starts_at)
        )
        ends[node.id] = done.ends_at
        if done.request_id:
            timed.append((done.starts_at, number, _submit(node, done)))
        if done.status >= 400:
            timed.append((done.ends_at, number, _error(node, done)))
            failures = sorted([*failures, (done.ends_at, number, done)])[:1]
            results[node.id] = None
        else:
            timed.append(
                (done.ends_at, number, {"type": "completion", "node_id": node.id, "output": done.body})
            )
            results[node.id] = done.body
    timed.sort(key=lambda event: event[:2])
    events = tuple(event for _, _, event in timed)
    if failures:
        ended_at, _, failed = failures[0]
        last = next(index for index, event in enumerate(events) if event["type"] == "error")
        # assumption: the result of a workflow with a failed node is the response of that node.
        return WorkflowRun(failed.status, failed.body, events[: last + 1], ended_at)
    output, problem = resolved(workflow.output, results)
    ended_at = max(ends.values(), default=now)
    if problem:
        # assumption: status and text of an output that refers to what a node did not return.
        return WorkflowRun(422, {"detail": problem}, (*events, _output_error(problem)), ended_at)
    return WorkflowRun(200, output, events, ended_at)


def _submit(node: Node, done: NodeRun) -> JSON:
    # fal: the members of the four events, in this order (workflow documentation, 2026).
    return {"type": "submit", "node_id": node.id, "app_id": str(node.app), "request_id": done.request_id}


def _error(node: Node, done: NodeRun) -> JSON:
    message = (
        f"Error while fetching the result of the request {done.request_id}"
        if done.request_id
        else done.body["detail"]
    )
    return {
        "type": "error",
        "node_id": node.id,
        "message": message,
        "error": {"status": done.status, "body": done.body},
    }


def _output_error(problem: str) -> JSON:
    error = {"status": 422, "body": {"detail": problem}}
    return {"type": "error", "node_id": "output", "message": problem, "error": error}
