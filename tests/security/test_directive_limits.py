"""Directives and rules are anybody's text: reading and matching them takes a bounded number of steps."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import translate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from mock_fal.clock import EPOCH
from mock_fal.emulation.submissions import mentions_directive
from mock_fal.errors import JSON, ScenarioError, SettingsError
from mock_fal.requests import lifecycle
from mock_fal.requests.lifecycle import Schedule, logs, next_change
from mock_fal.scenario import options, patterns, rule_file, rules, syntax
from mock_fal.scenario.directive import Directive, parse_directive, parse_rule
from mock_fal.scenario.options import MAX_LOGS, OPTIONS
from mock_fal.scenario.output import MAX_VALUES as MAX_OUTPUT_VALUES
from mock_fal.scenario.output import File, output_of
from mock_fal.scenario.patterns import (
    MAX_GLOB,
    MAX_PATTERN,
    MAX_PROGRAM,
    MAX_SEARCHED,
    matches_expression,
    matches_glob,
    program_size,
)
from mock_fal.scenario.rule_file import MAX_FILE, MAX_YAML, read_file, read_json, read_yaml
from mock_fal.scenario.rules import (
    MAX_COUNTED_TEXT,
    MAX_DIRECTIVES,
    MAX_RULES,
    MAX_RULES_PROGRAM,
    MAX_RULES_TEXT,
    MAX_SEARCHED_TEXT,
    MAX_VALUES,
    Call,
    Choice,
    Scenario,
    directives_in,
    prompt_of,
)
from mock_fal.scenario.syntax import (
    MAX_DEPTH,
    MAX_OPTIONS,
    MAX_RULE_TEXT,
    MAX_TEXT,
    format_option,
    read_options,
)
from mock_fal.web.control import scenario as control
from tests.strategies import directives
from tests.web.conftest import OURS, QUEUE, SCHNELL, Fal, open_fal

BACKTRACKS = "(a+)+$"
SCENARIO = f"{OURS}/_mock/scenario"


@pytest.fixture
def fal() -> Iterator[Fal]:
    with open_fal() as fal:
        yield fal


class Counter:
    """Counts the calls of a function and the characters of their first argument."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
        self.calls = self.characters = 0
        self._original: Callable[..., Any] = getattr(module, name)
        monkeypatch.setattr(module, name, self)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        self.calls += 1
        if arguments and isinstance(arguments[0], str | bytes):
            self.characters += len(arguments[0])
        return self._original(*arguments, **keywords)


def failure(read: Callable[[], object]) -> str:
    with pytest.raises(ScenarioError) as error:
        read()
    message = str(error.value)
    assert len(message) < 2000  # a long text is not repeated; the longest has the names of all errors
    return message


def nested(levels: int, inner: JSON = 1) -> JSON:
    for _ in range(levels):
        inner = {"a": inner}
    return inner


# -- regular expressions


def test_an_expression_that_backtracks_in_re_is_answered(fal: Fal) -> None:
    """Python's `re` takes 2**60 steps for it."""
    prompt = f"{'a' * 60}! [mock: nsfw prompt={BACKTRACKS}]"
    answer = fal.request("POST", f"{QUEUE}/{SCHNELL}", body=json.dumps({"prompt": prompt}).encode())
    assert answer.status_code == 200
    assert not matches_expression(BACKTRACKS, prompt)
    assert matches_expression(BACKTRACKS, "a" * 60)


@pytest.mark.parametrize("pattern", [BACKTRACKS, "(x+x+)+y", "(a|a)*b", "(.*a){12}x"])
def test_the_steps_of_a_search_are_instructions_times_bytes(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RE2 is linear in the text, and in the program where it has no automaton."""
    compiled = patterns._compiled(pattern)
    assert type(compiled).__module__ == "re2"
    assert compiled.programsize <= MAX_PROGRAM
    searched: list[int] = []

    class Recorder:
        programsize = compiled.programsize

        def search(self, text: bytes) -> object | None:
            searched.append(len(text))
            return compiled.search(text)

    monkeypatch.setattr(patterns, "_compiled", lambda pattern: Recorder())
    matches_expression(pattern, "é" * 1_000_000)
    assert searched == [MAX_SEARCHED]


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", "(?=a)b", "(?!a)b", "(?<=a)b", "(?P<n>a)(?P=n)", "(?>a)", "(?(1)a|b)", "a++"]
)
def test_an_expression_that_has_no_bound_is_rejected_with_its_column(pattern: str) -> None:
    message = failure(lambda: parse_directive(f"nsfw prompt={pattern}"))
    assert message.startswith(
        f"column 6: prompt: {pattern!r} is not a regular expression of RE2, which has no"
    )


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a" * (MAX_PATTERN + 1), f"has {MAX_PATTERN + 1} characters, expected at most {MAX_PATTERN}"),
        ("(a?){401}", f"instructions, expected at most {MAX_PROGRAM}"),
        (r"\pL\pN", "instructions, expected at most"),
        (r"\pL{1000}", "pattern too large"),
        ("\ud800", "has half of a surrogate pair"),
    ],
)
def test_a_large_expression_is_rejected(pattern: str, reason: str) -> None:
    message = failure(lambda: parse_directive(f"prompt={pattern} nsfw"))
    assert message.startswith("column 1: prompt: ")
    assert reason in message


def test_the_expressions_of_one_request_have_a_limit_together(fal: Fal) -> None:
    size = program_size("a{100}")
    one = "[mock: nsfw prompt=a{100}]"
    most = MAX_PROGRAM // size
    codes = [
        fal.request(
            "POST", f"{QUEUE}/{SCHNELL}", body=json.dumps({"prompt": one * count}).encode()
        ).status_code
        for count in (most, most + 1)
    ]
    assert codes == [200, 400]


def test_the_expressions_of_all_rules_have_a_limit_together() -> None:
    directive = parse_directive("nsfw prompt=a{300}")
    many = MAX_RULES_PROGRAM // program_size(directive.prompt) + 1
    message = failure(lambda: Scenario().replace([directive] * many))
    assert message.startswith("the regular expressions of the rules have")


def test_a_prompt_with_half_of_a_surrogate_pair_is_searched() -> None:
    assert matches_expression("cat", "\ud800 cat")


def test_only_the_searched_part_of_a_prompt_is_kept_with_a_request() -> None:
    assert len(prompt_of({"prompt": "é" * 1_000_000}).encode()) == MAX_SEARCHED
    assert prompt_of({"prompt": "é"}) == "é"


def test_re2_is_loaded_with_the_first_expression() -> None:
    program = (
        "import sys; from mock_fal.scenario.rules import parse_rule;"
        "parse_rule('nsfw endpoint=fal-ai/*', {}); print('re2' in sys.modules);"
        "parse_rule('nsfw prompt=a', {}); print('re2' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "True"]


# -- globs


def test_a_glob_searches_forward_only() -> None:
    """Each `*` but the last is an atomic group: what follows it is searched once from each position at most."""
    written = translate("*a*a*a*a[b-c]?*d")
    assert written.count("(?>.*?") == written.count(".*") - 1
    assert not matches_glob("*a" * (MAX_GLOB // 2), "a" * 99)
    assert matches_glob("fal-ai/*/d?v", "fal-ai/flux/dev")


def test_a_long_glob_is_rejected(fal: Fal) -> None:
    glob = "*a" * MAX_GLOB
    assert failure(lambda: parse_directive(f"nsfw endpoint={glob}")).endswith(
        f"has {2 * MAX_GLOB} characters, expected at most {MAX_GLOB}"
    )
    assert fal.request("GET", f"{OURS}/_mock/requests?endpoint={glob}").status_code == 422


# -- directives in an input


def test_texts_that_begin_like_directives_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = Counter(monkeypatch, rules, "_starts_with_option")
    message = failure(lambda: directives_in("[mock " * 1_000_000))
    assert message == f"column {6 * MAX_DIRECTIVES + 1}: more than {MAX_DIRECTIVES} directives in an input"
    assert looked_at.calls == MAX_DIRECTIVES


def test_directives_are_counted_over_all_texts_of_an_input(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Counter(monkeypatch, rules, "read_options")
    assert "more than" in failure(lambda: directives_in({"a": ["[mock: nsfw]"] * 10_000}))
    assert read.calls == MAX_DIRECTIVES


@pytest.mark.parametrize(
    "start", ["[mock: nsfw endpoint=", "[mock: msg='", '[mock: body="', "[mock: x", "[mock: "]
)
def test_a_long_directive_is_refused_where_it_begins(start: str) -> None:
    message = failure(lambda: directives_in(start + "a " * 10_000_000))
    assert re.match(r"column \d+: more than (32768 characters|64 options)$", message)


def test_a_long_rule_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Counter(monkeypatch, syntax, "_end")
    assert (
        failure(lambda: parse_directive("run=1 " * 1_000_000)) == f"column 1: more than {MAX_TEXT} characters"
    )
    assert read.calls == 0


def test_all_directives_of_an_input_share_the_limits() -> None:
    longest = f"[mock: status=500 body={'x' * (MAX_TEXT // 2)}]"
    assert "characters" in failure(lambda: directives_in([longest, longest]))
    assert "options" in failure(lambda: directives_in([f"[mock: {'run=1 ' * 30}]"] * 3))


@pytest.mark.parametrize("values", [['[","', ',",","'], ["[1,", "1,1,"], ["{", '"a":1,'], ["[[[[", "[[[["]])
def test_values_that_look_like_json_are_read_a_limited_number_of_times(
    values: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, rest = values
    read = Counter(monkeypatch, syntax, "_json_end")
    text = " ".join(f"x={begin}" for _ in range(MAX_OPTIONS)) + rest * MAX_TEXT
    failure(lambda: directives_in(f"[mock: {text}]"))
    assert read.calls <= MAX_OPTIONS
    assert read.characters <= MAX_OPTIONS * MAX_TEXT


def test_only_the_beginning_of_a_large_input_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    directive = "[mock: run=5]"
    assert directives_in([0] * (MAX_VALUES - 2) + [directive]) == [parse_directive("run=5")]
    assert directives_in([0] * MAX_VALUES + [directive]) == []
    assert directives_in(["x" * MAX_SEARCHED_TEXT, directive]) == [parse_directive("run=5")]
    assert directives_in(["[" * MAX_SEARCHED_TEXT, directive]) == []


def test_a_body_is_scanned_for_directives_without_a_pattern() -> None:
    assert not mentions_directive(b"[" * 1_000_000)
    assert mentions_directive(b"[" * 1_000_000 + b"mock")


# -- rules


def test_options_are_counted_in_every_spelling() -> None:
    names = {f"a{number}": "b" for number in range(10_000)}
    limit = f"more than {MAX_OPTIONS} options"
    assert limit in failure(lambda: parse_directive("run=1 " * 1000))
    assert limit in failure(lambda: parse_rule("", {"status": 500, "headers": names}))
    assert limit in failure(lambda: read_json(json.dumps([{"status": 500, "headers": names}])))
    assert limit in failure(lambda: parse_rule("run=1 " * MAX_OPTIONS, {"run": 2}))


def test_a_misspelled_name_is_compared_only_if_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """difflib takes a time proportional to the product of both lengths."""
    compared = Counter(monkeypatch, __import__("difflib"), "get_close_matches")
    failure(lambda: parse_directive("nfsw"))
    assert compared.calls == 1
    failure(lambda: parse_directive("q" * 30_000))
    failure(lambda: parse_directive(f"error={'q' * 30_000}"))
    assert compared.calls == 1


def test_a_list_of_rules_is_counted_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Counter(monkeypatch, rule_file, "directive_of")
    message = failure(lambda: read_json(json.dumps(["run=1"] * 100_000)))
    assert message == f"100000 rules, expected at most {MAX_RULES}"
    assert read.calls == 0
    failure(lambda: read_yaml("- run=1\n" * 100_000))
    assert read.calls == MAX_RULES


@pytest.mark.parametrize(("read", "limit"), [(read_json, MAX_FILE), (read_yaml, MAX_YAML)])
def test_a_long_text_is_refused_before_it_is_parsed(
    read: Callable[[str], list[Directive]], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [Counter(monkeypatch, rule_file, name) for name in ("_json_items", "_yaml_items")]
    message = failure(lambda: read(" " * (limit + 1)))
    assert message == f"the rules have {limit + 1} characters, expected at most {limit}"
    assert [item.calls for item in items] == [0, 0]


def test_a_member_may_be_longer_than_a_directive_as_text() -> None:
    long = "x" * (MAX_TEXT + 1)
    rules = [{"status": 500, "body": long}, {"endpoint": "me/app", "output": {"a": long}}]
    body, output = read_json(json.dumps(rules))
    assert body.body == long and output.output == output_of({"a": long})
    assert len(str(body)) > MAX_TEXT and len(body.shown) < MAX_TEXT + 100
    assert "more than 32768 characters" in failure(lambda: parse_directive(f"status=500 body={long}"))
    assert "more than 32768 characters" in failure(lambda: directives_in(f'[mock: output={{"a":"{long}"}}]'))
    assert "characters" in failure(lambda: parse_rule("", {"status": 500, "body": "x" * (MAX_RULE_TEXT + 1)}))


def test_an_output_has_limits_of_its_own() -> None:
    assert "characters, expected at most" in failure(lambda: output_of("x" * MAX_RULE_TEXT))
    assert "more than 50000 values" in failure(lambda: output_of([0] * MAX_OUTPUT_VALUES))
    assert "more than 50 files" in failure(lambda: output_of([File("image")] * 51))
    assert "nested too deeply" in failure(lambda: output_of(nested(MAX_DEPTH + 1)))
    assert "Circular" in failure(lambda: output_of(circular()))
    assert "upload it" in failure(lambda: File(b"x" * MAX_RULE_TEXT))


def circular() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


def test_positions_are_found_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines were counted from the start of the text for every member."""
    text = json.dumps([{"run": 1, "nsfw": True}] * MAX_RULES, indent=1)
    scans = Counter(monkeypatch, rule_file, "_json_positions")
    assert len(read_json(text)) == MAX_RULES
    assert scans.characters == len(text)


def test_the_text_of_all_rules_has_a_limit() -> None:
    scenario = Scenario()
    directive = parse_rule("", {"status": 500, "body": "x" * 3_000_000})
    many = MAX_RULES_TEXT // 3_000_000
    scenario.replace([directive] * (many - 1))
    assert "characters, expected at most" in failure(lambda: scenario.replace([directive] * 5, keep=True))
    assert len(scenario.rules) == many - 1


def test_the_text_of_counted_directives_has_a_limit() -> None:
    scenario = Scenario()
    texts = [f"times=1 status=500 body={number}{'x' * 30_000}" for number in range(50)]
    for text in texts:
        scenario.choose_directive(Choice(Call("submit")), parse_directive(text))
    kept = sum(map(len, scenario._counted))
    assert kept == scenario._counted_text <= MAX_COUNTED_TEXT
    assert str(parse_directive(texts[-1])) in scenario._counted


def test_a_rule_derives_its_text_and_operations_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = Scenario()
    scenario.replace([parse_directive("queue=1 operation=run")] * 100)
    derived = Counter(monkeypatch, Directive, "_in_group")
    scenario.choose(Choice(Call("status")))
    _ = [str(rule) for rule in scenario.rules]
    assert derived.calls == 0


# -- documents


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 900, 100_000])
def test_deep_json_is_refused(levels: int) -> None:
    deep = '{"a":' * levels + "1" + "}" * levels
    assert "nested too deeply" in failure(lambda: read_json(f'[{{"merge":{deep}}}]'))
    assert "merge: " in failure(lambda: parse_directive(f"merge={deep}"[:MAX_TEXT]))


def test_deep_values_of_keywords_are_refused() -> None:
    assert "nested too deeply" in failure(lambda: parse_rule("", {"merge": nested(MAX_DEPTH + 1)}))
    assert parse_rule("", {"merge": nested(MAX_DEPTH)}).merge == nested(MAX_DEPTH)
    assert "nested too deeply" in failure(lambda: parse_rule("", {"merge": nested(900)}))
    assert "expected names with dots" in failure(lambda: parse_directive(f"set_null={'a.' * 1000}a"))


def test_a_number_with_thousands_of_digits_is_refused() -> None:
    digits = "1" * 5000
    assert "invalid JSON" in failure(lambda: read_json(f'[{{"status": {digits}}}]'))
    assert "invalid YAML" in failure(lambda: read_yaml(f"- {{status: {digits}}}"))
    assert "merge: " in failure(lambda: parse_directive(f'merge={{"a":{digits}}}'))
    assert "status" in failure(lambda: parse_rule("", {"status": 10**5000}))
    assert "run: " in failure(lambda: parse_directive(f"run={digits}"))


@pytest.fixture(params=["in C", "in Python"])
def yaml_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "in Python":
        monkeypatch.delattr("yaml.CSafeLoader")
    return str(request.param)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- &a nsfw\n- *a", "line 1, column 3: YAML with an anchor is not read; write the rule out"),
        ("- nsfw\n- *a", "line 2, column 3: YAML with an alias is not read; write the rule out"),
        ("- {merge: &a {x: *a}}", "line 1, column 11: YAML with an anchor"),
        ("- {<<: {run: 1}}", "rule 1, line 1, column 4: unknown option '<<'"),
        (f"- {{merge: {'[' * 100}", "line 1, column 61: invalid YAML: nested too deeply"),
        (f"- {{run: {'1:' * 1000}1}}", "line 1, column 9: invalid YAML: '1:1:"),
        ("- {run: !!int x}", "line 1, column 9: invalid YAML: 'x' is not a int"),
        ("- {run: !!set {a, b}}", "line 1, column 9: invalid YAML: could not determine a constructor"),
        ("- {{a: 1}: 1}", "line 1, column 4: invalid YAML: expected a text as name"),
        ("- nsfw\n---\n- nsfw", "line 2, column 1: invalid YAML: expected one document"),
    ],
)
def test_yaml_is_read_without_what_grows(yaml_parser: str, text: str, message: str) -> None:
    assert failure(lambda: read_yaml(text)).startswith(message)


def test_an_alias_is_refused_before_anything_is_built(
    yaml_parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine levels of nine aliases stand for 387 million values."""
    lines = ["- &a [x]"]
    lines += [f"- &{chr(98 + at)} [{','.join(['*' + chr(97 + at)] * 9)}]" for at in range(9)]
    built = Counter(monkeypatch, rule_file, "directive_of")
    failure(lambda: read_yaml("\n".join(lines)))
    assert built.calls == 0


def test_the_values_of_yaml_are_those_of_json(yaml_parser: str) -> None:
    """Dates became objects, and `yes` as a name ended in a KeyError."""
    text = "- {status: 500, body: 2026-01-31, header.a: '1', header.b: 2}\n- {merge: {yes: [~, no, 1.5, 2026-99-99]}}"
    assert read_yaml(text) == [
        parse_directive("status=500 body=2026-01-31 header.a=1 header.b=2"),
        parse_directive('merge={"yes":[null,false,1.5,"2026-99-99"]}'),
    ]
    assert "unknown option 'yes'" in failure(lambda: read_yaml("- {yes: 1}"))


# -- the control API and files


@pytest.mark.parametrize("content_type", ["application/json", "application/yaml"])
def test_a_long_body_is_not_read_to_its_end(content_type: str) -> None:
    received = 0

    async def receive() -> dict[str, object]:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": b" " * 65_536, "more_body": True}

    headers = [(b"content-type", content_type.encode())]
    request = Request({"type": "http", "method": "PUT", "path": "/", "headers": headers}, receive)
    assert failure(lambda: asyncio.run(control._read(request, Scenario()))).startswith(
        "the body has more than"
    )
    assert received == MAX_FILE // 65_536 + 1


def test_a_long_list_is_read_in_slices() -> None:
    """Requests of other clients are answered between them."""
    turns = 0

    async def read() -> list[rules.Rule]:
        nonlocal turns
        reading = asyncio.create_task(control._read(request, Scenario()))
        while not reading.done():
            await asyncio.sleep(0)
            turns += 1
        return await reading

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": json.dumps(["queue=1"] * MAX_RULES).encode()}

    request = Request({"type": "http", "method": "PUT", "path": "/", "headers": []}, receive)
    assert len(asyncio.run(read())) == MAX_RULES
    assert turns >= MAX_RULES // control._SLICE


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([{"merge": nested(900)}]).encode(),
        b"[" * 100_000,
        b'[{"status": ' + b"1" * 5000 + b"}]",
        json.dumps(["run=1"] * 100_000).encode(),
        b"\xff",
    ],
)
def test_wrong_rules_are_a_422(fal: Fal, body: bytes) -> None:
    assert fal.request("PUT", SCENARIO, body=body).status_code == 422


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO on this system")
def test_only_a_regular_file_of_limited_size_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "long").write_text(" " * (MAX_FILE + 1))
    for name, reason in (
        (str(tmp_path / "fifo"), "it is not a regular file"),
        ("/dev/zero", "it is not a regular file"),
        (str(tmp_path), "it is not a regular file"),
        (str(tmp_path / "long"), f"it has {MAX_FILE + 1} bytes, the limit is {MAX_FILE}"),
    ):
        with pytest.raises(SettingsError) as error:
            read_file(name)
        assert str(error.value) == f"--scenario: can't read {name}: {reason}"


# -- log lines


def test_the_number_of_log_lines_is_limited() -> None:
    assert parse_directive(f"logs={MAX_LOGS}").logs == MAX_LOGS == 1_000
    assert failure(lambda: parse_directive("logs=100000")).endswith("a whole number from 0 to 1000")


def test_the_next_line_is_found_without_making_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = Counter(monkeypatch, lifecycle, "_logged_at")
    made = Counter(monkeypatch, lifecycle, "line")
    timetable = Schedule(EPOCH, EPOCH, EPOCH + 100, 100)
    next_change(timetable, MAX_LOGS, EPOCH + 50)
    assert len(logs(timetable, MAX_LOGS, EPOCH + 50)) == MAX_LOGS // 2
    assert computed.calls <= 2 * (MAX_LOGS.bit_length() + 1)
    assert made.calls == 0


def test_an_event_with_new_lines_makes_only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    timetable = Schedule(EPOCH, EPOCH, EPOCH + 100, 100)
    made = Counter(monkeypatch, lifecycle, "line")
    assert len(logs(timetable, MAX_LOGS, EPOCH + 50)[498:]) == 2
    assert made.calls == 2


# -- any text

PIECES = [
    *OPTIONS, "=", "='", '="', "={", "=[", "'", '"', "{", "}", "[", "]", " ", "\t", "\n", ",", ":", "\\", ".", "*",
    "503", "status=503", "body=", "header.a=", "ctx.b=", '"a":', "[1]", "{}", "[mock:", "[mock", "é", "\ud800", "\0",
    "prompt=(a+)+$", "error=image_too_small", "times=2", "(?=a)", "a" * 60,
]  # fmt: skip


def texts() -> st.SearchStrategy[str]:
    """Texts near the grammar: its pieces in any order, whole directives, and both cut anywhere."""
    pieces = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=60).map("".join)
    options = st.builds(
        format_option, st.sampled_from([*OPTIONS, "header.a", "ctx.a"]), st.none() | st.text(max_size=9)
    )
    near = st.lists(options, max_size=8).map(" ".join)
    whole = pieces | near | directives().map(str)
    return whole | st.builds(lambda text, at: text[:at], whole, st.integers(0, 80))


def columns(message: str) -> int:
    match = re.match(r"column (\d+): ", message)
    assert match, message
    return int(match[1])


@settings(max_examples=300)
@given(texts())
def test_any_text_is_a_directive_or_an_error_inside_the_text(text: str) -> None:
    try:
        directive = parse_directive(text)
    except ScenarioError as error:
        assert 1 <= columns(str(error)) <= len(text)
    else:
        assert parse_directive(str(directive)) == directive
        assert read_json(json.dumps([str(directive)])) == [directive]


@settings(max_examples=300)
@given(st.lists(texts(), min_size=1, max_size=3), st.booleans())
def test_any_input_has_directives_or_an_error_inside_one_of_its_texts(parts: list[str], opened: bool) -> None:
    document = [f"a cat [mock: {part}] and" if opened else part for part in parts]
    try:
        found = directives_in(document)
    except ScenarioError as error:
        assert 1 <= columns(str(error)) <= max(map(len, document))
    else:
        assert [parse_directive(str(directive)) for directive in found] == found


@settings(max_examples=200)
@given(texts(), st.booleans())
def test_the_steps_of_the_parser_are_linear_in_the_text(text: str, bracketed: bool) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        steps = Counter(monkeypatch, syntax, "_end")
        json_steps = Counter(monkeypatch, syntax, "_json_end")
        try:
            read, _ = read_options(text, opened=0 if bracketed else None)
        except ScenarioError:
            read = []
    # At most a space, a name and a value for each option, which has a character at least, and the last space.
    assert steps.calls <= 3 * (len(text) + 1)
    assert json_steps.calls <= text.count("=")
    assert sum(len(option.name) + len(option.value or "") for option in read) <= len(text)


@settings(max_examples=200)
@given(directives())
def test_a_directive_survives_a_file_in_json_and_in_yaml(directive: Directive) -> None:
    text = str(directive)
    assert read_json(json.dumps([text])) == [directive]
    if text.isprintable():  # YAML has no other characters
        assert read_yaml(json.dumps([text], ensure_ascii=False)) == [directive]


def test_the_fuzzed_options_are_all_there_are() -> None:
    assert set(OPTIONS) <= set(PIECES)
    assert list(OPTIONS) == list(Directive._fields)  # `option_names` relies on the order
    assert options.MAX_LOGS == MAX_LOGS
