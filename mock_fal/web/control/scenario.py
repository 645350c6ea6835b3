"""`/_mock/scenario`: read and change the rules of `?key=ID`, or the rules for all keys."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.errors import JSON, ScenarioError
from mock_fal.scenario.rule_file import MAX_FILE, json_rules, yaml_rules
from mock_fal.scenario.rules import Rule, Scenario
from mock_fal.web.control.wire import ControlError, emulator, listed, query, renderer


async def show(request: Request) -> Response:
    """The rules, each with how often it matched a call and how often it was used."""
    return listed(request, {"rules": []}, _scenario(request).rules, _shape)


def _shape(rule: Rule) -> dict[str, JSON]:
    # A value may have megabytes: the long ones are cut.
    return {"rule": rule.directive.shown, "matched": rule.seen, "used": rule.used}


async def replace(request: Request) -> Response:
    """Replace all rules with those in the body: a list, or one rule."""
    return await _change(request, keep=False)


async def add(request: Request) -> Response:
    """Add the rules in the body before the existing ones."""
    return await _change(request, keep=True)


async def clear(request: Request) -> Response:
    """Remove all rules."""
    _scenario(request).clear()
    return Response(status_code=204)


async def _change(request: Request, *, keep: bool) -> Response:
    try:
        rules = await _read(request, _scenario(request))
        key = query(request, "key").get("key")
        if key is None:
            emulator(request).scenario.install(rules, keep=keep)
        else:
            emulator(request).store.install_rules(key, rules, keep=keep)
    except ScenarioError as error:
        raise ControlError(422, str(error)) from None
    return await show(request)


def _scenario(request: Request) -> Scenario:
    key = query(request, "key").get("key")
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
