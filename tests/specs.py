"""The documents in `openapi/`: found, read, and held against an answer. Knows OpenAPI, and nothing of mock_fal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FOLDER = Path(__file__).parent.parent / "openapi"
FILES = sorted(FOLDER.glob("*.yaml"))
SPECS = [path.stem for path in FILES if path.stem != "redocly"]

METHODS = ("get", "put", "post", "delete", "head", "patch", "options")


class Spec:
    """One document."""

    def __init__(self, name: str) -> None:
        self.name = name
        text = (FOLDER / f"{name}.yaml").read_text()
        self.document: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        resource = Resource.from_contents(self.document, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource("urn:spec", resource)

    @property
    def root(self) -> Place:
        return Place(self, "")

    @property
    def operations(self) -> list[Operation]:
        """All of them, webhooks included."""
        found = []
        for kind in ("paths", "webhooks"):
            for path, item in self.root.get(kind).items():
                for method in METHODS:
                    if method in item:
                        found.append(Operation(self, path, method, item[method], item))
        return found

    def operation(self, name: str) -> Operation:
        (found,) = [each for each in self.operations if each.name == name]
        return found

    def errors(self, schema: Place, value: Any) -> list[str]:
        """Why a value does not fit a schema."""
        validator = Draft202012Validator(
            {"$ref": f"urn:spec#{schema.pointer}"}, registry=self._registry, format_checker=FormatChecker()
        )
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


@cache
def spec(name: str) -> Spec:
    """The document of a name."""
    return Spec(name)


@dataclass(frozen=True)
class Place:
    """A place in a document; references are followed."""

    spec: Spec
    pointer: str

    @cached_property
    def value(self) -> Any:
        value: Any = self.spec.document
        for part in self.pointer.split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else value[key]
        return value

    def __getitem__(self, key: str | int) -> Place:
        escaped = str(key).replace("~", "~0").replace("/", "~1")
        node = Place(self.spec, f"{self.pointer}/{escaped}")
        while isinstance(node.value, dict) and "$ref" in node.value:
            node = Place(self.spec, node.value["$ref"].removeprefix("#"))
        return node

    def __contains__(self, key: object) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def get(self, key: str) -> Place:
        """What is there, or an empty place."""
        return self[key] if key in self else Place(_EMPTY, "")

    def items(self) -> Iterator[tuple[str, Place]]:
        for key in self.value:
            yield key, self[key]

    def list(self) -> list[Place]:
        return [self[at] for at in range(len(self.value))]


class _Empty(Spec):
    def __init__(self) -> None:
        self.name = ""
        self.document = {}


_EMPTY = _Empty()


@dataclass(frozen=True)
class Operation:
    """One method at one address."""

    spec: Spec
    path: str
    method: str
    node: Place
    item: Place

    def __str__(self) -> str:
        return f"{self.spec.name}.{self.name}"

    @property
    def name(self) -> str:
        name: str = self.node["operationId"].value
        return name

    @property
    def parameters(self) -> list[Place]:
        both = [place["parameters"] for place in (self.item, self.node) if "parameters" in place]
        return [parameter for parameters in both for parameter in parameters.list()]

    def names(self, place: str) -> list[str]:
        """What may stand in `place`: path, query or header. Credentials too, but for the header Authorization."""
        schemes = [scheme.value for _, scheme in self.spec.root["components"].get("securitySchemes").items()]
        known = [each.value for each in self.parameters] + [each for each in schemes if "in" in each]
        return [each["name"] for each in known if each["in"] == place and each["name"] != "Authorization"]

    @property
    def security(self) -> list[dict[str, Any]]:
        """The credentials that are asked for; an empty one among them says that it goes without."""
        place = self.node if "security" in self.node else self.spec.root
        needed: list[dict[str, Any]] = place["security"].value if "security" in place else [{}]
        return needed

    @property
    def responses(self) -> dict[str, Place]:
        return dict(self.node["responses"].items())

    def examples(self) -> Iterator[tuple[str, str, Any]]:
        """The bodies that may be sent: a name, a media type, a value; without a body, one of none."""
        if "requestBody" not in self.node:
            yield "-", "", None
            return
        for media_type, content in self.node["requestBody"]["content"].items():
            for name, example in content.get("examples").items():
                yield name, media_type, example["value"].value

    def response(self, status: int) -> Place | None:
        """What is said of a status."""
        said = self.responses
        return said.get(str(status)) or said.get(f"{status // 100}XX") or said.get("default")

    def faults(self, response: httpx.Response) -> list[str]:
        """In what an answer is other than the document says."""
        said = self.response(response.status_code)
        if said is None:
            return [
                f"status {response.status_code} is not among {', '.join(self.responses)}: {response.text[:300]}"
            ]
        return [*_header_faults(said, response), *self._body_faults(said, response)]

    def _body_faults(self, said: Place, response: httpx.Response) -> Iterator[str]:
        if response.request.method == "HEAD":
            return
        if "content" not in said:
            if response.content:
                yield f"a body of {len(response.content)} bytes, expected none"
            return
        sent = _essence(response.headers.get("content-type", ""))
        kinds = {_essence(kind): node for kind, node in said["content"].items()}
        content = kinds.get(sent) or kinds.get("*/*")
        if content is None:
            yield f"content type {sent!r}, expected {' or '.join(kinds)}"
        elif sent == "text/event-stream":
            yield from event_faults(content, response.text)
        elif "schema" in content and "*/*" not in kinds:
            value = response.json() if sent == "application/json" else response.text
            yield from self.spec.errors(content["schema"], value)


def _header_faults(said: Place, response: httpx.Response) -> Iterator[str]:
    for name, header in said.get("headers").items():
        value = response.headers.get(name)
        if value is None:
            if header.value.get("required"):
                yield f"no header {name}"
        else:
            yield from (f"header {name}: {fault}" for fault in said.spec.errors(header["schema"], value))


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def event_faults(content: Place, text: str) -> list[str]:
    """In what the events of a stream are other than its schema says; one without events is at fault, too."""
    schema = content["schema"]["properties"]["data"]["contentSchema"]
    events = re.findall(r"^data: (.*)$", text, re.MULTILINE)
    if events[-1:] == ["[DONE]"]:  # OpenAI's end of a stream
        events.pop()
    if not events:
        return ["no event"]
    return [fault for event in events for fault in content.spec.errors(schema, json.loads(event))]
