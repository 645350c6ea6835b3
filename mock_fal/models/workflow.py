"""Workflows: definitions in fal's form, their nodes in an order in which they can run, and references."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from mock_fal.endpoint import NAMESPACES, EndpointId
from mock_fal.errors import JSON

# The limits of a definition.
MAX_NODES: Final = 25
MAX_DEPTH: Final = 20
MAX_VALUES: Final = 5_000

# The id of the input in references.
INPUT: Final = "input"

# fal: a reference is a whole string, such as `$node_1.images.0.url`; there is no interpolation (fal's workflow
# documentation and skill files, 2026).
_REFERENCE: Final = re.compile(r"\$([A-Za-z0-9_-]+)((?:\.[^.\s]+)*)")

# fal: `input`, `run` and `display` are the types of the documentation; examples of the Platform API have `model` and
# `output` for the last two (2026).
_RUN: Final = ("run", "model")
_DISPLAY: Final = ("display", "output")

# assumption: what a workflow without a definition runs.
STANDARD_APP: Final = "fal-ai/flux/dev"


class InvalidWorkflow(ValueError):
    """A definition that can't be run. The message names the node, what was seen and what was expected."""


@dataclass(frozen=True, slots=True)
class Node:
    """One run of an app. `needs` are the ids of the nodes that it waits for."""

    id: str
    app: EndpointId
    input: JSON
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Workflow:
    """The nodes in an order in which they can run, the output as a template, and defaults of the input."""

    nodes: tuple[Node, ...]
    output: JSON
    defaults: Mapping[str, JSON]


# -- definitions


def load(document: JSON) -> dict[str, Workflow]:
    """The workflows of a file by id, such as `ana/posters`. Raises InvalidWorkflow.

    The file has `{"workflows": {ID: DEFINITION}}`, or one workflow or a list of them as fal's API returns them.
    """
    if isinstance(document, dict) and "workflows" in document:
        listed = document["workflows"]
        if isinstance(listed, dict):
            return {_checked_id(name): parse(definition) for name, definition in listed.items()}
        document = listed
    found = document if isinstance(document, list) else [document]
    return {_id_of(workflow): parse(workflow) for workflow in found}


def load_text(data: bytes) -> dict[str, Workflow] | None:
    """The workflows of a JSON text, or None for one that has the form of something else. Raises InvalidWorkflow."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    found = document[:1] if isinstance(document, list) else [document]
    return load(document) if any(map(is_definition, found)) else None


def is_definition(document: JSON) -> bool:
    """Whether a document has the form of a workflow, or names some by id."""
    if not isinstance(document, dict):
        return False
    contents = document.get("contents")
    return "workflows" in document or (isinstance(contents, dict) and "nodes" in contents)


def parse(definition: JSON) -> Workflow:
    """A workflow from its definition. Raises InvalidWorkflow."""
    _check_size(definition)
    contents = definition.get("contents", definition) if isinstance(definition, dict) else definition
    if not isinstance(contents, dict):
        raise InvalidWorkflow(f"a definition is {_shown(definition)}, expected an object with nodes")
    listed = contents.get("nodes", contents)
    if not isinstance(listed, dict):
        raise InvalidWorkflow(f"nodes is {_shown(listed)}, expected an object")
    if len(listed) > MAX_NODES:
        raise InvalidWorkflow(f"a definition has {len(listed)} nodes, expected at most {MAX_NODES}")
    nodes: dict[str, Node] = {}
    defaults: dict[str, JSON] = {}
    output: dict[str, JSON] = {}
    for name, node in listed.items():
        if not isinstance(node, dict):
            raise InvalidWorkflow(f"node {name!r} is {_shown(node)}, expected an object")
        match node.get("type"):
            case "input":
                defaults |= _object(node, "input", name)
            case kind if kind in _RUN:
                nodes[name] = _node(name, node)
            case kind if kind in _DISPLAY:
                output |= _object(node, "fields", name)
            case other:
                raise InvalidWorkflow(
                    f"node {name!r}: type is {_shown(other)}, expected 'input', 'run' or 'display'"
                )
    if not output and isinstance(contents.get("output"), dict) and contents is not listed:
        output = contents["output"]
    if not nodes:
        raise InvalidWorkflow("a definition has no node of the type 'run'")
    if not output:
        raise InvalidWorkflow("a definition has no node of the type 'display' with fields, and no output")
    _check_references(nodes, output)
    return Workflow(_ordered(nodes), output, defaults)


def standard(fields: Mapping[str, JSON]) -> Workflow:
    """The workflow that stands for one without a definition: a picture for the prompt of its input."""
    # assumption: the prompt is the field of this name, else the first text of the input.
    texts = [value for value in fields.values() if isinstance(value, str) and value]
    prompt = fields.get("prompt")
    text = prompt if isinstance(prompt, str) else next(iter(texts), "")
    node = Node("node_1", EndpointId.parse(STANDARD_APP), {"prompt": text}, frozenset())
    return Workflow((node,), {"images": "$node_1.images"}, {})


def _node(name: str, node: dict[str, Any]) -> Node:
    if name == INPUT:
        raise InvalidWorkflow(f"node {name!r} runs an app; this id is that of the input")
    app = node.get("app")
    try:
        endpoint = EndpointId.parse(app if isinstance(app, str) else "")
    except ValueError as error:
        raise InvalidWorkflow(f"node {name!r}: app is {_shown(app)}: {error}") from None
    if endpoint.namespace in NAMESPACES:
        # deviation: a node of a workflow runs a model, not another workflow.
        raise InvalidWorkflow(f"node {name!r}: app is {app!r}, expected a model and not a workflow")
    given = _object(node, "input", name)
    depends = node.get("depends") or []
    if not isinstance(depends, list) or not all(isinstance(other, str) for other in depends):
        raise InvalidWorkflow(f"node {name!r}: depends is {_shown(depends)}, expected a list of node ids")
    return Node(name, endpoint, given, frozenset([*depends, *_references(given)]) - {INPUT})


def _object(node: dict[str, Any], key: str, name: str) -> dict[str, JSON]:
    value = node.get(key) or {}
    if not isinstance(value, dict):
        raise InvalidWorkflow(f"node {name!r}: {key} is {_shown(value)}, expected an object")
    return value


def _check_references(nodes: Mapping[str, Node], output: JSON) -> None:
    known = ", ".join(sorted([*nodes, INPUT]))
    for name, needs in [
        *((node.id, node.needs) for node in nodes.values()),
        ("output", set(_references(output))),
    ]:
        for other in sorted(needs - {INPUT}):
            if other not in nodes:
                raise InvalidWorkflow(f"node {name!r} refers to {other!r}, expected one of {known}")


def _ordered(nodes: Mapping[str, Node]) -> tuple[Node, ...]:
    graph = {name: sorted(node.needs) for name, node in nodes.items()}
    try:
        return tuple(nodes[name] for name in TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise InvalidWorkflow(f"the nodes wait for each other: {' -> '.join(error.args[1])}") from None


def _references(value: JSON) -> Iterator[str]:
    """The ids that a template refers to."""
    if isinstance(value, str) and (match := _REFERENCE.fullmatch(value)):
        yield match[1]
    for part in _parts(value):
        yield from _references(part)


def _check_size(document: JSON) -> None:
    layer, count = [document], 1
    for _ in range(MAX_DEPTH + 1):
        layer = [part for value in layer for part in _parts(value)]
        count += len(layer)
        if count > MAX_VALUES:
            raise InvalidWorkflow(f"a definition has more than {MAX_VALUES} values")
        if not layer:
            return
    raise InvalidWorkflow(f"a definition is nested more than {MAX_DEPTH} deep")


def _checked_id(name: JSON) -> str:
    try:
        endpoint = EndpointId.parse(name if isinstance(name, str) else "")
    except ValueError:
        endpoint = None
    if endpoint is None or endpoint.path:
        raise InvalidWorkflow(
            f"{_shown(name)} is not the id of a workflow; expected user/name, as in ana/posters"
        )
    return f"{endpoint.owner}/{endpoint.app}"


def _id_of(workflow: JSON) -> str:
    if not isinstance(workflow, dict):
        raise InvalidWorkflow(f"a workflow is {_shown(workflow)}, expected an object")
    # fal: the members of a workflow in the Platform API (`GET /v1/workflows/{user}/{name}`, 2026).
    user, name = workflow.get("user_nickname"), workflow.get("name")
    if not user or not name:
        raise InvalidWorkflow("a workflow has no user_nickname or no name; its id is user_nickname/name")
    return _checked_id(f"{user}/{name}")


# -- references


class _Missing(Exception):
    """A reference to what a node did not return."""


class _Absent(Exception):
    """A reference to a field that the input does not have."""


def resolved(template: JSON, results: Mapping[str, JSON]) -> tuple[JSON, str]:
    """A template with its references replaced, and why that failed, or an empty text."""
    try:
        return replaced(template, results), ""
    except _Missing as error:
        return None, str(error)


def replaced(template: JSON, results: Mapping[str, JSON]) -> JSON:
    """A template with its references replaced: null for those to nodes without a result. Raises _Missing."""
    if isinstance(template, dict):
        members = {}
        for key, part in template.items():
            try:
                members[key] = replaced(part, results)
            except _Absent:
                # assumption: a field that refers to a missing field of the input is left out.
                pass
        return members
    if isinstance(template, list):
        return [replaced(part, results) for part in template]
    match = _REFERENCE.fullmatch(template) if isinstance(template, str) else None
    return _value(template, match, results) if match else template


def _value(reference: str, match: re.Match[str], results: Mapping[str, JSON]) -> JSON:
    if match[1] not in results:
        return None  # a node that has not run
    value = results[match[1]]
    for name in match[2].split(".")[1:]:
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and len(name) < 6 and int(name) < len(value):
            value = value[int(name)]
        elif match[1] == INPUT:
            raise _Absent
        else:
            raise _Missing(f"{reference} refers to {name!r}, which the output of {match[1]!r} does not have")
    return value


def _parts(value: JSON) -> list[JSON]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _shown(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
