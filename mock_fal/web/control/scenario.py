"""`/_mock/scenario`: read and change the rules of `?key=ID`, or the rules for all keys."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.errors import ScenarioError
from mock_fal.scenario.rule_file import MAX_FILE, json_rules, yaml_rules
from mock_fal.scenario.rules import Rule, Scenario
from mock_fal.web.control.wire import ControlError, emulator, query, response


async def show(request: Request) -> Response:
    """The rules, each with how often it matched a call and how often it was used."""
    rules = _scenario(request).rules
    hide = emulator(request).keys.secrets.text
    return response(
        {"rules": [{"rule": hide(str(rule)), "matched": rule.seen, "used": rule.used} for rule in rules]}
    )


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
        scenario = _scenario(request)
        scenario.install(await _read(request, scenario), keep=keep)
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
        await asyncio.to_thread(_import_yaml)
        directives = yaml_rules(text)
    rules: list[Rule] = []
    for directive in directives:
        rules.append(scenario.rule(directive))
        if len(rules) % _SLICE == 0:
            await asyncio.sleep(0)
    return rules


# Rules that are read at once, in about two milliseconds; then requests of other clients are answered.
_SLICE: Final = 10


def _import_yaml() -> None:
    """Import PyYAML for the first time, which takes a tenth of a second."""
    with suppress(ImportError):
        import_module("yaml")
