"""Rules and directives, and which of them apply to a call.

A directive in brackets, `[mock: queue=2 run=5]`, works in any string of a request's input, from every client in every
language, without another call. The same options, without the brackets, work in the header `X-Mock-Fal` and in rules.
Precedence, highest first: the prompt, the header, a rule of the account, a global rule.
Within one scenario the latest matching rule applies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import reduce
from typing import Any, Final, NamedTuple

from mock_fal.errors import JSON, ScenarioError
from mock_fal.scenario.directive import (
    NO_DIRECTIVE,
    Directive,
    directive_of,
    merge_outcomes,
    parse_rule,
)
from mock_fal.scenario.options import OPTIONS, suggestion
from mock_fal.scenario.syntax import column, read_options

# More rules than a person writes; every call is matched against each of them.
MAX_RULES: Final = 1000

# How many directives in prompts and headers have their uses counted.
MAX_COUNTED: Final = 10_000

# The start of a directive in a prompt, or of a mistyped one.
DIRECTIVE_START: Final = re.compile(r"\[\s*mock(\s*:|\b)", re.IGNORECASE)


class Call(NamedTuple):
    """What rules are matched against: the operation, the endpoint, the key's name and the prompt."""

    operation: str
    endpoint: str = ""
    key: str = ""
    prompt: str = ""


@dataclass(slots=True, eq=False)
class Rule:
    """A directive, with counts of its matching calls (`seen`) and of those it applied to (`used`)."""

    directive: Directive
    seen: int = 0
    used: int = 0

    def __repr__(self) -> str:
        return f"<rule {self}, used {self.used} times>"

    def __str__(self) -> str:
        return str(self.directive)

    def matches(self, call: Call) -> bool:
        """Whether the call meets all conditions but the counts."""
        directive = self.directive
        return (
            (
                call.operation in directive.outcome_operations
                or call.operation in directive.response_operations
            )
            and (not directive.endpoint or fnmatchcase(call.endpoint, directive.endpoint))
            and (not directive.key or call.key == directive.key)
            and (not directive.prompt or re.search(directive.prompt, call.prompt) is not None)
        )

    @property
    def applies(self) -> bool:
        """Whether it applies to the next matching call, by `nth`, `after` and `times`."""
        directive, number = self.directive, self.seen + 1
        return (
            directive.nth in (None, number)
            and number > (directive.after or 0)
            and (directive.times is None or self.used < directive.times)
        )


@dataclass(slots=True)
class Choice:
    """The directives that apply to a call. `count` records their use; it isn't called for a refused call."""

    call: Call
    directives: list[Directive] = field(default_factory=list)
    matched: list[Rule] = field(default_factory=list)
    used: list[Rule] = field(default_factory=list)

    def count(self) -> None:
        """Count the call, which was accepted."""
        for rule in self.matched:
            rule.seen += 1
        for rule in self.used:
            rule.used += 1

    @property
    def outcome(self) -> Directive:
        """The options about the request's outcome, merged from all directives."""
        return reduce(merge_outcomes, self._outcome_directives, NO_DIRECTIVE)

    @property
    def response(self) -> Directive | None:
        """The directive about the response with the highest precedence."""
        return next(
            (
                directive
                for directive in reversed(self.directives)
                if self.call.operation in directive.response_operations
            ),
            None,
        )

    def __str__(self) -> str:
        """The directives about the outcome, as text."""
        return "; ".join(map(str, self._outcome_directives))

    @property
    def _outcome_directives(self) -> list[Directive]:
        return [
            directive for directive in self.directives if self.call.operation in directive.outcome_operations
        ]


class Scenario:
    """The rules of one account, or the global rules.

    `endpoints` are those that exist. `on_response_rule` is called when a rule about HTTP responses is added.
    """

    def __init__(
        self, endpoints: Collection[str] = (), on_response_rule: Callable[[], None] = lambda: None
    ) -> None:
        self._endpoints = endpoints
        self._on_response_rule = on_response_rule
        # Replaced, never changed: the server reads it in another thread.
        self._rules: list[Rule] = []
        self._counted: dict[str, Rule] = {}

    def __bool__(self) -> bool:
        """Whether there are any rules."""
        return bool(self._rules)

    @property
    def rules(self) -> list[Rule]:
        """The rules, the latest first, each with its counts."""
        return list(self._rules)

    def add(self, text: str = "", /, **options: Any) -> None:
        """Add a rule with precedence over the others: options as text, as keywords, or both.

            add("queue=600", endpoint="fal-ai/flux/*", times=2)
            add(operation="status", status=503, headers={"a": "b"})

        Raises ScenarioError for a rule that can't be parsed, or whose endpoint does not exist.
        """
        self.replace([parse_rule(text, options)], keep=True)

    def replace(self, directives: Iterable[Directive], *, keep: bool = False) -> None:
        """Replace all rules, the first one having precedence; with `keep`, add them before the existing ones."""
        added = [Rule(directive) for directive in directives]
        for rule in added:
            self.check(rule.directive)
        rules = [*added, *self._rules] if keep else added
        if len(rules) > MAX_RULES:
            raise ScenarioError(
                f"{len(rules)} rules, expected at most {MAX_RULES}; clear() removes the old ones"
            )
        self._rules = rules
        if any(rule.directive.affects_response for rule in added):
            self._on_response_rule()

    def check(self, directive: Directive) -> None:
        """Raises ScenarioError if the directive's endpoint matches none that exists."""
        pattern = directive.endpoint
        if pattern and self._endpoints and not any(fnmatchcase(name, pattern) for name in self._endpoints):
            hint = suggestion(pattern, self._endpoints)
            raise ScenarioError(f"endpoint: {pattern!r} matches no endpoint of this mock-fal{hint}")

    def clear(self) -> None:
        """Remove all rules and the counts of directives."""
        self._rules = []
        self._counted.clear()

    def choose(self, choice: Choice) -> bool:
        """Add the rule that applies to the call; returns whether there is one."""
        found = False
        for rule in self._rules:
            if rule.matches(choice.call):
                choice.matched.append(rule)
                if rule.applies and not found:
                    choice.used.append(rule)
                    choice.directives.append(rule.directive)
                    found = True
        return found

    def choose_directive(self, choice: Choice, directive: Directive) -> None:
        """Add a directive of a prompt or a header if it applies. Equal directives of one account share their counts."""
        rule = self._counted_rule(directive) if directive.is_counted else Rule(directive)
        if rule.matches(choice.call):
            choice.matched.append(rule)
            if rule.applies:
                choice.used.append(rule)
                choice.directives.append(directive)

    def _counted_rule(self, directive: Directive) -> Rule:
        text = str(directive)
        if text not in self._counted:
            while len(self._counted) >= MAX_COUNTED:
                del self._counted[next(iter(self._counted))]
            self._counted[text] = Rule(directive)
        return self._counted[text]


def choose(call: Call, own: Scenario, common: Scenario, directives: Iterable[Directive]) -> Choice:
    """The rule that applies to a call, the account's own or else a global one, and the call's own directives."""
    choice = Choice(call)
    if not own.choose(choice):
        common.choose(choice)
    for directive in directives:
        own.choose_directive(choice, directive)
    return choice


class RequestDirectives(NamedTuple):
    """The directives and rules of a submitted request.

    `directives` came with it, `prompt` serves rules about its later operations, `choice` is of its submission.
    """

    directives: tuple[Directive, ...]
    prompt: str
    choice: Choice


def directives_in(document: JSON) -> list[Directive]:
    """The directives in all strings of an input, in order. Raises ScenarioError, also for mistyped ones."""
    return [directive for text in _strings(document) for directive in _directives(text)]


def prompt_of(document: JSON) -> str:
    """The prompt of an input, or an empty string."""
    prompt = document.get("prompt") if isinstance(document, dict) else None
    return prompt if isinstance(prompt, str) else ""


def _directives(text: str) -> Iterator[Directive]:
    at = 0
    while match := DIRECTIVE_START.search(text, at):
        at = match.end()
        if match[1]:
            options, at = read_options(text, at, opened=match.start())
            yield directive_of(options)
        elif _starts_with_option(text[at:]):
            raise ScenarioError(
                f"{column(match.start())}: {text[match.start() : at + 20]!r} is not a directive; "
                "expected a colon, as in [mock: nsfw]"
            )


def _starts_with_option(text: str) -> bool:
    """Whether the text looks like options of a directive rather than prose."""
    match = re.match(r"\s+([A-Za-z_]+)([=\]]|$|\s)", text)
    return match is not None and (match[1].lower() in OPTIONS or match[2] == "=")


def _strings(document: JSON) -> Iterator[str]:
    """Every string in a document, in order."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))
