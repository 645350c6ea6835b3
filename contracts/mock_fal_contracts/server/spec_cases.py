"""Holds a server against its OpenAPI documents: every operation, with right and wrong data, and along the links."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case, Result, failed, passed, skipped
from mock_fal_contracts.server.http_client import shown
from mock_fal_contracts.server.surfaces import Failing, Surface, is_right, operations
from mock_fal_contracts.target import Target

# HTTP itself forbids these (RFC 9110, 5.5), so that no server would come to see them.
_NOT_IN_HEADERS = "".join(map(chr, [*range(32), 127]))

# Any server may refuse a longer address (RFC 9112, 3). One comes when a data URI of an answer is tried as a query.
_MAX_ADDRESS = 8000

# How many different complaints about one operation are told.
_TOLD = 5


def case_of(surface: str, operation: str) -> Case:
    """The case of an operation."""
    return Case(
        f"spec.{surface}.{operation}",
        f"{operation} answers as {surface}.yaml says",
        "Status, content type, headers and body of every answer are those of the specification; right data is taken, "
        "wrong data is refused.",
        f"openapi/{surface}.yaml, which names the source of each answer",
    )


@dataclass
class _Found:
    """What was found about one operation."""

    asked: int = 0
    seconds: float = 0.0
    complaints: dict[str, tuple[str, Exchange | None]] = field(default_factory=dict)


def check_surface(
    surface: Surface, target: Target, *, seed: int, examples: int, only: list[str]
) -> list[Result]:
    """One result for each operation."""
    names = operations(surface)
    wanted = {
        label: name
        for label, name in names.items()
        if not only or any(fnmatchcase(case_of(surface.name, name).id, glob) for glob in only)
    }
    if not wanted:
        return []
    found = {name: _Found() for name in wanted.values()}
    schema = _schema(surface, target, seed, examples, wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for event in _events(schema):
            _take(event, surface, names, found)
    return [_result(surface, name, its, target) for name, its in found.items()]


def _schema(surface: Surface, target: Target, seed: int, examples: int, wanted: dict[str, str]) -> Any:
    import schemathesis
    from schemathesis.config import SchemathesisConfig

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
            # The links are those of the documents: guessed ones would ask for what nobody promised.
            "phases": {"stateful": {"max-steps": 6, "inference": {"algorithms": []}}},
            "cache": {"enabled": False},
            # Only whole answers can be held against a schema, and secrets are masked where they are shown.
            "output": {"sanitization": {"enabled": False}},
        }
    )
    schema: Any = schemathesis.openapi.from_dict(surface.document, config=config)
    return schema.include(operation_id=sorted(set(wanted.values())))


def _events(schema: Any) -> Iterator[Any]:
    from schemathesis.engine import from_schema

    yield from from_schema(schema).execute()


def _take(event: Any, surface: Surface, names: dict[str, str], found: dict[str, _Found]) -> None:
    kind = type(event).__name__
    if kind == "FatalError":
        raise event.exception
    if kind == "Interrupted":
        raise KeyboardInterrupt  # Schemathesis takes Ctrl+C for the end of the phase
    if kind == "NonFatalError":
        its = found.get(names.get(event.label, ""))
        if its is not None:
            its.complaints.setdefault("error", (f"{event.info.title}: {event.info.message}", None))
    if kind != "ScenarioFinished":
        return
    recorder = event.recorder
    for number, (id, interaction) in enumerate(recorder.interactions.items()):
        node = recorder.cases.get(id)
        its = found.get(names.get(node.value.operation.label, "")) if node else None
        if node is None or its is None or len(interaction.request.uri) > _MAX_ADDRESS:
            continue
        its.asked += 1
        its.seconds += event.elapsed_time if number == 0 else 0.0
        for check in recorder.checks.get(id, []):
            info = check.failure_info
            name = names[node.value.operation.label]
            if info is None:
                continue
            if not is_right(_failing(surface, name, check, node.value, interaction)):
                its.complaints.setdefault(
                    f"{check.name}: {info.failure.title}",
                    (info.failure.message, _exchange(interaction, surface)),
                )


def _failing(surface: Surface, name: str, check: Any, case: Any, interaction: Any) -> Failing:
    from schemathesis.core.parameters import ParameterLocation

    request, response = interaction.request, interaction.response
    return Failing(
        surface=surface.name,
        operation=name,
        check=check.name,
        method=request.method.upper(),
        declared=case.operation.method.upper(),
        status=response.status_code if response is not None else 0,
        wrong=frozenset(
            place.value
            for place in ParameterLocation
            if case.meta is not None and case.meta.is_negative_at(place)
        ),
        without_body=not request.body,
        message=str(check.failure_info.failure.message),
        answer=(response.content if response is not None else b"")[:2000].decode("utf-8", "replace"),
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
        request_headers=[(name, value) for name, values in request.headers.items() for value in values],
        request_body=request.body or b"",
        status=response.status_code if response is not None else 0,
        response_headers=[
            (name, value)
            for name, values in (response.headers if response else {}).items()
            for value in values
        ],
        response_body=(response.content if response is not None else b"") or b"",
    )


def _result(surface: Surface, name: str, its: _Found, target: Target) -> Result:
    case = case_of(surface.name, name)
    if its.complaints:
        told = list(its.complaints.items())[:_TOLD]
        more = len(its.complaints) - len(told)
        message = "\n".join(f"{title}\n  {_indented(text)}" for title, (text, _) in told)
        evidence = [exchange for _, (_, exchange) in told if exchange is not None]
        return failed(
            case,
            target.name,
            message + (f"\nand {more} more" if more else ""),
            shown(evidence, target),
            its.seconds,
        )
    if not its.asked:
        return skipped(case, target.name, "no question was asked")
    return passed(case, target.name, its.seconds)


def _indented(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n  ".join([*lines[:10], *(["…"] if len(lines) > 10 else [])])
