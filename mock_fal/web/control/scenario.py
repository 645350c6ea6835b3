"""`/_mock/scenario`: read and change the rules of `?key=ID`, or the rules for all keys."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, ScenarioError
from mock_fal.scenario.options import NAMED_OPTIONS, OPERATIONS, OPTIONS
from mock_fal.scenario.rule_file import MAX_FILE, json_rules, yaml_rules
from mock_fal.scenario.rules import Rule, Scenario
from mock_fal.web.control.wire import ControlError, emulator, listed, query, renderer, response, slices


async def show(request: Request) -> Response:
    """The rules, each with how often it matched a call and how often it was used."""
    params = query(request, "key", "all")
    if params.get("all", "0") not in ("0", "1"):
        raise ControlError(422, f"all is {params['all']!r:.100}, expected 0 or 1")
    key = params.get("key")
    rules = [(key, rule) for rule in _scenario(request).rules]
    if params.get("all") == "1":
        rules = [item async for item in slices(_all(emulator(request)), _SLICE)]
    return listed(request, {"rules": []}, rules, _shape)


def _all(mock: Emulator) -> Iterator[tuple[str | None, Rule]]:
    """The rules for all keys, and those of each."""
    yield from ((None, rule) for rule in mock.scenario.rules)
    for tenant in mock.store.tenants:
        if tenant.has_rules:
            yield from ((tenant.name, rule) for rule in tenant.scenario.rules)


def _shape(item: tuple[str | None, Rule]) -> dict[str, JSON]:
    # A value may have megabytes: the long ones are cut.
    key, rule = item
    return {
        "id": rule.number,
        "key": key,
        "rule": rule.directive.shown,
        "matched": rule.seen,
        "used": rule.used,
    }


async def replace(request: Request) -> Response:
    """Replace all rules with those in the body: a list, or one rule."""
    return await _change(request, keep=False)


async def add(request: Request) -> Response:
    """Add the rules in the body before the existing ones."""
    return await _change(request, keep=True)


async def clear(request: Request) -> Response:
    """Remove all rules."""
    query(request, "key")
    _scenario(request).clear()
    return Response(status_code=204)


async def remove(request: Request) -> Response:
    """Remove one rule; the others keep their counts."""
    mock, number = emulator(request), request.path_params["id"]
    for key, rule in _all(mock):
        if rule.number == number:
            scenario = mock.scenario if key is None else mock.store.tenant(key).scenario
            rest = [other for other in scenario.rules if other is not rule]
            if key is None:
                scenario.install(rest, keep=False)
            else:
                mock.store.install_rules(key, rest, keep=False)
            return Response(status_code=204)
    raise ControlError(404, f"no rule {number}")


async def explain(request: Request) -> Response:
    """What rules do, without adding them."""
    from mock_fal.scenario.explain import explain

    try:
        rules = await _read(request, emulator(request).scenario)
    except ScenarioError as error:
        raise ControlError(422, str(error), column=column_of(str(error))) from None
    shown = [
        {
            "rule": rule.directive.shown,
            "options": [{"name": name, "text": text} for name, text in rule.directive.words],
            "sentences": explain(rule.directive),
            "applies_to": [name for name in OPERATIONS if name in rule.operations],
        }
        for rule in rules
    ]
    return listed(request, {"rules": []}, shown, lambda rule: rule)


async def options(request: Request) -> Response:
    """The options that rules have, and fal's errors."""
    query(request)
    errors = [(name, kind.status, "model") for name, kind in MODEL_ERRORS.items()]
    errors += [(name, kind.status, "request") for name, kind in REQUEST_ERRORS.items()]
    return response(
        {
            "options": [
                {
                    "name": name,
                    "group": option.group.value,
                    "value": option.value_format or None,
                    "named": name in NAMED_OPTIONS,
                    "sentence": option.sentence,
                    "operations": [item for item in OPERATIONS if item in option.operations],
                }
                for name, option in OPTIONS.items()
            ],
            "operations": list(OPERATIONS),
            "errors": [{"type": name, "status": status, "kind": kind} for name, status, kind in errors],
        }
    )


def column_of(message: str) -> int | None:
    """The column in the text of a rule that a message names; None without one."""
    match = _COLUMN.search(message)
    return int(match[1]) if match else None


_COLUMN: Final = re.compile(r"\btext column (\d{1,9}):")


async def _change(request: Request, *, keep: bool) -> Response:
    try:
        rules = await _read(request, _scenario(request))
        key = query(request, "key").get("key")
        if key is None:
            emulator(request).scenario.install(rules, keep=keep)
        else:
            emulator(request).store.install_rules(key, rules, keep=keep)
    except ScenarioError as error:
        raise ControlError(422, str(error), column=column_of(str(error))) from None
    return await show(request)


def _scenario(request: Request) -> Scenario:
    key = request.query_params.get("key")
    return emulator(request).scenario if key is None else emulator(request).store.tenant(key).scenario


async def _read(request: Request, scenario: Scenario) -> list[Rule]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FILE:
            raise ScenarioError(f"the body has more than {MAX_FILE} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ScenarioError(f"not UTF-8: {error}") from None
    directives = json_rules(text)
    if "yaml" in request.headers.get("content-type", ""):
        await renderer(request).in_thread(_import_yaml)
        directives = yaml_rules(text)
    if len(text) > _LONG:
        return await renderer(request).in_thread(
            lambda: [scenario.rule(directive) for directive in directives]
        )
    rules: list[Rule] = []
    for directive in directives:
        rules.append(scenario.rule(directive))
        if len(rules) % _SLICE == 0:
            await asyncio.sleep(0)
    return rules


# Rules that are read at once, in about two milliseconds; then requests of other clients are answered.
_SLICE: Final = 10

# Characters of rules from which on they are read in a thread: a single rule may be long.
_LONG: Final = 65_536


def _import_yaml() -> None:
    """Import PyYAML for the first time, which takes a tenth of a second."""
    with suppress(ImportError):
        import_module("yaml")
