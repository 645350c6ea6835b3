"""Rule files: a JSON or YAML list of rules, each a text or an object with the same options as members.

    ["queue=600 endpoint=fal-ai/flux/*", {"operation": "status", "times": 2, "status": 503, "headers": {"a": "b"}}]

Errors name the number of the rule, the line and the column. Aliases and anchors of YAML are refused: a few lines of
them stand for gigabytes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from json import JSONDecodeError, JSONDecoder, loads
from pathlib import Path
from typing import Any, Final, NamedTuple

from mock_fal.errors import JSON, ScenarioError, SettingsError, is_deeper
from mock_fal.regular_file import read_regular_file
from mock_fal.scenario.directive import Directive, directive_of, options_of
from mock_fal.scenario.rules import MAX_RULES
from mock_fal.scenario.syntax import MAX_DEPTH, MAX_RULE_TEXT, Option, read_options, shown

# Bytes of a rule file, and of a body of /_mock/scenario: the longest rule, and 1,000 for each of the others.
MAX_FILE: Final = MAX_RULE_TEXT + 1_000_000

# The same in YAML, which is read at a megabyte per second.
MAX_YAML: Final = 1_000_000

# Characters of a number in YAML; int() and float() are slow for more, and int() refuses thousands.
_MAX_NUMBER: Final = 64

# Levels of a document: those of an option, its rule and the list of rules.
_MAX_LEVELS: Final = MAX_DEPTH + 2

_SPACE: Final = re.compile(r"[ \t\r\n]*")


class Item(NamedTuple):
    """One rule of a file: its value, its position and the positions of its members."""

    value: JSON
    where: str
    members: dict[str, str]


def read_file(path: str) -> list[Directive]:
    """The rules of a file. Raises SettingsError if it can't be read, ScenarioError if its content is wrong."""
    try:
        text = read_regular_file(Path(path), MAX_FILE).decode()
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"--scenario: can't read {path}: {getattr(error, 'strerror', None) or error}"
        ) from None
    reader = read_yaml if Path(path).suffix in (".yaml", ".yml") else read_json
    try:
        return reader(text)
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from None


def read_json(text: str) -> list[Directive]:
    """The rules in a JSON document: a list or a single rule. Raises ScenarioError."""
    return list(json_rules(text))


def read_yaml(text: str) -> list[Directive]:
    """The rules in a YAML document. Raises ScenarioError, also if PyYAML is not installed."""
    return list(yaml_rules(text))


def json_rules(text: str) -> Iterator[Directive]:
    """The rules in a JSON document, each read when it is taken. Raises ScenarioError."""
    _check_length(text, MAX_FILE)
    try:
        yield from _rules(_json_items(text))
    except JSONDecodeError as error:
        raise ScenarioError(f"line {error.lineno}, column {error.colno}: invalid JSON: {error.msg}") from None
    except RecursionError:
        raise ScenarioError("invalid JSON: nested too deeply") from None
    except ValueError as error:  # an integer with thousands of digits
        raise ScenarioError(f"invalid JSON: {error}") from None


def yaml_rules(text: str) -> Iterator[Directive]:
    """The rules in a YAML document, each read when it is taken. Raises ScenarioError."""
    try:
        import yaml
    except ImportError:
        raise ScenarioError(
            "YAML needs PyYAML: pip install 'mock-fal[yaml]', or write the rules in JSON"
        ) from None
    _check_length(text, MAX_YAML)
    try:
        yield from _rules(_yaml_items(yaml, text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ScenarioError(f"{where}invalid YAML: {getattr(error, 'problem', None) or error}") from None


def _check_length(text: str, limit: int) -> None:
    if len(text) > limit:
        raise ScenarioError(f"the rules have {len(text)} characters, expected at most {limit}")


def _rules(items: Iterator[Item]) -> Iterator[Directive]:
    for number, item in enumerate(items, 1):
        if number > MAX_RULES:
            raise ScenarioError(f"{item.where}: more than {MAX_RULES} rules")
        try:
            directive = directive_of(_options(item), MAX_RULE_TEXT)
        except ScenarioError as error:
            raise ScenarioError(f"rule {number}, {error}") from None
        yield directive


def _options(item: Item) -> list[Option]:
    match item.value:
        case str(text):
            try:
                options = read_options(text)[0]
            except ScenarioError as error:
                raise ScenarioError(f"{item.where}: text {error}") from None
            return [option._replace(where=f"{item.where}: text {option.where}") for option in options]
        case dict(members):
            return options_of(members, lambda name: item.members[name])
    raise ScenarioError(f"{item.where}: {shown(item.value)}, expected a text or an object")


# -- JSON: a second pass finds the positions, which the json module does not report


def _json_items(text: str) -> Iterator[Item]:
    document = loads(text)
    if isinstance(document, list) and len(document) > MAX_RULES:
        raise ScenarioError(f"{len(document)} rules, expected at most {MAX_RULES}")
    if is_deeper(document, _MAX_LEVELS):
        raise RecursionError
    where = _json_positions(text)
    at = _skip(text, 0)
    if not isinstance(document, list):
        yield _json_item(text, at, where)
        return
    for start in _starts(text, at):
        yield _json_item(text, start, where)


def _json_item(text: str, at: int, where: Callable[[int], str]) -> Item:
    value, _ = _decoder.raw_decode(text, at)
    keys = _starts(text, at) if isinstance(value, dict) else ()
    members = {_decoder.raw_decode(text, start)[0]: where(start) for start in keys}
    return Item(value, where(at), members)


def _starts(text: str, at: int) -> Iterator[int]:
    """The indexes of a list's items or an object's names. The JSON must be valid."""
    at = _skip(text, at + 1)
    while text[at] not in "]}":
        yield at
        at = _after(text, at)
        if text[at] == ":":
            at = _after(text, _skip(text, at + 1))
        if text[at] == ",":
            at = _skip(text, at + 1)


def _after(text: str, at: int) -> int:
    return _skip(text, _decoder.raw_decode(text, at)[1])


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _json_positions(text: str) -> Callable[[int], str]:
    """A function that returns the line and column of an index."""
    ends = [match.start() for match in re.finditer("\n", text)]

    def where(at: int) -> str:
        line = bisect_left(ends, at)
        return f"line {line + 1}, column {at - (ends[line - 1] if line else -1)}"

    return where


_decoder: Final = JSONDecoder()


# -- YAML: read as events, which contain their positions; the rules are JSON values, so no other types are made


def _yaml_items(yaml: Any, text: str) -> Iterator[Item]:
    reader = _YamlReader(yaml, text)
    event = reader.next()
    if isinstance(event, yaml.SequenceStartEvent):
        while not isinstance(event := reader.next(), yaml.SequenceEndEvent):
            yield reader.item(event, 1)
    elif not isinstance(event, yaml.StreamEndEvent):
        yield reader.item(event, 0)
    reader.end()


class _YamlReader:
    """Builds values from the events of a YAML document."""

    def __init__(self, yaml: Any, text: str) -> None:
        self._yaml = yaml
        # The parser in C is ten times faster; it is a part of most installations.
        self._events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self._constructor = yaml.SafeLoader("")

    def next(self) -> Any:
        """The next event but the starts of stream and document. Raises ScenarioError for an alias or an anchor."""
        yaml = self._yaml
        event = next(self._events)
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = next(self._events)
        if getattr(event, "anchor", None) is not None:
            kind = "alias" if isinstance(event, yaml.AliasEvent) else "anchor"
            raise ScenarioError(f"{_position(event)}: YAML with an {kind} is not read; write the rule out")
        return event

    def item(self, event: Any, level: int) -> Item:
        """The rule that begins with an event."""
        members: dict[str, str] = {}
        return Item(self._value(event, level, members), _position(event), members)

    def end(self) -> None:
        """Read the rest. Raises ScenarioError for another document."""
        yaml = self._yaml
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                raise ScenarioError(f"{_position(event)}: invalid YAML: expected one document")

    def _value(self, event: Any, level: int, members: dict[str, str] | None = None) -> JSON:
        yaml = self._yaml
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if level >= _MAX_LEVELS:
            raise ScenarioError(f"{_position(event)}: invalid YAML: nested too deeply")
        if event.tag is not None:
            raise _unknown_tag(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := self.next(), yaml.SequenceEndEvent):
                items.append(self._value(event, level + 1))
            return items
        mapping: dict[str, JSON] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise ScenarioError(f"{_position(event)}: invalid YAML: expected a text as name")
            if members is not None:
                members[event.value] = _position(event)
            mapping[event.value] = self._value(self.next(), level + 1)
        return mapping

    def _scalar(self, event: Any) -> JSON:
        node = self._yaml.ScalarNode
        tag = event.tag or self._constructor.resolve(node, event.value, event.implicit)
        kind = tag.removeprefix("tag:yaml.org,2002:")
        if kind in ("str", "timestamp", "merge", "value"):
            return event.value
        if kind not in ("null", "bool", "int", "float"):
            raise _unknown_tag(event)
        if len(event.value) > _MAX_NUMBER:
            raise ScenarioError(
                f"{_position(event)}: invalid YAML: {shown(event.value)} is too long for a {kind}"
            )
        try:
            return self._constructor.construct_object(node(tag, event.value))
        except (ValueError, KeyError, IndexError):
            raise ScenarioError(
                f"{_position(event)}: invalid YAML: {shown(event.value)} is not a {kind}"
            ) from None


def _unknown_tag(event: Any) -> ScenarioError:
    return ScenarioError(
        f"{_position(event)}: invalid YAML: could not determine a constructor for {shown(event.tag)}"
    )


def _position(event: Any) -> str:
    return f"line {event.start_mark.line + 1}, column {event.start_mark.column + 1}"
