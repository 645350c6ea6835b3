"""Checks the operations of the OpenAPI documents with valid and invalid generated requests, with Schemathesis."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case, Result, failed, passed, skipped
from mock_fal_contracts.server.http_client import evidence
from mock_fal_contracts.server.surfaces import (
    STREAM_LIMITS,
    CheckFailure,
    Surface,
    is_accepted,
    operations,
)
from mock_fal_contracts.target import Target

# HTTP forbids these characters (RFC 9110, 5.5), so they never reach a server.
_NOT_IN_HEADERS = "".join(map(chr, [*range(32), 127]))

# A server may reject a longer URL (RFC 9112, 3). One results when a data URI of a response is tried as a query.
_MAX_URL_LENGTH = 8000

# How many different failures of one operation are reported, and how many lines of each.
_MAX_FAILURES = 5
_MAX_LINES = 10

_MAX_RESPONSE_LENGTH = 2000


def case_of(surface: str, operation: str) -> Case:
    """The case of an operation."""
    return Case(
        f"spec.{surface}.{operation}",
        f"{operation} conforms to {surface}.yaml",
        "Status, content type, headers and body of every response match the specification; valid requests are "
        "accepted, invalid ones rejected.",
        f"openapi/{surface}.yaml, which names the source of each response",
    )


@dataclass
class _OperationFindings:
    """The requests and failures of one operation. A failure is a message and its exchange, by a title."""

    requests: int = 0
    duration_s: float = 0.0
    failures: dict[str, tuple[str, Exchange | None]] = field(default_factory=dict)


def check_surface(
    surface: Surface, target: Target, *, seed: int, examples: int, only: list[str]
) -> list[Result]:
    """One result for each operation."""
    names = operations(surface)
    selected = [
        name
        for name in names.values()
        if not only or any(fnmatchcase(case_of(surface.name, name).id, glob) for glob in only)
    ]
    if not selected:
        return []
    findings = {name: _OperationFindings() for name in selected}
    schema = _schema(surface, target, seed, examples, selected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for event in _events(schema):
            _record(event, surface, names, findings)
    return [_result(surface, name, findings[name], target) for name in findings]


def _schema(surface: Surface, target: Target, seed: int, examples: int, selected: list[str]) -> Any:
    import schemathesis
    from schemathesis.config import SchemathesisConfig

    _limit_streams()
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "base-url": target.url(surface.host, surface.prefix),
            "headers": {"Authorization": f"Key {target.key}"},
            "generation": {
                "max-examples": examples,
                "database": "none",
                "exclude-header-characters": _NOT_IN_HEADERS,
            },
            "continue-on-failure": True,
            # Only the links that the documents declare are followed; inferred ones are not part of the specification.
            "phases": {"stateful": {"max-steps": 6, "inference": {"algorithms": []}}},
            "cache": {"enabled": False},
            # Validation needs the complete responses. Exchange.evidence masks secrets.
            "output": {"sanitization": {"enabled": False}},
        }
    )
    schema: Any = schemathesis.openapi.from_dict(surface.document, config=config)
    return schema.include(operation_id=sorted(set(selected)))


@cache
def _limit_streams() -> None:
    """Make Schemathesis limit each stream that would not end to its first event; it has such hooks per process."""
    import schemathesis

    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        name = STREAM_LIMITS.get(case.operation.definition.raw.get("operationId", ""))
        if name is None:
            return
        limit = str(case.query.get(name, "2"))
        if limit.isascii() and limit.isdecimal() and int(limit) > 1:  # an invalid limit is sent
            case.query[name] = 1

    schemathesis.hook(before_call)


def _events(schema: Any) -> Iterator[Any]:
    from schemathesis.engine import from_schema

    yield from from_schema(schema).execute()


def _record(
    event: Any, surface: Surface, names: dict[str, str], findings: dict[str, _OperationFindings]
) -> None:
    """Add what an event of Schemathesis reports to the findings of its operation."""
    kind = type(event).__name__
    if kind == "FatalError":
        raise event.exception
    if kind == "Interrupted":
        raise KeyboardInterrupt  # Schemathesis treats Ctrl+C as the end of the phase
    if kind == "NonFatalError":
        operation = findings.get(names.get(event.label, ""))
        if operation is not None:
            operation.failures.setdefault("error", (f"{event.info.title}: {event.info.message}", None))
    if kind != "ScenarioFinished":
        return
    recorder = event.recorder
    for number, (id, interaction) in enumerate(recorder.interactions.items()):
        node = recorder.cases.get(id)
        name = names.get(node.value.operation.label, "") if node else ""
        operation = findings.get(name)
        if node is None or operation is None or len(interaction.request.uri) > _MAX_URL_LENGTH:
            continue
        operation.requests += 1
        operation.duration_s += event.elapsed_time if number == 0 else 0.0
        for check in recorder.checks.get(id, []):
            info = check.failure_info
            if info is None or is_accepted(_failure(surface, name, check, node.value, interaction)):
                continue
            operation.failures.setdefault(
                f"{check.name}: {info.failure.title}",
                (info.failure.message, _exchange(interaction, surface)),
            )


def _failure(surface: Surface, name: str, check: Any, case: Any, interaction: Any) -> CheckFailure:
    from schemathesis.core.parameters import ParameterLocation

    request, response = interaction.request, interaction.response
    body = response.content if response is not None else b""
    return CheckFailure(
        surface=surface.name,
        operation=name,
        check=check.name,
        method=request.method.upper(),
        declared=case.operation.method.upper(),
        status=response.status_code if response is not None else 0,
        invalid_locations=frozenset(
            location.value
            for location in ParameterLocation
            if case.meta is not None and case.meta.is_negative_at(location)
        ),
        without_body=not request.body,
        message=str(check.failure_info.failure.message),
        response_body=body[:_MAX_RESPONSE_LENGTH].decode("utf-8", "replace"),
    )


def _exchange(interaction: Any, surface: Surface) -> Exchange:
    request, response = interaction.request, interaction.response
    parts = urlsplit(request.uri)
    path = (parts.path.partition(f"/{surface.host}/")[2] if surface.host else parts.path).lstrip("/")
    return Exchange(
        at=0.0,
        method=request.method,
        host=surface.host,
        path=f"/{path}",
        query=parts.query,
        request_headers=_header_list(request.headers),
        request_body=request.body or b"",
        status=response.status_code if response is not None else 0,
        response_headers=_header_list(response.headers if response else {}),
        response_body=(response.content if response is not None else b"") or b"",
    )


def _header_list(headers: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, values in headers.items() for value in values]


def _result(surface: Surface, name: str, findings: _OperationFindings, target: Target) -> Result:
    case = case_of(surface.name, name)
    if findings.failures:
        reported = list(findings.failures.items())[:_MAX_FAILURES]
        more = len(findings.failures) - len(reported)
        message = "\n".join(f"{title}\n  {_indented(text)}" for title, (text, _) in reported)
        exchanges = [exchange for _, (_, exchange) in reported if exchange is not None]
        return failed(
            case,
            target.name,
            message + (f"\nand {more} more" if more else ""),
            evidence(exchanges, target),
            findings.duration_s,
        )
    if not findings.requests:
        return skipped(case, target.name, "no request was sent")
    return passed(case, target.name, findings.duration_s)


def _indented(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    more = ["…"] if len(lines) > _MAX_LINES else []
    return "\n  ".join([*lines[:_MAX_LINES], *more])
