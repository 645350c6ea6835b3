"""The rules of a server in another process."""

from __future__ import annotations

import json
from typing import Any, Final

from mock_fal.errors import JSON, ScenarioError
from mock_fal.remote.control import Control, Refused
from mock_fal.scenario.directive import Directive, parse_directive
from mock_fal.scenario.options import NAMED_OPTIONS, OPTIONS
from mock_fal.scenario.rules import Rule, Scenario

_NO_CALLABLE: Final = (
    "a callable can't run in the server of another process; expected JSON, or a server of the tests' own: "
    "a fixture mock_fal_server that yields MockFal(clock='auto-advance')"
)


class RemoteScenario(Scenario):
    """The rules of one account, or the common ones. They are kept and checked by the server."""

    def __init__(self, control: Control, key: str | None) -> None:
        super().__init__()
        self._control = control
        self._key = key

    def __bool__(self) -> bool:
        return bool(self.rules)

    @property
    def rules(self) -> list[Rule]:
        """The rules, the latest first, each with its counts. Values of more than 32,768 characters are cut."""
        shown = self._control.get("scenario", key=self._key)["rules"]
        return [Rule(parse_directive(rule["rule"]), rule["matched"], rule["used"]) for rule in shown]

    def check(self, directive: Directive) -> None:
        """Raises ScenarioError for a callable. The server checks the rest, since it knows the endpoints."""
        if directive.output is not None and directive.output.function is not None:
            raise ScenarioError(f"output: {_NO_CALLABLE}")

    def install(self, added: list[Rule], *, keep: bool) -> None:
        """Replace all rules, or with `keep` add some in front. Raises ScenarioError with the server's message."""
        body = [members(rule.directive) for rule in added]
        try:
            self._control.send("POST" if keep else "PUT", "scenario", body, key=self._key)
        except Refused as refusal:
            raise ScenarioError(str(refusal)) from None

    def clear(self) -> None:
        """Remove all rules."""
        self._control.send("DELETE", "scenario", key=self._key)


def members(directive: Directive) -> dict[str, Any]:
    """A directive as a JSON object of a rule.

    >>> members(parse_directive("times=2 status=503 header.retry-after=5"))
    {'times': 2, 'status': 503, 'header.retry-after': '5'}
    """
    return {key: value for name in directive.option_names for key, value in _members(directive, name)}


def _members(directive: Directive, name: str) -> list[tuple[str, JSON]]:
    value = getattr(directive, name)
    if name in NAMED_OPTIONS:
        return [(f"{name}.{inner}", part) for inner, part in value]
    if name == "output":
        return [(name, json.loads(value.text))]
    if OPTIONS[name].is_flag:
        return [(name, True)]
    return [(name, list(value) if isinstance(value, tuple) else value)]
