"""Rules in a file: a list of them in JSON or YAML, each a text or an object with the same words as keys.

    ["queue=600 endpoint=fal-ai/flux/*", {"operation": "status", "times": 2, "status": 503, "headers": {"retry-after": "1"}}]

What is wrong is told with the number of the rule, its line and its column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder, loads
from pathlib import Path
from typing import Any, Final, NamedTuple

from mock_fal.errors import JSON, ScenarioError, SettingsError
from mock_fal.scenario.directive import Directive, directive_of, options_of
from mock_fal.scenario.syntax import Option, read_options

_SPACE: Final = re.compile(r"[ \t\r\n]*")


class Item(NamedTuple):
    """One rule as a file has it: its value, where it begins, and where each of its members does."""

    value: JSON
    where: str
    members: dict[str, str]


def read_file(path: str) -> list[Directive]:
    """The rules of a file. Raises SettingsError for one that can't be read, ScenarioError for what it says."""
    try:
        text = Path(path).read_text("utf-8")
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
    """The rules in a JSON document: a list, or a single rule. Raises ScenarioError."""
    try:
        return _rules(_json_items(text))
    except JSONDecodeError as error:
        raise ScenarioError(f"line {error.lineno}, column {error.colno}: no JSON: {error.msg}") from None
    except RecursionError:
        raise ScenarioError("no JSON that can be read: too deep") from None


def read_yaml(text: str) -> list[Directive]:
    """The rules in a YAML document. Raises ScenarioError, also where PyYAML is not installed."""
    try:
        import yaml
    except ImportError:
        raise ScenarioError(
            "YAML needs PyYAML: pip install 'mock-fal[yaml]', or write the rules in JSON"
        ) from None
    try:
        return _rules(_yaml_items(yaml, text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ScenarioError(f"{where}no YAML: {getattr(error, 'problem', None) or error}") from None
    except RecursionError:
        raise ScenarioError("no YAML that can be read: too deep") from None


def _rules(items: Iterator[Item]) -> list[Directive]:
    directives = []
    for number, item in enumerate(items, 1):
        try:
            directives.append(directive_of(_words(item)))
        except ScenarioError as error:
            raise ScenarioError(f"rule {number}, {error}") from None
    return directives


def _words(item: Item) -> list[Option]:
    match item.value:
        case str(text):
            try:
                words = read_options(text)[0]
            except ScenarioError as error:
                raise ScenarioError(f"{item.where}: {error} of the text") from None
            return [word._replace(where=f"{item.where}: {word.where} of the text") for word in words]
        case dict(members):
            return options_of(members, lambda name: item.members[name])
    raise ScenarioError(f"{item.where}: {item.value!r}, expected a text or an object")


# -- JSON: what the standard library has read is gone through once more, so that places are known


def _json_items(text: str) -> Iterator[Item]:
    document = loads(text)
    at = _skip(text, 0)
    if not isinstance(document, list):
        yield _json_item(text, at)
        return
    for start in _starts(text, at):
        yield _json_item(text, start)


def _json_item(text: str, at: int) -> Item:
    value, _ = _decoder.raw_decode(text, at)
    keys = _starts(text, at) if isinstance(value, dict) else []
    members = {_decoder.raw_decode(text, start)[0]: _where(text, start) for start in keys}
    return Item(value, _where(text, at), members)


def _starts(text: str, at: int) -> list[int]:
    """Where the items of a list, or the names of an object, begin. The JSON is known to be good."""
    starts = []
    at = _skip(text, at + 1)
    while text[at] not in "]}":
        starts.append(at)
        at = _behind(text, at)
        if text[at] == ":":
            at = _behind(text, _skip(text, at + 1))
        if text[at] == ",":
            at = _skip(text, at + 1)
    return starts


def _behind(text: str, at: int) -> int:
    return _skip(text, _decoder.raw_decode(text, at)[1])


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _where(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"


_decoder: Final = JSONDecoder()


# -- YAML: its nodes know where they stand


def _yaml_items(yaml: Any, text: str) -> Iterator[Item]:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        nodes = [] if node is None else node.value if isinstance(node, yaml.SequenceNode) else [node]
        for each in nodes:
            members = {}
            if isinstance(each, yaml.MappingNode):
                members = {str(key.value): _mark(key) for key, _ in each.value}
            value = loader.construct_object(each, deep=True)
            if isinstance(value, dict):
                value = {str(name): part for name, part in value.items()}
            yield Item(value, _mark(each), members)
    finally:
        loader.dispose()


def _mark(node: Any) -> str:
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"
