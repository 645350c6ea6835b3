"""What a test asks for: rules, cues in prompts and headers, and which of them hold for a call.

A cue in brackets, `[mock: queue=2 run=5]`, works in any string of a request's input, from every client in every
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
from mock_fal.scenario.cue import NOTHING, Cue, cue_of, over, parse_rule
from mock_fal.scenario.vocabulary import WORDS, close_to
from mock_fal.scenario.words import column, read_words

# More rules than a person writes; each is looked at for each call.
MAX_RULES: Final = 1000

# Of so many cues in prompts it is remembered how often they were used.
MAX_COUNTED: Final = 10_000

# What looks like the beginning of a cue.
MARK: Final = re.compile(r"\[\s*mock(\s*:|\b)", re.IGNORECASE)


class Call(NamedTuple):
    """What a caller does: the step, of which request, with whose key."""

    step: str
    endpoint: str = ""
    key: str = ""
    prompt: str = ""


@dataclass(slots=True, eq=False)
class Rule:
    """A cue, and how often it was asked for and used."""

    cue: Cue
    seen: int = 0
    used: int = 0

    def __repr__(self) -> str:
        return f"<rule {self}, used {self.used} times>"

    def __str__(self) -> str:
        return str(self.cue)

    def matches(self, call: Call) -> bool:
        """Whether the call is one that the cue is about."""
        cue = self.cue
        return (
            (call.step in cue.outcome_steps or call.step in cue.answer_steps)
            and (not cue.endpoint or fnmatchcase(call.endpoint, cue.endpoint))
            and (not cue.key or call.key == cue.key)
            and (not cue.prompt or re.search(cue.prompt, call.prompt) is not None)
        )

    @property
    def holds(self) -> bool:
        """Whether it acts on the next call that it is about."""
        cue, number = self.cue, self.seen + 1
        return (
            cue.nth in (None, number)
            and number > (cue.after or 0)
            and (cue.times is None or self.used < cue.times)
        )


@dataclass(slots=True)
class Choice:
    """The cues that hold for a call. They count as used with `count`, so that a call that is refused uses none."""

    call: Call
    cues: list[Cue] = field(default_factory=list)
    asked: list[Rule] = field(default_factory=list)
    used: list[Rule] = field(default_factory=list)

    def count(self) -> None:
        """The call was taken."""
        for rule in self.asked:
            rule.seen += 1
        for rule in self.used:
            rule.used += 1

    @property
    def outcome(self) -> Cue:
        """What is asked for the outcome of the request, all together."""
        return reduce(over, (cue for cue in self.cues if self.call.step in cue.outcome_steps), NOTHING)

    @property
    def answer(self) -> Cue | None:
        """What is asked for the answer: of several cues, what says most counts."""
        return next((cue for cue in reversed(self.cues) if self.call.step in cue.answer_steps), None)

    def __str__(self) -> str:
        """The cues that are about the outcome, in words."""
        return "; ".join(str(cue) for cue in self.cues if self.call.step in cue.outcome_steps)


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

        `add("queue=600", endpoint="fal-ai/flux/*", times=2)`, `add(at="status", status=503, headers={"a": "b"})`.
        Raises ScenarioError for a rule that can't be read, or whose endpoint does not exist.
        """
        self.replace([parse_rule(text, words)], keep=True)

    def replace(self, cues: Iterable[Cue], *, keep: bool = False) -> None:
        """Let these rules hold, the first of them first, and with `keep` those that were there behind them."""
        fresh = [Rule(cue) for cue in cues]
        for rule in fresh:
            self.check(rule.cue)
        rules = [*fresh, *self._rules] if keep else fresh
        if len(rules) > MAX_RULES:
            raise ScenarioError(
                f"{len(rules)} rules, expected at most {MAX_RULES}; clear() forgets the old ones"
            )
        self._rules = rules
        if any(rule.cue.has_answer for rule in fresh):
            self._alarm()

    def check(self, cue: Cue) -> None:
        """Raises ScenarioError for a rule that is about no endpoint that there is."""
        pattern = cue.endpoint
        if pattern and self._endpoints and not any(fnmatchcase(each, pattern) for each in self._endpoints):
            hint = close_to(pattern, self._endpoints)
            raise ScenarioError(f"endpoint: {pattern!r} is like no endpoint of this mock-fal{hint}")

    def clear(self) -> None:
        """Forget all rules, and how often cues were used."""
        self._rules = []
        self._counted.clear()

    def choose(self, choice: Choice) -> bool:
        """Add the rule that holds for a call, and whether there is one."""
        found = False
        for rule in self._rules:
            if rule.matches(choice.call):
                choice.asked.append(rule)
                if rule.holds and not found:
                    choice.used.append(rule)
                    choice.cues.append(rule.cue)
                    found = True
        return found

    def choose_cue(self, choice: Choice, cue: Cue) -> None:
        """Add a cue of a prompt or a header, if it holds. It is counted by its words, for this account."""
        rule = self._counted_rule(cue) if cue.counts else Rule(cue)
        if rule.matches(choice.call):
            choice.asked.append(rule)
            if rule.holds:
                choice.used.append(rule)
                choice.cues.append(cue)

    def _counted_rule(self, cue: Cue) -> Rule:
        words = str(cue)
        if words not in self._counted:
            while len(self._counted) >= MAX_COUNTED:
                del self._counted[next(iter(self._counted))]
            self._counted[words] = Rule(cue)
        return self._counted[words]


def choose(call: Call, own: Scenario, common: Scenario, cues: Iterable[Cue]) -> Choice:
    """What holds for a call: a rule of the account or one for everybody, and the cues that came with it."""
    choice = Choice(call)
    if not own.choose(choice):
        common.choose(choice)
    for cue in cues:
        own.choose_cue(choice, cue)
    return choice


class Cued(NamedTuple):
    """What is remembered with a request that a cue or a rule was there for.

    `cues` came with it; `prompt` is for rules about its later steps; `choice` is what held when it was taken.
    """

    cues: tuple[Cue, ...]
    prompt: str
    choice: Choice


def cues_in(document: JSON) -> list[Cue]:
    """The cues in all strings of an input, the first one first. Raises ScenarioError, also for near misses."""
    return [cue for text in _strings(document) for cue in _cues(text)]


def prompt_of(document: JSON) -> str:
    """The prompt of an input, or nothing."""
    prompt = document.get("prompt") if isinstance(document, dict) else None
    return prompt if isinstance(prompt, str) else ""


def _cues(text: str) -> Iterator[Cue]:
    at = 0
    while match := MARK.search(text, at):
        at = match.end()
        if match[1]:
            words, at = read_words(text, at, opened=match.start())
            yield cue_of(words)
        elif _is_word(text[at:]):
            raise ScenarioError(
                f"{column(match.start())}: {text[match.start() : at + 20]!r} is no cue; "
                "expected a colon, as in [mock: nsfw]"
            )


def _is_word(text: str) -> bool:
    """Whether what follows looks like the words of a cue, and not like those of a prompt."""
    match = re.match(r"\s+([A-Za-z_]+)([=\]]|$|\s)", text)
    return match is not None and (match[1].lower() in WORDS or match[2] == "=")


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
