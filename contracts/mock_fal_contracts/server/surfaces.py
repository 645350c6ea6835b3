"""The documents that are held against a server, and what their checks may not ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")

SURFACES = ("queue", "run", "rest", "media", "platform")

# The control API belongs to a mock that was started for the check: its questions clear and replace what is there.
OURS = "control"


@dataclass(frozen=True, slots=True)
class Surface:
    """The operations of a file that share a host. `prefix` is the path of its server, as `/v1`."""

    name: str
    host: str
    prefix: str
    document: dict[str, Any]


def surfaces(folder: Path, *, with_control: bool) -> list[Surface]:
    """What can be asked by the address of the target."""
    names = [*SURFACES, OURS] if with_control else SURFACES
    return [surface for name in names for surface in _surfaces(folder / f"{name}.yaml")]


def operations(surface: Surface) -> dict[str, str]:
    """The ids of its operations, by `METHOD /path`."""
    return {
        f"{method.upper()} {path}": its["operationId"]
        for path, item in surface.document["paths"].items()
        for method, its in item.items()
        if method in METHODS
    }


def _surfaces(file: Path) -> Iterator[Surface]:
    document = yaml.load(file.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    paths: dict[str, dict[str, Any]] = {}
    for path, item in document["paths"].items():
        servers = item.pop("servers", None) or document["servers"]
        paths.setdefault(servers[0]["url"], {})[path] = item
    for url, own in paths.items():
        parts = urlsplit(url)
        host = "" if "{" in parts.netloc else parts.netloc
        yield Surface(file.stem, host, parts.path, {**document, "servers": [{"url": "/"}], "paths": own})


@dataclass(frozen=True, slots=True)
class Failing:
    """What a check complained of."""

    surface: str
    operation: str
    check: str
    # The method that was asked, which is not always the operation's, and the one of the operation.
    method: str
    declared: str
    status: int
    # The places whose data was made wrong on purpose: body, query, header, path.
    wrong: frozenset[str]
    without_body: bool
    # What the check says, and the answer's body as text.
    message: str
    answer: str


# What a check of everything would count as wrong, and is right; each with the reason.
_Rule = Callable[[Failing], bool]
RIGHT: dict[str, _Rule] = {
    "the queue takes every input; what is wrong with it shows at the result (live, late 2025)": lambda it: (
        it.surface == "queue" and it.check == "negative_data_rejection" and it.declared == "POST"
    ),
    "headers and parameters that can't be read are ignored (fal's documentation says so of the priority)": lambda it: (
        it.check == "negative_data_rejection"
        and it.surface in ("queue", "run", "rest", "media")
        and "body" not in it.wrong
    ),
    "a result before its end and a cancellation after it are 400, what was cancelled is 499": lambda it: (
        it.surface == "queue" and it.check == "positive_data_acceptance" and it.status in (400, 499)
    ),
    "which input an app takes is not in the operations for any app": lambda it: (
        it.check == "positive_data_acceptance"
        and it.status == 422
        and it.operation in ("run", "runApp", "stream")
    ),
    "the framework under the runners reads what can be read: 0 as false, '5' as 5 (pydantic 2)": lambda it: (
        it.check == "negative_data_rejection"
        and it.surface == "run"
        and ("Incorrect type" in it.message or "violates `type`" in it.message)
    ),
    "whether the REST host wants a body where every member has a default is unknown": lambda it: (
        it.check == "negative_data_rejection" and it.surface == "rest" and it.without_body
    ),
    "how many seconds a token may last is documented, and not what is said to more": lambda it: (
        it.operation == "createCdnToken" and it.check == "positive_data_acceptance" and it.status == 422
    ),
    "of cursors, pages, days and metrics the specification says in words only what they may be": lambda it: (
        it.surface == "platform"
        and it.check == "positive_data_acceptance"
        and (it.method, it.status) == ("GET", 400)
        and "Invalid request parameters" in it.answer
    ),
    "of two members that say the same of a token, one counts": lambda it: (
        it.operation == "createRealtimeToken" and it.check == "negative_data_rejection"
    ),
    "0, false and nothing all mean the longest that a token lasts": lambda it: (
        it.operation == "createCdnToken"
        and it.check == "negative_data_rejection"
        and "expiration_seconds" in it.message
    ),
    "rules have a grammar of their own; mock-fal explain knows it": lambda it: (
        it.operation in ("replaceRules", "addRules")
        and it.check == "positive_data_acceptance"
        and it.status == 422
    ),
    "how far a clock can be moved depends on where it stands": lambda it: (
        it.operation == "advanceClock" and ("9999" in it.answer or "greater than maximum" in it.message)
    ),
    "a failure of the infrastructure is a 5xx with its error_type (fal's documentation, 2026)": lambda it: (
        it.surface in ("queue", "run")
        and it.check == "not_a_server_error"
        and it.status in (500, 502, 503, 504)
        and '"error_type"' in it.answer
    ),
    "lists in a query may have commas, and nothing between them counts as nothing": lambda it: (
        it.surface == "platform" and it.check == "negative_data_rejection" and "`expand`" in it.message
    ),
    "an empty file is a file": lambda it: (
        it.check == "negative_data_rejection" and it.surface == "media" and it.without_body
    ),
    "every address of the media host can be asked with GET: there is a file, or none": lambda it: (
        it.check == "unsupported_method" and it.surface == "media" and (it.method, it.status) == ("GET", 404)
    ),
    "methods that the Platform API has nowhere say that they are missing": lambda it: (
        it.surface == "platform" and it.method != it.declared and it.status == 501
    ),
}


def is_right(failing: Failing) -> bool:
    """Whether an answer that a check complained of is right all the same."""
    return any(rule(failing) for rule in RIGHT.values())
