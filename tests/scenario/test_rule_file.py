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
- operation: status   # the first two looks
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


def test_yaml_is_read_too() -> None:
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
        ('[\n "run=1",\n {"run": 1,\n  "rum": 2}]', "rule 2, line 4, column 3: unknown word 'rum'"),
        ('["run=1 rum=2"]', "rule 1, line 1, column 2: column 7 of the text: unknown word 'rum'"),
        (
            '["msg=\'x"]',
            "rule 1, line 1, column 2: column 5: the quote that begins here does not end of the text",
        ),
        ("[1]", "rule 1, line 1, column 2: 1, expected a text or an object"),
        ("null", "rule 1, line 1, column 1: None, expected a text or an object"),
        ('[{"status": 503, "ingress": 502}]', "rule 1, line 1, column 18: ingress: replaces the answer"),
    ],
)
def test_a_mistake_is_told_with_rule_line_and_column(read: Reader, text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read(text)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_json, '[\n {"a" 1}]', "line 2, column 7: no JSON: Expecting ':' delimiter"),
        (read_json, "[1] 2", "line 1, column 5: no JSON: Extra data"),
        (read_json, "[" * 100_000, "no JSON that can be read: too deep"),
        (read_yaml, "- a\n- {b", "line 2, column 5: no YAML: "),
        (read_yaml, "a: !!python/object x", "line 1, column 4: no YAML: could not determine a constructor"),
        (read_yaml, "[" * 10_000, "no YAML that can be read: too deep"),
    ],
)
def test_what_is_no_document_is_told_with_its_place(read: Reader, text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read(text)
    assert str(error.value).startswith(message)


@BOTH
@given(text=st.text(st.sampled_from("[]{}\",: \n-'atrun=1&*!|")) | st.text())
def test_any_text_is_rules_or_a_scenario_error(read: Reader, text: str) -> None:
    try:
        read(text)
    except ScenarioError as error:
        assert str(error)


def test_without_pyyaml_json_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ScenarioError, match="pip install 'mock-fal\\[yaml\\]'"):
        read_yaml("- nsfw")
    assert read_json('["nsfw"]') == [parse_directive("nsfw")]


def test_a_file_is_read_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(JSON_TEXT)
    (tmp_path / "a.yaml").write_text(YAML_TEXT)
    assert read_file(str(tmp_path / "a.json")) == read_file(str(tmp_path / "a.yaml")) == RULES


def test_a_file_names_itself_in_its_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('["rum=2"]')
    with pytest.raises(ScenarioError) as error:
        read_file(str(path))
    assert str(error.value).startswith(
        f"{path}: rule 1, line 1, column 2: column 1 of the text: unknown word"
    )
    with pytest.raises(SettingsError, match="^--scenario: can't read .*: No such file"):
        read_file(str(tmp_path / "none.json"))
