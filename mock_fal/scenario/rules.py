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
from functools import reduce
from itertools import count
from typing import Any, Final, NamedTuple

from mock_fal.endpoint import NAMESPACES
from mock_fal.errors import JSON, ScenarioError
from mock_fal.scenario.directive import (
    NO_DIRECTIVE,
    Directive,
    directive_of,
    merge_outcomes,
    parse_rule,
)
from mock_fal.scenario.options import OPTIONS, suggestion
from mock_fal.scenario.patterns import (
    MAX_PROGRAM,
    matches_expression,
    matches_glob,
    program_size,
    searched_part,
)
from mock_fal.scenario.syntax import (
    MAX_OPTIONS,
    MAX_RULE_TEXT,
    MAX_TEXT,
    column,
    cut,
    read_options,
    shown,
)

# More rules than a person writes; every call is matched against each of them.
MAX_RULES: Final = 1000

# Characters of all rules of an account, or of the global ones: four of the longest.
MAX_RULES_TEXT: Final = 4 * MAX_RULE_TEXT

# Instructions of the regular expressions of all rules; one for a phrase has 20. See MAX_PROGRAM.
MAX_RULES_PROGRAM: Final = 10_000

# How many directives in prompts and headers have their uses counted, and how many characters they have.
MAX_COUNTED: Final = 10_000
MAX_COUNTED_TEXT: Final = 1_000_000

# The bytes of a rule in memory without its text: a directive has 33 fields.
RULE_BYTES: Final = 900

# How an endpoint that is not known comes to exist.
_WAYS_ON: Final = "; an app of your own exists with an output (respond, output=), --models or --guess-models"

# Texts in one input that begin like a directive, mistyped ones and prose included.
MAX_DIRECTIVES: Final = 32

# Where directives are looked for: the first values of an input, and the first characters of the texts in it that have
# a bracket; 20 ms at most. Encoded files have no bracket.
MAX_VALUES: Final = 20_000
MAX_SEARCHED_TEXT: Final = 500_000

# The start of a directive in a prompt, or of a mistyped one.
DIRECTIVE_START: Final = re.compile(r"\[\s*mock(\s*:|\b)", re.IGNORECASE)

# What makes a text after `[mock` look like options rather than prose; names of options are shorter than the limit.
_OPTION_START: Final = re.compile(r"\s{1,20}([A-Za-z_]{1,20})([=\]]|$|\s)")


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
    # Unique in this process.
    number: int = field(default_factory=count(1).__next__, init=False)
    # Derived from the directive when they are first read, at the latest by `prepare`.
    _text: str | None = field(default=None, init=False)
    _operations: frozenset[str] | None = field(default=None, init=False)

    def __repr__(self) -> str:
        return f"<rule {self}, used {self.used} times>"

    def __str__(self) -> str:
        if self._text is None:
            self._text = str(self.directive)
        return self._text

    def prepare(self) -> None:
        """Derive what each call needs: text, operations and the compiled expression."""
        _ = str(self), self.operations, program_size(self.directive.prompt)

    @property
    def operations(self) -> frozenset[str]:
        """The operations to which any of its options apply."""
        if self._operations is None:
            self._operations = self.directive.outcome_operations | self.directive.response_operations
        return self._operations

    def matches(self, call: Call) -> bool:
        """Whether the call meets all conditions but the counts."""
        directive = self.directive
        return (
            call.operation in self.operations
            and (not directive.endpoint or matches_glob(directive.endpoint, call.endpoint))
            and (not directive.key or call.key == directive.key)
            and (not directive.prompt or matches_expression(directive.prompt, call.prompt))
        )

    def applies(self, before: Choice | None = None) -> bool:
        """Whether it applies to the next matching call, by `nth`, `after` and `times`.

        `before` is the choice of the call before, if that is not counted yet.
        """
        directive, number, used = self.directive, self.seen + 1, self.used
        while before is not None:
            number += self in before.matched
            used += self in before.used
            before = before.before
        return (
            directive.nth in (None, number)
            and number > (directive.after or 0)
            and (directive.times is None or used < directive.times)
        )


@dataclass(slots=True)
class Choice:
    """The directives that apply to a call. `count` records their use; it isn't called for a refused call.

    `before` is the choice of the attempt before this one, at the same request.
    """

    call: Call
    directives: list[Directive] = field(default_factory=list)
    matched: list[Rule] = field(default_factory=list)
    used: list[Rule] = field(default_factory=list)
    before: Choice | None = None

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
        """The directives about the outcome, as text for a person."""
        return "; ".join(directive.shown for directive in self._outcome_directives)

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
        self._rules_text = 0
        self._outputs_bytes = 0
        self._counted: dict[str, Rule] = {}
        self._counted_text = 0

    def __bool__(self) -> bool:
        """Whether there are any rules."""
        return bool(self._rules)

    @property
    def kept_bytes(self) -> int:
        """The bytes of the rules and of the counted directives in memory."""
        # The text is there twice: in the options, and as the key of a counted directive.
        return (
            2 * (self._rules_text + self._counted_text)
            + self._outputs_bytes
            + RULE_BYTES * (len(self._rules) + len(self._counted))
        )

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

    def respond(
        self, endpoint: str, output: Any, *, times: int | None = None, billed: float | None = None
    ) -> None:
        """Give an output of your own for an endpoint, or for those that match a pattern such as `me/*`.

        `output` is JSON that may hold `File` objects, or a callable that gets the input and returns such JSON. It may
        be given for endpoints that fal doesn't have. `times` limits it to the next calls; `billed` sets their billable
        units. Later outputs take precedence. Raises ScenarioError for an output that is not JSON or too large.

            respond("fal-ai/whisper", {"text": "hello"})
            respond("me/my-app", lambda input: {"echo": input})
        """
        options = {"times": times, "billed": billed}
        self.add(endpoint=endpoint, output=output, **options)

    def replace(self, directives: Iterable[Directive], *, keep: bool = False) -> None:
        """Replace all rules, the first one having precedence; with `keep`, add them before the existing ones."""
        rules: list[Rule] = []
        for directive in directives:
            if len(rules) == MAX_RULES:
                raise _too_many_rules()
            rules.append(self.rule(directive))
        self.install(rules, keep=keep)

    def rule(self, directive: Directive) -> Rule:
        """A rule to `install`. Raises ScenarioError if its endpoint does not exist."""
        self.check(directive)
        rule = Rule(directive)
        rule.prepare()
        return rule

    def install(self, added: list[Rule], *, keep: bool) -> None:
        """Replace all rules by those of `rule`, or with `keep` add them in front. Raises ScenarioError for too many."""
        rules = [*added, *self._rules] if keep else added
        if len(rules) > MAX_RULES:
            raise _too_many_rules()
        text = sum(len(str(rule)) for rule in rules)
        if text > MAX_RULES_TEXT:
            raise ScenarioError(f"the rules have {text} characters, expected at most {MAX_RULES_TEXT}")
        size = sum(program_size(rule.directive.prompt) for rule in rules)
        if size > MAX_RULES_PROGRAM:
            raise ScenarioError(
                f"the regular expressions of the rules have {size} instructions, "
                f"expected at most {MAX_RULES_PROGRAM}"
            )
        self._rules_text = text
        self._outputs_bytes = outputs_bytes(rules)
        self._rules = rules
        if any(rule.directive.affects_response for rule in added):
            self._on_response_rule()

    def check(self, directive: Directive) -> None:
        """Raises ScenarioError if the directive's endpoint matches none that exists."""
        pattern = directive.endpoint
        if directive.output is not None or self.is_about_stub(pattern):
            return  # an output makes an endpoint exist
        if pattern.partition("/")[0] in NAMESPACES:
            return  # every workflow exists
        if pattern and self._endpoints and not any(matches_glob(pattern, name) for name in self._endpoints):
            hint = suggestion(pattern, self._endpoints) or _WAYS_ON
            raise ScenarioError(f"endpoint: {shown(pattern)} matches no endpoint of this mock-fal{hint}")

    def has_output(self, endpoint: str) -> bool:
        """Whether a rule gives an output for an endpoint, whatever its other conditions are."""
        return any(
            rule.directive.output is not None
            and (not rule.directive.endpoint or matches_glob(rule.directive.endpoint, endpoint))
            for rule in self._rules
        )

    def is_about_stub(self, pattern: str) -> bool:
        """Whether a pattern of endpoints overlaps with that of a rule with an output."""
        stubs = [rule.directive.endpoint for rule in self._rules if rule.directive.output is not None]
        return any(matches_glob(pattern, stub) or matches_glob(stub, pattern) for stub in stubs if stub)

    def clear(self) -> None:
        """Remove all rules and the counts of directives."""
        self._rules = []
        self._rules_text = self._outputs_bytes = 0
        self._counted.clear()
        self._counted_text = 0

    def choose(self, choice: Choice) -> bool:
        """Add the rule that applies to the call; returns whether there is one."""
        found = False
        for rule in self._rules:
            if rule.matches(choice.call):
                choice.matched.append(rule)
                if rule.applies(choice.before) and not found:
                    choice.used.append(rule)
                    choice.directives.append(rule.directive)
                    found = True
        return found

    def choose_directive(self, choice: Choice, directive: Directive) -> None:
        """Add a directive of a prompt or a header if it applies. Equal directives of one account share their counts."""
        rule = self._counted_rule(directive) if directive.is_counted else Rule(directive)
        if rule.matches(choice.call):
            choice.matched.append(rule)
            if rule.applies(choice.before):
                choice.used.append(rule)
                choice.directives.append(directive)

    def _counted_rule(self, directive: Directive) -> Rule:
        text = str(directive)
        if text not in self._counted:
            self._counted_text += len(text)
            while len(self._counted) >= MAX_COUNTED or self._counted_text > MAX_COUNTED_TEXT:
                oldest = next(iter(self._counted))
                self._counted_text -= len(oldest)
                del self._counted[oldest]
            self._counted[text] = Rule(directive)
        return self._counted[text]


def choose(
    call: Call,
    own: Scenario,
    common: Scenario,
    directives: Iterable[Directive],
    before: Choice | None = None,
) -> Choice:
    """The rule that applies to a call, the account's own or else a global one, and the call's own directives.

    `before` is the choice of the attempt before, at the same request.
    """
    choice = Choice(call, before=before)
    if not own.choose(choice):
        common.choose(choice)
    for directive in directives:
        own.choose_directive(choice, directive)
    return choice


def outputs_bytes(rules: Iterable[Rule]) -> int:
    """The bytes of the outputs of rules in memory."""
    return sum(rule.directive.output.kept_bytes for rule in rules if rule.directive.output is not None)


def _too_many_rules() -> ScenarioError:
    return ScenarioError(f"more than {MAX_RULES} rules; clear() removes the old ones")


class RequestDirectives(NamedTuple):
    """The directives and rules of a submitted request.

    `directives` came with it, `prompt` serves rules about its later operations, `choice` is of its submission.
    `retries` are those of the attempts after the first one.
    """

    directives: tuple[Directive, ...]
    prompt: str
    choice: Choice
    retries: tuple[Choice, ...] = ()

    @property
    def last(self) -> Choice:
        """The choice of the last attempt."""
        return self.retries[-1] if self.retries else self.choice

    @property
    def failed(self) -> tuple[Choice, ...]:
        """The choices of the attempts before the last one."""
        return (self.choice, *self.retries)[:-1] if self.retries else ()

    def count_attempts(self) -> None:
        """Count the submission, which was accepted, and the attempts at it."""
        for choice in (self.choice, *self.retries):
            choice.count()


def directives_in(document: JSON) -> list[Directive]:
    """The directives in all strings of an input, in order. Raises ScenarioError, also for mistyped ones."""
    directives: list[Directive] = []
    starts, characters_left, options_left = 0, MAX_TEXT, MAX_OPTIONS
    for text, end in _searched(document):
        at = 0
        while match := DIRECTIVE_START.search(text, at, end):
            starts += 1
            if starts > MAX_DIRECTIVES:
                raise ScenarioError(
                    f"{column(match.start())}: more than {MAX_DIRECTIVES} directives in an input"
                )
            at = match.end()
            if match[1]:
                options, at = read_options(
                    text,
                    at,
                    opened=match.start(),
                    max_text=characters_left,
                    max_options=options_left,
                )
                directives.append(directive_of(options))
                characters_left -= at - match.end()
                options_left -= len(options)
            elif _starts_with_option(text, at):
                raise ScenarioError(
                    f"{column(match.start())}: {cut(repr(text[match.start() : at + 20]))} is not a directive; "
                    "expected a colon, as in [mock: nsfw]"
                )
    return directives


def check_expressions(directives: Iterable[Directive]) -> None:
    """Raises ScenarioError if the regular expressions of one request are too large together."""
    size = sum(program_size(directive.prompt) for directive in directives)
    if size > MAX_PROGRAM:
        raise ScenarioError(
            f"prompt: the expressions have {size} instructions together, expected at most {MAX_PROGRAM}"
        )


def prompt_of(document: JSON) -> str:
    """The prompt of an input, or an empty string; of a long one the part that conditions look at."""
    prompt = document.get("prompt") if isinstance(document, dict) else None
    return searched_part(prompt) if isinstance(prompt, str) else ""


def _starts_with_option(text: str, at: int) -> bool:
    """Whether the text looks like options of a directive rather than prose."""
    match = _OPTION_START.match(text, at)
    return match is not None and (match[1].lower() in OPTIONS or match[2] == "=")


def _searched(document: JSON) -> Iterator[tuple[str, int]]:
    """The strings of a document in which a directive may start, each with the length of its searched part."""
    left = MAX_SEARCHED_TEXT
    for text in strings(document):
        if "[" in text:
            yield text, min(len(text), left)
            left -= min(len(text), left)


def strings(document: JSON, most: int = MAX_VALUES) -> Iterator[str]:
    """The strings among the first `most` values of a document, in order."""
    pending = [document]
    for _ in range(most):
        if not pending:
            return
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value[:most]))
