"""The API surfaces of the OpenAPI documents, and the failures of generated requests that are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")

SURFACES = ("queue", "run", "rest", "media", "platform")

# Checked only on a mock that was started for the check: its generated requests delete and replace existing data.
CONTROL = "control"

# The operations whose stream ends only after as many events as this parameter of the query says.
STREAM_LIMITS = {"streamEvents": "limit"}


@dataclass(frozen=True, slots=True)
class Surface:
    """The operations of one document that share a host. `prefix` is the path of its server URL, e.g. `/v1`."""

    name: str
    host: str
    prefix: str
    document: dict[str, Any]


def surfaces(folder: Path, *, with_control: bool) -> list[Surface]:
    """The API surfaces of the documents in a folder, with or without the control API."""
    names = [*SURFACES, CONTROL] if with_control else SURFACES
    return [surface for name in names for surface in _surfaces(folder / f"{name}.yaml")]


def operations(surface: Surface) -> dict[str, str]:
    """The operation ids of a surface, by `METHOD /path`."""
    return {
        f"{method.upper()} {path}": operation["operationId"]
        for path, item in surface.document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def _surfaces(file: Path) -> Iterator[Surface]:
    document = yaml.load(file.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    paths_by_url: dict[str, dict[str, Any]] = {}
    for path, item in document["paths"].items():
        servers = item.pop("servers", None) or document["servers"]
        paths_by_url.setdefault(servers[0]["url"], {})[path] = item
    for url, paths in paths_by_url.items():
        parts = urlsplit(url)
        host = "" if "{" in parts.netloc else parts.netloc
        yield Surface(file.stem, host, parts.path, {**document, "servers": [{"url": "/"}], "paths": paths})


@dataclass(frozen=True, slots=True)
class CheckFailure:
    """A failed check of one generated request."""

    surface: str
    operation: str
    check: str
    # The method that was sent, which may differ from the operation's own, and the operation's method.
    method: str
    declared: str
    status: int
    # The locations whose data was made invalid on purpose: body, query, header, path.
    invalid_locations: frozenset[str]
    without_body: bool
    # The message of the check, and the response body as text.
    message: str
    response_body: str


# Failures that Schemathesis reports and that are correct behaviour, by the reason.
_Condition = Callable[[CheckFailure], bool]
ACCEPTED: dict[str, _Condition] = {
    "the queue accepts every input; errors in it appear in the result (live, late 2025)": lambda failure: (
        failure.surface == "queue"
        and failure.check == "negative_data_rejection"
        and failure.declared == "POST"
    ),
    "invalid headers and parameters are ignored (fal documents it for the priority)": lambda failure: (
        failure.check == "negative_data_rejection"
        and failure.surface in ("queue", "run", "rest", "media")
        and "body" not in failure.invalid_locations
    ),
    "a result before the end and a cancellation after it are 400; a cancelled request is 499": lambda failure: (
        failure.surface == "queue"
        and failure.check == "positive_data_acceptance"
        and failure.status in (400, 499)
    ),
    "the operations for any app don't declare the input of the app": lambda failure: (
        failure.check == "positive_data_acceptance"
        and failure.status == 422
        and failure.operation in ("run", "runApp", "stream")
    ),
    "the framework of the runners converts types: 0 to false, '5' to 5 (pydantic 2)": lambda failure: (
        failure.check == "negative_data_rejection"
        and failure.surface == "run"
        and ("Incorrect type" in failure.message or "violates `type`" in failure.message)
    ),
    "it is unknown whether the REST host requires a body whose members all have defaults": lambda failure: (
        failure.check == "negative_data_rejection" and failure.surface == "rest" and failure.without_body
    ),
    "the maximum lifetime of a token is documented, the error for a longer one is not": lambda failure: (
        failure.operation == "createCdnToken"
        and failure.check == "positive_data_acceptance"
        and failure.status == 422
    ),
    "the limits of cursors, pages, days and metrics are in the specification's prose only": lambda failure: (
        failure.surface == "platform"
        and failure.check == "positive_data_acceptance"
        and (failure.method, failure.status) == ("GET", 400)
        and "Invalid request parameters" in failure.response_body
    ),
    "names in use, permissions, moments and lifetimes are in the specification's prose only": lambda failure: (
        failure.operation in ("createWorkflow", "createKey", "listLogs", "streamLogs", "setStorageSettings")
        and failure.check == "positive_data_acceptance"
        and failure.status == 400
        and "Invalid request parameters" in failure.response_body
    ),
    "in an access list null means no value, as in the headers of uploads": lambda failure: (
        failure.operation == "setStorageSettings"
        and failure.check == "negative_data_rejection"
        and "initial_acl" in failure.message
        and "Incorrect type" in failure.message
    ),
    "invalid parameters of the website's list are ignored, as its users find": lambda failure: (
        failure.operation == "listModelsOfWebsite" and failure.check == "negative_data_rejection"
    ),
    "of two members with the same meaning for a token, one is used": lambda failure: (
        failure.operation == "createRealtimeToken" and failure.check == "negative_data_rejection"
    ),
    "0, false and no value all mean the maximum lifetime of a token": lambda failure: (
        failure.operation == "createCdnToken"
        and failure.check == "negative_data_rejection"
        and "expiration_seconds" in failure.message
    ),
    "the address and the form of an upload policy have rules that a schema of a header can't state": lambda failure: (
        failure.check == "positive_data_acceptance"
        and failure.status == 422
        and "Invalid x-app-fal-upload-policy" in failure.response_body
    ),
    "rules have their own grammar, which is not in the schema (see mock-fal explain)": lambda failure: (
        failure.operation in ("replaceRules", "addRules", "explainRules")
        and failure.check == "positive_data_acceptance"
        and failure.status == 422
    ),
    "how far a clock can be advanced depends on its current time": lambda failure: (
        failure.operation == "advanceClock" and "8999" in failure.response_body
    ),
    "which URLs and endpoints a webhook can have is more than a schema says": lambda failure: (
        failure.operation == "sendWebhook"
        and failure.check == "positive_data_acceptance"
        and failure.status == 422
    ),
    "an infrastructure failure is a 5xx with its error_type (fal's documentation, 2026)": lambda failure: (
        failure.surface in ("queue", "run")
        and failure.check == "not_a_server_error"
        and failure.status in (500, 502, 503, 504)
        and '"error_type"' in failure.response_body
    ),
    "lists in a query may be separated by commas; empty items are ignored": lambda failure: (
        failure.surface == "platform"
        and failure.check == "negative_data_rejection"
        and "`expand`" in failure.message
    ),
    "an empty file is a valid file": lambda failure: (
        failure.check == "negative_data_rejection" and failure.surface == "media" and failure.without_body
    ),
    "the media host supports GET on every URL: it returns the file or 404": lambda failure: (
        failure.check == "unsupported_method"
        and failure.surface == "media"
        and (failure.method, failure.status) == ("GET", 404)
    ),
    "methods that the Platform API supports nowhere are answered 501": lambda failure: (
        failure.surface == "platform" and failure.method != failure.declared and failure.status == 501
    ),
}


def is_accepted(failure: CheckFailure) -> bool:
    """Whether a failure that a check reported is correct behaviour."""
    return any(condition(failure) for condition in ACCEPTED.values())
