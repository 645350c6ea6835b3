from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.errors import ScenarioError, SettingsError
from mock_fal.scenario.directive import Directive, parse_directive
from mock_fal.scenario.rule_file import read_file, read_json, read_yaml

Reader = Callable[[str], list[Directive]]

BOTH = pytest.mark.parametrize("read", [read_json, read_yaml])

RULES = [
    parse_directive("queue=600 endpoint=fal-ai/*"),
    parse_directive('operation=status times=2 status=503 header.a=b body={"c":[1]}'),
]

JSON_TEXT = """[
  "queue=600 endpoint=fal-ai/*",
  {"operation": "status", "times": 2, "status": 503, "headers": {"a": "b"}, "body": {"c": [1]}}
]"""
YAML_TEXT = """
- queue=600 endpoint=fal-ai/*
- operation: status   # the first two polls
  times: 2
  status: 503
  headers: {a: b}
  body:
    c: [1]
"""


@BOTH
def test_a_list_of_rules_is_read(read: Reader) -> None:
    assert read(JSON_TEXT) == RULES
    assert read("[]") == []


def test_yaml_is_read() -> None:
    assert read_yaml(YAML_TEXT) == RULES
    assert read_yaml("") == []
    assert read_yaml("nsfw: true") == [parse_directive("nsfw")]


@BOTH
@pytest.mark.parametrize("text", ['"nsfw"', '{"nsfw": true}', '  {"nsfw" : true } '])
def test_a_single_rule_needs_no_list(read: Reader, text: str) -> None:
    assert read(text) == [parse_directive("nsfw")]


@BOTH
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n "run=1",\n {"run": 1,\n  "rum": 2}]', "rule 2, line 4, column 3: unknown option 'rum'"),
        ('["run=1 rum=2"]', "rule 1, line 1, column 2: text column 7: unknown option 'rum'"),
        (
            '["msg=\'x"]',
            "rule 1, line 1, column 2: text column 5: the quote is not closed",
        ),
        ("[1]", "rule 1, line 1, column 2: 1, expected a text or an object"),
        ("null", "rule 1, line 1, column 1: None, expected a text or an object"),
        (
            '[{"status": 503, "ingress": 502}]',
            "rule 1, line 1, column 18: ingress: can't be combined with status",
        ),
    ],
)
def test_an_error_names_the_rule_the_line_and_the_column(read: Reader, text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read(text)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_json, '[\n {"a" 1}]', "line 2, column 7: invalid JSON: Expecting ':' delimiter"),
        (read_json, "[1] 2", "line 1, column 5: invalid JSON: Extra data"),
        (read_json, "[" * 100_000, "invalid JSON: nested too deeply"),
        (read_yaml, "- nsfw\n- {b]", "line 2, column 5: invalid YAML: "),
        (
            read_yaml,
            "a: !!python/object x",
            "line 1, column 4: invalid YAML: could not determine a constructor",
        ),
        (read_yaml, "[" * 100, "line 1, column 53: invalid YAML: nested too deeply"),
    ],
)
def test_a_syntax_error_is_reported_with_its_position(read: Reader, text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read(text)
    assert str(error.value).startswith(message)


@BOTH
@given(text=st.text(st.sampled_from("[]{}\",: \n-'atrun=1&*!|")) | st.text())
def test_any_text_is_parsed_or_raises_scenario_error(read: Reader, text: str) -> None:
    try:
        read(text)
    except ScenarioError as error:
        assert str(error)


def test_without_pyyaml_only_json_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ScenarioError, match="pip install 'mock-fal\\[yaml\\]'"):
        read_yaml("- nsfw")
    assert read_json('["nsfw"]') == [parse_directive("nsfw")]


def test_the_suffix_selects_json_or_yaml(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(JSON_TEXT)
    (tmp_path / "a.yaml").write_text(YAML_TEXT)
    assert read_file(str(tmp_path / "a.json")) == read_file(str(tmp_path / "a.yaml")) == RULES


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('["rum=2"]')
    with pytest.raises(ScenarioError) as error:
        read_file(str(path))
    assert str(error.value).startswith(f"{path}: rule 1, line 1, column 2: text column 1: unknown option")
    with pytest.raises(SettingsError, match="^--scenario: can't read .*: No such file"):
        read_file(str(tmp_path / "none.json"))
