"""A directive: when something shall happen, and what. One grammar for prompts, headers, rules and files.

    conditions   endpoint= prompt= key= nth= after= times= operation=
    outcome      queue= run= position= logs= nsfw cancel= error= (msg= loc= ctx.NAME= retry=) webhook=
    answer       status= (detail= body=) ingress= account= result= file= token=
                 header.NAME= retry_after= merge= set_null= json= throttle= connection=

Words of the outcome act on a request when it is taken; those of the answer on one answer on the wire, which is that
to the POST unless `operation=` names another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from mock_fal.errors import JSON, REQUEST_ERRORS, InjectedFault, ScenarioError
from mock_fal.scenario.options import FAMILIES, OPTIONS, POSTS, Kind, close_to, spelled
from mock_fal.scenario.syntax import Option, read_options, written

Members = tuple[tuple[str, JSON], ...]


class Directive(NamedTuple):
    """What is asked for; each field is a word. Spans are seconds; what is not asked for is empty or None."""

    endpoint: str = ""
    prompt: str = ""
    key: str = ""
    nth: int | None = None
    after: int | None = None
    times: int | None = None
    operation: str = ""

    queue: float | None = None
    run: float | None = None
    position: int | None = None
    logs: int | None = None
    nsfw: bool = False
    cancel: str = ""
    error: str = ""
    msg: str | None = None
    loc: tuple[str | int, ...] = ()
    ctx: Members = ()
    retry: bool | None = None
    webhook: str = ""

    status: int | None = None
    detail: str | None = None
    body: str | None = None
    ingress: int | None = None
    account: str = ""
    result: str = ""
    file: str = ""
    token: str = ""
    header: Members = ()
    retry_after: int | None = None
    merge: JSON = None
    set_null: tuple[str | int, ...] = ()
    json: str = ""
    throttle: int | None = None
    connection: str = ""

    @property
    def has_outcome(self) -> bool:
        """Whether it says what becomes of a request."""
        return bool(self._given(Kind.OUTCOME))

    @property
    def has_response(self) -> bool:
        """Whether it says what becomes of an answer on the wire."""
        given = self._given(Kind.INSTEAD) + self._given(Kind.ANSWER)
        return given != ["retry_after"] or not self.error if given else False

    @property
    def replaces(self) -> bool:
        """Whether it stands in the place of the real answer, so that what was asked for is not done."""
        return bool(self._given(Kind.INSTEAD)) or self.connection in ("reset", "hang")

    @property
    def counts(self) -> bool:
        """Whether it matters how often it was asked for before."""
        return not (self.nth is None and self.after is None and self.times is None)

    @property
    def outcome_operations(self) -> frozenset[str]:
        """At which steps its words about the outcome act."""
        if not self.has_outcome:
            return _NOWHERE
        return frozenset({self.operation}) if self.operation in POSTS else POSTS

    @property
    def response_operations(self) -> frozenset[str]:
        """At which steps its words about an answer act."""
        if not self.has_response:
            return _NOWHERE
        if self.operation:
            return frozenset({self.operation})
        instead = self._given(Kind.INSTEAD)
        return OPTIONS[instead[0]].operations if instead else POSTS

    @property
    def words(self) -> list[str]:
        """The words that it says, in the order of the vocabulary."""
        return [
            name
            for name in OPTIONS
            if getattr(self, name) != _DEFAULTS[name]
            or type(getattr(self, name)) is not type(_DEFAULTS[name])
        ]

    def __repr__(self) -> str:
        return f"parse_directive({str(self)!r})"

    def __str__(self) -> str:
        """The directive as it is written: reading it again gives the same."""
        return " ".join(written(name, value) for name, value in _spelled(self))

    def _given(self, kind: Kind) -> list[str]:
        return [name for name in self.words if OPTIONS[name].kind is kind]


_NOWHERE: Final[frozenset[str]] = frozenset()
_DEFAULTS: Final[dict[str, JSON]] = Directive._field_defaults
_OF_KIND: Final = {kind: [name for name, word in OPTIONS.items() if word.kind is kind] for kind in Kind}

NOTHING: Final = Directive()


def injected_fault(directive: Directive) -> InjectedFault:
    """The answer that a directive puts in the place of the real one, to be raised."""
    status = directive.status or directive.ingress or 503
    return InjectedFault(directive, status, directive.detail or phrase(status))


def phrase(status: int) -> str:
    """What HTTP calls a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP {status}"


@lru_cache(maxsize=4096)
def parse_directive(text: str) -> Directive:
    """Read a directive. Raises ScenarioError, with the column.

    >>> str(parse_directive("error=image_too_small   ctx.min_width=512 times=2"))
    'times=2 error=image_too_small ctx.min_width=512'
    """
    return directive_of(read_options(text)[0])


def parse_rule(text: str, words: Mapping[str, JSON]) -> Directive:
    """Read a directive from a text, and from the same words as keywords. Raises ScenarioError."""
    return directive_of([*read_options(text)[0], *options_of(words)]) if words else parse_directive(text)


def options_of(words: Mapping[str, JSON], where: Callable[[str], str] = lambda name: "") -> list[Option]:
    """The words that the members of an object spell; `where` says where a member stands."""
    found: list[Option] = []
    for key, value in words.items():
        name = _PLURALS.get(key, key)
        if name in FAMILIES and isinstance(value, dict):
            found += [
                Option(f"{name}.{inner}", _written(name, part), where(key)) for inner, part in value.items()
            ]
        elif value is True and name in OPTIONS and OPTIONS[name].is_alone:
            found.append(Option(name, None, where(key)))
        elif value is not None and not (value is False and name in OPTIONS and OPTIONS[name].is_alone):
            found.append(Option(name, _written(name, value), where(key)))
    return found


# What else an object may call a word that has members.
_PLURALS: Final = {"headers": "header"}


def _written(name: str, value: JSON) -> str:
    """A member's value as the text grammar has it."""
    if name in ("loc", "set_null") and isinstance(value, list | tuple):
        return ".".join(map(str, value))
    if isinstance(value, str):
        return spelled(value) if name.partition(".")[0] == "ctx" else value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, separators=(",", ":"), default=str)


def directive_of(words: Iterable[Option]) -> Directive:
    """The directive that words spell. Raises ScenarioError, which says where."""
    values: dict[str, JSON] = {}
    where: dict[str, str] = {}
    members: dict[str, dict[str, JSON]] = {}  # of the words with a name inside
    for word in words:
        name, dot, inner = word.name.partition(".")
        kind = OPTIONS.get(name)
        if kind is None or (dot and name not in FAMILIES):
            raise _mistake(word.where, f"unknown word {word.name!r}{close_to(word.name, OPTIONS)}")
        where[name] = word.where
        try:
            if name in FAMILIES:
                members.setdefault(name, {})[_inner(name, dot, inner)] = kind.read(_needed(word, kind.form))
            elif kind.is_alone:
                values[name] = _alone(word.value)
            else:
                values[name] = kind.read(_needed(word, kind.form))
        except ValueError as error:
            raise _mistake(word.where, f"{word.name}: {error}") from None
    for name, each in members.items():
        values[name] = tuple(each.items())
    directive = Directive(**values)
    _check(directive, where)
    return directive


def over(under: Directive, upper: Directive) -> Directive:
    """The outcome that both ask for; what the upper one says replaces what the lower says."""
    given = [*upper._given(Kind.OUTCOME)]
    if upper.error:
        given += [*_OF_KIND[Kind.ERROR], "retry_after"]
    return under._replace(**{name: getattr(upper, name) for name in given}) if given else under


def _inner(name: str, dot: str, inner: str) -> str:
    if not dot:
        raise ValueError(f"a name is missing, as in {name}.NAME=VALUE")
    return FAMILIES[name](inner)


def _needed(word: Option, form: str) -> str:
    if word.value is None:
        raise ValueError(f"a value is missing, expected {word.name}={form} (no space around =)")
    return word.value


def _alone(value: str | None) -> bool:
    if value is not None:
        raise ValueError(f"takes no value, was given {value!r}")
    return True


def _mistake(where: str, what: str) -> ScenarioError:
    return ScenarioError(f"{where}: {what}" if where else what)


def _check(directive: Directive, where: Mapping[str, str]) -> None:
    """What words can't say alone. Raises ScenarioError."""

    def refuse(name: str, why: str) -> None:
        raise _mistake(where[name], f"{name}: {why}")

    for name in directive._given(Kind.ERROR):
        if not directive.error:
            refuse(name, "says how an error looks, and there is no error=TYPE")
        if name in ("loc", "ctx") and directive.error in REQUEST_ERRORS:
            refuse(name, f"{directive.error} is a request error, which has none")
    for name in directive._given(Kind.PAGE):
        if directive.status is None:
            refuse(name, "says what an answer looks like, and there is no status=CODE")
    if directive.detail is not None and directive.body is not None:
        refuse("body", "is given beside detail; keep one of them")
    instead = directive._given(Kind.INSTEAD) + ["connection"] * (directive.connection in ("reset", "hang"))
    if len(instead) > 1:
        refuse(instead[1], f"replaces the answer, and so does {instead[0]}; keep one of them")
    if directive.operation:
        _check_operation(directive, refuse)
    if directive.retry_after is not None and directive.error and directive.error not in REQUEST_ERRORS:
        refuse("retry_after", f"{directive.error} is a model's error, which has none")
    if (
        directive.counts
        and directive.has_outcome
        and directive.has_response
        and directive.outcome_operations != directive.response_operations
    ):
        counted = next(name for name in ("nth", "after", "times") if getattr(directive, name) is not None)
        refuse(
            counted,
            "counts one thing, and here are two that act at different steps; make two directives of them",
        )
    if where and not (directive.has_outcome or directive.has_response):
        refuse(next(iter(where)), "says when, and no word says what shall happen")


def _check_operation(directive: Directive, refuse: Callable[[str, str], None]) -> None:
    for name in directive._given(Kind.INSTEAD):
        if (
            name in ("result", "file", "token", "account")
            and directive.operation not in OPTIONS[name].operations
        ):
            refuse(
                "operation",
                f"{name}= acts at {' or '.join(sorted(OPTIONS[name].operations))}, not at {directive.operation}",
            )
    if directive.operation not in POSTS and not directive.has_response:
        outcome = directive._given(Kind.OUTCOME)
        if outcome:
            refuse(
                "operation",
                f"{outcome[0]} acts when the request is taken, operation=submit, operation=run or operation=stream",
            )
    for name in ("merge", "set_null", "json"):
        if directive.operation == "download" and getattr(directive, name):
            refuse(name, "a file is no JSON")


def _spelled(directive: Directive) -> Iterable[tuple[str, str | None]]:
    for name in directive.words:
        value = getattr(directive, name)
        if name in FAMILIES:
            yield from (
                (f"{name}.{inner}", spelled(part) if name == "ctx" else part) for inner, part in value
            )
        elif OPTIONS[name].is_alone:
            yield name, None
        else:
            yield name, _written(name, value)
