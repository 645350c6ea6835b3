"""What a test asks for: rules, directives in prompts and headers, and which of them hold for a call.

A directive in brackets, `[mock: queue=2 run=5]`, works in any string of a request's input, from every client in every
language, without another call. The same words, without the brackets, stand in the header `X-Mock-Fal` and in rules.
The prompt says more than the header, that more than a rule of the account, that more than a rule for everybody.
Of the rules of one scenario, the latest that holds acts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import reduce
from typing import Any, Final, NamedTuple

from mock_fal.errors import JSON, ScenarioError
from mock_fal.scenario.directive import NOTHING, Directive, directive_of, over, parse_rule
from mock_fal.scenario.options import OPTIONS, close_to
from mock_fal.scenario.syntax import column, read_options

# More rules than a person writes; each is looked at for each call.
MAX_RULES: Final = 1000

# Of so many directives in prompts it is remembered how often they were used.
MAX_COUNTED: Final = 10_000

# What looks like the beginning of a directive.
MARK: Final = re.compile(r"\[\s*mock(\s*:|\b)", re.IGNORECASE)


class Call(NamedTuple):
    """What a caller does: the step, of which request, with whose key."""

    operation: str
    endpoint: str = ""
    key: str = ""
    prompt: str = ""


@dataclass(slots=True, eq=False)
class Rule:
    """A directive, and how often it was asked for and used."""

    directive: Directive
    seen: int = 0
    used: int = 0

    def __repr__(self) -> str:
        return f"<rule {self}, used {self.used} times>"

    def __str__(self) -> str:
        return str(self.directive)

    def matches(self, call: Call) -> bool:
        """Whether the call is one that the directive is about."""
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
    def holds(self) -> bool:
        """Whether it acts on the next call that it is about."""
        directive, number = self.directive, self.seen + 1
        return (
            directive.nth in (None, number)
            and number > (directive.after or 0)
            and (directive.times is None or self.used < directive.times)
        )


@dataclass(slots=True)
class Choice:
    """The directives that hold for a call. They count as used with `count`, so that a call that is refused uses none."""

    call: Call
    directives: list[Directive] = field(default_factory=list)
    matched: list[Rule] = field(default_factory=list)
    used: list[Rule] = field(default_factory=list)

    def count(self) -> None:
        """The call was taken."""
        for rule in self.matched:
            rule.seen += 1
        for rule in self.used:
            rule.used += 1

    @property
    def outcome(self) -> Directive:
        """What is asked for the outcome of the request, all together."""
        return reduce(
            over,
            (
                directive
                for directive in self.directives
                if self.call.operation in directive.outcome_operations
            ),
            NOTHING,
        )

    @property
    def response(self) -> Directive | None:
        """What is asked for the answer: of several directives, what says most counts."""
        return next(
            (
                directive
                for directive in reversed(self.directives)
                if self.call.operation in directive.response_operations
            ),
            None,
        )

    def __str__(self) -> str:
        """The directives that are about the outcome, in words."""
        return "; ".join(
            str(directive)
            for directive in self.directives
            if self.call.operation in directive.outcome_operations
        )


class Scenario:
    """The rules of one account, or those for everybody.

    `endpoints` are those that there are. `alarm` is called when a rule comes that is about answers on the wire.
    """

    def __init__(self, endpoints: Collection[str] = (), alarm: Callable[[], None] = lambda: None) -> None:
        self._endpoints = endpoints
        self._alarm = alarm
        # Replaced, never changed: the server reads it in another thread.
        self._rules: list[Rule] = []
        self._counted: dict[str, Rule] = {}

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self._rules)

    @property
    def rules(self) -> list[Rule]:
        """The rules, the latest first, each with how often it was used."""
        return list(self._rules)

    def add(self, text: str = "", /, **words: Any) -> None:
        """Add a rule in front of the others: words in a text, as keywords, or both.

        `add("queue=600", endpoint="fal-ai/flux/*", times=2)`, `add(operation="status", status=503, headers={"a": "b"})`.
        Raises ScenarioError for a rule that can't be read, or whose endpoint does not exist.
        """
        self.replace([parse_rule(text, words)], keep=True)

    def replace(self, directives: Iterable[Directive], *, keep: bool = False) -> None:
        """Let these rules hold, the first of them first, and with `keep` those that were there behind them."""
        fresh = [Rule(directive) for directive in directives]
        for rule in fresh:
            self.check(rule.directive)
        rules = [*fresh, *self._rules] if keep else fresh
        if len(rules) > MAX_RULES:
            raise ScenarioError(
                f"{len(rules)} rules, expected at most {MAX_RULES}; clear() forgets the old ones"
            )
        self._rules = rules
        if any(rule.directive.has_response for rule in fresh):
            self._alarm()

    def check(self, directive: Directive) -> None:
        """Raises ScenarioError for a rule that is about no endpoint that there is."""
        pattern = directive.endpoint
        if pattern and self._endpoints and not any(fnmatchcase(each, pattern) for each in self._endpoints):
            hint = close_to(pattern, self._endpoints)
            raise ScenarioError(f"endpoint: {pattern!r} is like no endpoint of this mock-fal{hint}")

    def clear(self) -> None:
        """Forget all rules, and how often directives were used."""
        self._rules = []
        self._counted.clear()

    def choose(self, choice: Choice) -> bool:
        """Add the rule that holds for a call, and whether there is one."""
        found = False
        for rule in self._rules:
            if rule.matches(choice.call):
                choice.matched.append(rule)
                if rule.holds and not found:
                    choice.used.append(rule)
                    choice.directives.append(rule.directive)
                    found = True
        return found

    def choose_directive(self, choice: Choice, directive: Directive) -> None:
        """Add a directive of a prompt or a header, if it holds. It is counted by its words, for this account."""
        rule = self._counted_rule(directive) if directive.counts else Rule(directive)
        if rule.matches(choice.call):
            choice.matched.append(rule)
            if rule.holds:
                choice.used.append(rule)
                choice.directives.append(directive)

    def _counted_rule(self, directive: Directive) -> Rule:
        words = str(directive)
        if words not in self._counted:
            while len(self._counted) >= MAX_COUNTED:
                del self._counted[next(iter(self._counted))]
            self._counted[words] = Rule(directive)
        return self._counted[words]


def choose(call: Call, own: Scenario, common: Scenario, directives: Iterable[Directive]) -> Choice:
    """What holds for a call: a rule of the account or one for everybody, and the directives that came with it."""
    choice = Choice(call)
    if not own.choose(choice):
        common.choose(choice)
    for directive in directives:
        own.choose_directive(choice, directive)
    return choice


class RequestDirectives(NamedTuple):
    """What is remembered with a request that a directive or a rule was there for.

    `directives` came with it; `prompt` is for rules about its later steps; `choice` is what held when it was taken.
    """

    directives: tuple[Directive, ...]
    prompt: str
    choice: Choice


def directives_in(document: JSON) -> list[Directive]:
    """The directives in all strings of an input, the first one first. Raises ScenarioError, also for near misses."""
    return [directive for text in _strings(document) for directive in _directives(text)]


def prompt_of(document: JSON) -> str:
    """The prompt of an input, or nothing."""
    prompt = document.get("prompt") if isinstance(document, dict) else None
    return prompt if isinstance(prompt, str) else ""


def _directives(text: str) -> Iterator[Directive]:
    at = 0
    while match := MARK.search(text, at):
        at = match.end()
        if match[1]:
            words, at = read_options(text, at, opened=match.start())
            yield directive_of(words)
        elif _is_word(text[at:]):
            raise ScenarioError(
                f"{column(match.start())}: {text[match.start() : at + 20]!r} is no directive; "
                "expected a colon, as in [mock: nsfw]"
            )


def _is_word(text: str) -> bool:
    """Whether what follows looks like the words of a directive, and not like those of a prompt."""
    match = re.match(r"\s+([A-Za-z_]+)([=\]]|$|\s)", text)
    return match is not None and (match[1].lower() in OPTIONS or match[2] == "=")


def _strings(document: JSON) -> Iterator[str]:
    """Every string in a document, in its order."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))
