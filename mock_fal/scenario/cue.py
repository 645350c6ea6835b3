"""A cue: when something shall happen, and what. One grammar for prompts, headers, rules and files.

    conditions   endpoint= prompt= key= nth= after= times= at=
    outcome      queue= run= position= logs= nsfw cancel= error= (msg= loc= ctx.NAME= retry=) webhook=
    answer       status= (detail= body=) ingress= account= result= file= token=
                 header.NAME= retry_after= merge= null= json= drip= connection=

Words of the outcome act on a request when it is taken; those of the answer on one answer on the wire, which is that
to the POST unless `at=` names another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from mock_fal.errors import JSON, REQUEST_ERRORS, Asked, ScenarioError
from mock_fal.scenario.vocabulary import FAMILIES, POSTS, WORDS, Kind, close_to, spelled
from mock_fal.scenario.words import Word, read_words, written

Members = tuple[tuple[str, JSON], ...]


class Cue(NamedTuple):
    """What is asked for; each field is a word. Spans are seconds; what is not asked for is empty or None."""

    endpoint: str = ""
    prompt: str = ""
    key: str = ""
    nth: int | None = None
    after: int | None = None
    times: int | None = None
    at: str = ""

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
    null: tuple[str | int, ...] = ()
    json: str = ""
    drip: int | None = None
    connection: str = ""

    @property
    def has_outcome(self) -> bool:
        """Whether it says what becomes of a request."""
        return bool(self._given(Kind.OUTCOME))

    @property
    def has_answer(self) -> bool:
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
    def outcome_steps(self) -> frozenset[str]:
        """At which steps its words about the outcome act."""
        if not self.has_outcome:
            return _NOWHERE
        return frozenset({self.at}) if self.at in POSTS else POSTS

    @property
    def answer_steps(self) -> frozenset[str]:
        """At which steps its words about an answer act."""
        if not self.has_answer:
            return _NOWHERE
        if self.at:
            return frozenset({self.at})
        instead = self._given(Kind.INSTEAD)
        return WORDS[instead[0]].steps if instead else POSTS

    @property
    def words(self) -> list[str]:
        """The words that it says, in the order of the vocabulary."""
        return [
            name
            for name in WORDS
            if getattr(self, name) != _DEFAULTS[name]
            or type(getattr(self, name)) is not type(_DEFAULTS[name])
        ]

    def __repr__(self) -> str:
        return f"parse_cue({str(self)!r})"

    def __str__(self) -> str:
        """The cue as it is written: reading it again gives the same."""
        return " ".join(written(name, value) for name, value in _spelled(self))

    def _given(self, kind: Kind) -> list[str]:
        return [name for name in self.words if WORDS[name].kind is kind]


_NOWHERE: Final[frozenset[str]] = frozenset()
_DEFAULTS: Final[dict[str, JSON]] = Cue._field_defaults
_OF_KIND: Final = {kind: [name for name, word in WORDS.items() if word.kind is kind] for kind in Kind}

NOTHING: Final = Cue()


def asked(cue: Cue) -> Asked:
    """The answer that a cue puts in the place of the real one, to be raised."""
    status = cue.status or cue.ingress or 503
    return Asked(cue, status, cue.detail or phrase(status))


def phrase(status: int) -> str:
    """What HTTP calls a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP {status}"


@lru_cache(maxsize=4096)
def parse_cue(text: str) -> Cue:
    """Read a cue. Raises ScenarioError, with the column.

    >>> str(parse_cue("error=image_too_small   ctx.min_width=512 times=2"))
    'times=2 error=image_too_small ctx.min_width=512'
    """
    return cue_of(read_words(text)[0])


def parse_rule(text: str, words: Mapping[str, JSON]) -> Cue:
    """Read a cue from a text, and from the same words as keywords. Raises ScenarioError."""
    return cue_of([*read_words(text)[0], *words_of(words)]) if words else parse_cue(text)


def words_of(words: Mapping[str, JSON], where: Callable[[str], str] = lambda name: "") -> list[Word]:
    """The words that the members of an object spell; `where` says where a member stands."""
    found: list[Word] = []
    for key, value in words.items():
        name = _PLURALS.get(key, key)
        if name in FAMILIES and isinstance(value, dict):
            found += [
                Word(f"{name}.{inner}", _written(name, part), where(key)) for inner, part in value.items()
            ]
        elif value is True and name in WORDS and WORDS[name].is_alone:
            found.append(Word(name, None, where(key)))
        elif value is not None and not (value is False and name in WORDS and WORDS[name].is_alone):
            found.append(Word(name, _written(name, value), where(key)))
    return found


# What else an object may call a word that has members.
_PLURALS: Final = {"headers": "header"}


def _written(name: str, value: JSON) -> str:
    """A member's value as the text grammar has it."""
    if name in ("loc", "null") and isinstance(value, list | tuple):
        return ".".join(map(str, value))
    if isinstance(value, str):
        return spelled(value) if name.partition(".")[0] == "ctx" else value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, separators=(",", ":"), default=str)


def cue_of(words: Iterable[Word]) -> Cue:
    """The cue that words spell. Raises ScenarioError, which says where."""
    values: dict[str, JSON] = {}
    where: dict[str, str] = {}
    members: dict[str, dict[str, JSON]] = {}  # of the words with a name inside
    for word in words:
        name, dot, inner = word.name.partition(".")
        kind = WORDS.get(name)
        if kind is None or (dot and name not in FAMILIES):
            raise _mistake(word.where, f"unknown word {word.name!r}{close_to(word.name, WORDS)}")
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
    cue = Cue(**values)
    _check(cue, where)
    return cue


def over(under: Cue, upper: Cue) -> Cue:
    """The outcome that both ask for; what the upper one says replaces what the lower says."""
    given = [*upper._given(Kind.OUTCOME)]
    if upper.error:
        given += [*_OF_KIND[Kind.ERROR], "retry_after"]
    return under._replace(**{name: getattr(upper, name) for name in given}) if given else under


def _inner(name: str, dot: str, inner: str) -> str:
    if not dot:
        raise ValueError(f"a name is missing, as in {name}.NAME=VALUE")
    return FAMILIES[name](inner)


def _needed(word: Word, form: str) -> str:
    if word.value is None:
        raise ValueError(f"a value is missing, expected {word.name}={form} (no space around =)")
    return word.value


def _alone(value: str | None) -> bool:
    if value is not None:
        raise ValueError(f"takes no value, was given {value!r}")
    return True


def _mistake(where: str, what: str) -> ScenarioError:
    return ScenarioError(f"{where}: {what}" if where else what)


def _check(cue: Cue, where: Mapping[str, str]) -> None:
    """What words can't say alone. Raises ScenarioError."""

    def refuse(name: str, why: str) -> None:
        raise _mistake(where[name], f"{name}: {why}")

    for name in cue._given(Kind.ERROR):
        if not cue.error:
            refuse(name, "says how an error looks, and there is no error=TYPE")
        if name in ("loc", "ctx") and cue.error in REQUEST_ERRORS:
            refuse(name, f"{cue.error} is a request error, which has none")
    for name in cue._given(Kind.PAGE):
        if cue.status is None:
            refuse(name, "says what an answer looks like, and there is no status=CODE")
    if cue.detail is not None and cue.body is not None:
        refuse("body", "is given beside detail; keep one of them")
    instead = cue._given(Kind.INSTEAD) + ["connection"] * (cue.connection in ("reset", "hang"))
    if len(instead) > 1:
        refuse(instead[1], f"replaces the answer, and so does {instead[0]}; keep one of them")
    if cue.at:
        _check_step(cue, refuse)
    if cue.retry_after is not None and cue.error and cue.error not in REQUEST_ERRORS:
        refuse("retry_after", f"{cue.error} is a model's error, which has none")
    if cue.counts and cue.has_outcome and cue.has_answer and cue.outcome_steps != cue.answer_steps:
        counted = next(name for name in ("nth", "after", "times") if getattr(cue, name) is not None)
        refuse(
            counted, "counts one thing, and here are two that act at different steps; make two cues of them"
        )
    if where and not (cue.has_outcome or cue.has_answer):
        refuse(next(iter(where)), "says when, and no word says what shall happen")


def _check_step(cue: Cue, refuse: Callable[[str, str], None]) -> None:
    for name in cue._given(Kind.INSTEAD):
        if name in ("result", "file", "token", "account") and cue.at not in WORDS[name].steps:
            refuse("at", f"{name}= acts at {' or '.join(sorted(WORDS[name].steps))}, not at {cue.at}")
    if cue.at not in POSTS and not cue.has_answer:
        outcome = cue._given(Kind.OUTCOME)
        if outcome:
            refuse("at", f"{outcome[0]} acts when the request is taken, at=submit, at=run or at=stream")
    for name in ("merge", "null", "json"):
        if cue.at == "file" and getattr(cue, name):
            refuse(name, "a file is no JSON")


def _spelled(cue: Cue) -> Iterable[tuple[str, str | None]]:
    for name in cue.words:
        value = getattr(cue, name)
        if name in FAMILIES:
            yield from (
                (f"{name}.{inner}", spelled(part) if name == "ctx" else part) for inner, part in value
            )
        elif WORDS[name].is_alone:
            yield name, None
        else:
            yield name, _written(name, value)
