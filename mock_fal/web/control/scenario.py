"""`/_mock/scenario`: read and change the rules of `?key=ID`, or the rules for all keys."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.errors import ScenarioError
from mock_fal.scenario.directive import Directive
from mock_fal.scenario.rule_file import read_json, read_yaml
from mock_fal.scenario.rules import Scenario
from mock_fal.web.control.wire import ControlError, emulator, query, response


async def show(request: Request) -> Response:
    """The rules, each with how often it matched a call and how often it was used."""
    rules = _scenario(request).rules
    return response(
        {"rules": [{"rule": str(rule), "matched": rule.seen, "used": rule.used} for rule in rules]}
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
        _scenario(request).replace(await _read(request), keep=keep)
    except ScenarioError as error:
        raise ControlError(422, str(error)) from None
    return await show(request)


def _scenario(request: Request) -> Scenario:
    key = query(request, "key").get("key")
    return emulator(request).scenario if key is None else emulator(request).store.tenant(key).scenario


async def _read(request: Request) -> list[Directive]:
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise ScenarioError(f"not UTF-8: {error}") from None
    return (read_yaml if "yaml" in request.headers.get("content-type", "") else read_json)(text)
