"""Rule files: a JSON or YAML list of rules, each a text or an object with the same options as members.

    ["queue=600 endpoint=fal-ai/flux/*", {"operation": "status", "times": 2, "status": 503, "headers": {"a": "b"}}]

Errors name the number of the rule, the line and the column.
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
    """One rule of a file: its value, its position and the positions of its members."""

    value: JSON
    where: str
    members: dict[str, str]


def read_file(path: str) -> list[Directive]:
    """The rules of a file. Raises SettingsError if it can't be read, ScenarioError if its content is wrong."""
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
    """The rules in a JSON document: a list or a single rule. Raises ScenarioError."""
    try:
        return _rules(_json_items(text))
    except JSONDecodeError as error:
        raise ScenarioError(f"line {error.lineno}, column {error.colno}: invalid JSON: {error.msg}") from None
    except RecursionError:
        raise ScenarioError("invalid JSON: nested too deeply") from None


def read_yaml(text: str) -> list[Directive]:
    """The rules in a YAML document. Raises ScenarioError, also if PyYAML is not installed."""
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
        raise ScenarioError(f"{where}invalid YAML: {getattr(error, 'problem', None) or error}") from None
    except RecursionError:
        raise ScenarioError("invalid YAML: nested too deeply") from None


def _rules(items: Iterator[Item]) -> list[Directive]:
    directives = []
    for number, item in enumerate(items, 1):
        try:
            directives.append(directive_of(_options(item)))
        except ScenarioError as error:
            raise ScenarioError(f"rule {number}, {error}") from None
    return directives


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
    raise ScenarioError(f"{item.where}: {item.value!r}, expected a text or an object")


# -- JSON: a second pass finds the positions, which the json module does not report


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
    """The indexes of a list's items or an object's names. The JSON must be valid."""
    starts = []
    at = _skip(text, at + 1)
    while text[at] not in "]}":
        starts.append(at)
        at = _after(text, at)
        if text[at] == ":":
            at = _after(text, _skip(text, at + 1))
        if text[at] == ",":
            at = _skip(text, at + 1)
    return starts


def _after(text: str, at: int) -> int:
    return _skip(text, _decoder.raw_decode(text, at)[1])


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _where(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"


_decoder: Final = JSONDecoder()


# -- YAML: nodes contain their positions


def _yaml_items(yaml: Any, text: str) -> Iterator[Item]:
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        nodes = [] if root is None else root.value if isinstance(root, yaml.SequenceNode) else [root]
        for node in nodes:
            members = {}
            if isinstance(node, yaml.MappingNode):
                members = {str(key.value): _position(key) for key, _ in node.value}
            value = loader.construct_object(node, deep=True)
            if isinstance(value, dict):
                value = {str(name): part for name, part in value.items()}
            yield Item(value, _position(node), members)
    finally:
        loader.dispose()


def _position(node: Any) -> str:
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"
