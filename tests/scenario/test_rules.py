from __future__ import annotations

import json
from functools import reduce
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.emulation.submissions import mentions_directive
from mock_fal.errors import JSON, ScenarioError
from mock_fal.scenario.directive import NO_DIRECTIVE, Directive, merge_outcomes, parse_directive, parse_rule
from mock_fal.scenario.options import OPERATIONS, OPTIONS, OptionGroup
from mock_fal.scenario.output import output_of
from mock_fal.scenario.rules import (
    MAX_RULES,
    Call,
    Choice,
    Scenario,
    choose,
    directives_in,
    prompt_of,
)
from mock_fal.scenario.syntax import format_option, read_options
from tests.strategies import directives, documents, spellings

DEV = "fal-ai/flux/dev"
ENDPOINTS = (DEV, "fal-ai/flux/schnell", "fal-ai/flux-1/dev")


# -- syntax


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", []),
        ("  ", []),
        ("nsfw", [("nsfw", None)]),
        ("\trun=0\n", [("run", "0")]),
        ("a= b", [("a", ""), ("b", None)]),
        ("a='x y' b=\"it's\"", [("a", "x y"), ("b", "it's")]),
        ("a='it''s'", [("a", "it's")]),
        ("a=it's", [("a", "it's")]),
        ('a={"b": [1, "]"]} c', [("a", '{"b": [1, "]"]}'), ("c", None)]),
        ("a=[x]y", [("a", "[x]y")]),
        ("a={bad b", [("a", "{bad"), ("b", None)]),
    ],
)
def test_an_option_has_a_name_and_an_optional_value(text: str, options: list[tuple[str, str | None]]) -> None:
    assert [(option.name, option.value) for option in read_options(text)[0]] == options


@given(st.text("abc.", min_size=1), st.none() | st.text())
def test_a_formatted_option_reads_back_equal_also_in_brackets(name: str, value: str | None) -> None:
    text = format_option(name, value)
    for source, opened in ((text, None), (text + "] rest", 0)):
        (option,), _ = read_options(source, opened=opened)
        assert (option.name, option.value) == (name, value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run=2 msg='x", "column 11: the quote is not closed"),
        ("msg='x'y", "column 8: expected a space after the closing quote; double a quote inside quotes"),
    ],
)
def test_a_wrong_quote_is_reported_with_its_column(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read_options(text)
    assert str(error.value) == message


# -- directives


@pytest.mark.parametrize(
    ("text", "directive"),
    [
        ("", NO_DIRECTIVE),
        ("queue=2", Directive(queue=2.0)),
        ("queue=0.5 run=5", Directive(queue=0.5, run=5.0)),
        ("run=1 run=2", Directive(run=2.0)),
        (
            "position=3 logs=100 nsfw cancel=honoured",
            Directive(position=3, logs=100, nsfw=True, cancel="honoured"),
        ),
        (
            "error=image_too_small msg='too small' loc=body.images.0 ctx.min_width=512 ctx.why=so retry=true",
            Directive(
                error="image_too_small",
                msg="too small",
                loc=("body", "images", 0),
                ctx=(("min_width", 512), ("why", "so")),
                retry=True,
            ),
        ),
        (
            "error=concurrent_requests_limit retry_after=3",
            Directive(error="concurrent_requests_limit", retry_after=3),
        ),
        (
            'output={"text":"hello"} billed=2.5',
            Directive(output=output_of({"text": "hello"}), billed=2.5),
        ),
        ("status=503 detail='not now'", Directive(status=503, detail="not now")),
        (
            'operation=status times=2 status=500 body={"a": 1} header.Retry-After=5',
            Directive(
                operation="status", times=2, status=500, body='{"a": 1}', header=(("retry-after", "5"),)
            ),
        ),
        ('merge={"a":null} set_null=b.0', Directive(merge={"a": None}, set_null=("b", 0))),
        (
            "endpoint=fal-ai/* prompt='^a cat' key=ana nth=2 nsfw",
            Directive(endpoint="fal-ai/*", prompt="^a cat", key="ana", nth=2, nsfw=True),
        ),
        ("after=3 account=locked", Directive(after=3, account="locked")),
        (
            "account=locked reason=archived reads=allowed",
            Directive(account="locked", reason="archived", reads="allowed"),
        ),
        (
            'operation=webhook status=500 payload={"a":1} late=5',
            Directive(operation="webhook", status=500, payload='{"a":1}', late=5.0),
        ),
        (
            "json=empty throttle=100 connection=reset_after_headers",
            Directive(json="empty", throttle=100, connection="reset_after_headers"),
        ),
        ("ingress=502", Directive(ingress=502)),
        ("webhook=duplicate", Directive(webhook="duplicate")),
        ("result=expired", Directive(result="expired")),
        ("file=missing", Directive(file="missing")),
        ("token=expired", Directive(token="expired")),
    ],
)
def test_every_option_is_parsed(text: str, directive: Directive) -> None:
    assert parse_directive(text) == directive


def test_the_cases_above_cover_every_option() -> None:
    cases: list[Any] = test_every_option_is_parsed.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {name for _, directive in cases for name in directive.option_names} == set(OPTIONS)


@given(directives())
def test_a_directive_as_text_parses_back_equal(directive: Directive) -> None:
    assert parse_directive(str(directive)) == directive
    assert directives_in(f"a cat [mock: {directive}] and a dog") == [directive]


@given(st.text() | st.lists(st.sampled_from([*OPTIONS, "=", "'", '"', "{", " ", "1", "]"])).map("".join))
def test_any_text_is_parsed_or_raises_scenario_error(text: str) -> None:
    try:
        directive = parse_directive(text)
    except ScenarioError as error:
        assert str(error).startswith("column ")
    else:
        assert parse_directive(str(directive)) == directive


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qeue=2", "column 1: unknown option 'qeue'; did you mean 'queue'?"),
        ("run=1 nfsw", "column 7: unknown option 'nfsw'; did you mean 'nsfw'?"),
        ("nsfw.x=1", "column 1: unknown option 'nsfw.x'; did you mean 'nsfw'?"),
        ("nsfw  run=fast", "column 7: run: 'fast', expected seconds from 0 to 100000"),
        ("run=-1", "column 1: run: '-1', expected seconds from 0 to 100000"),
        ("queue=nan", "column 1: queue: 'nan', expected seconds from 0 to 100000"),
        ("queue", "column 1: queue: a value is missing, expected queue=SECONDS (no space around =)"),
        ("nsfw=1", "column 1: nsfw: takes no value, got '1'"),
        ("cancel=maybe", "column 1: cancel: 'maybe', expected honoured or ignored"),
        ("status=99", "column 1: status: '99', expected a whole number from 200 to 599"),
        ("times=0 nsfw", "column 1: times: '0', expected a whole number from 1 to 1000000000"),
        (
            "prompt=( nsfw",
            "column 1: prompt: '(' is not a regular expression of RE2, which has no look-around and no"
            " backreferences: missing ): (",
        ),
        ("merge=[1]", "column 1: merge: '[1]', expected a JSON object, as in merge={\"new\":1}"),
        ("header=5", "column 1: header: a name is missing, as in header.NAME=VALUE"),
        (
            "header.Content-Length=5",
            "column 1: header.Content-Length: 'Content-Length' is not a header that can be set",
        ),
        ("header.a='b\nc'", "column 1: header.a: 'b\\nc' is not allowed in a header"),
        (
            "error=image_too_small loc=a..b",
            "column 23: loc: 'a..b', expected names with dots between them, as in body.prompt",
        ),
        ("msg=x", "column 1: msg: describes an error, but error=TYPE is missing"),
        ("error=internal_error loc=a", "column 22: loc: internal_error is a request error, which has no loc"),
        (
            "error=image_too_small retry_after=1",
            "column 23: retry_after: image_too_small is a model error, which has no Retry-After",
        ),
        ("nsfw body=x", "column 6: body: describes a response, but status=CODE is missing"),
        ("status=500 detail=a body=b", "column 21: body: can't be combined with detail"),
        (
            "status=503 ingress=502",
            "column 12: ingress: can't be combined with status: both replace the response",
        ),
        ("times=2", "column 1: times: is a condition, but no option sets an outcome or a response"),
        (
            "operation=status queue=5",
            "column 1: operation: queue= applies to submit, run, stream or realtime, not to status",
        ),
        ("operation=status file=expired", "column 1: operation: file= applies to download, not to status"),
        ('operation=download merge={"a":1}', "column 20: merge: a downloaded file is not JSON"),
        (
            "queue=5 status=503 operation=status times=2",
            "column 37: times: the options apply to different operations; write one directive for each",
        ),
        (
            "error=content_policy_violatoin",
            "column 1: error: 'content_policy_violatoin' is not an error type of fal;"
            " did you mean 'content_policy_violation'?",
        ),
        (
            "operation=submit error=concurrent_requests_limit",
            "column 18: error: queued requests wait at the limit, so no submission receives"
            " concurrent_requests_limit; to refuse a submission, use status=429 retry_after=1 times=1",
        ),
    ],
)
def test_an_error_names_the_column_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        parse_directive(text)
    assert str(error.value) == message


def test_keywords_are_the_same_options() -> None:
    rule = parse_rule(
        "times=2", {"operation": "status", "status": 503, "headers": {"A": "b"}, "body": {"a": [1]}}
    )
    assert rule == parse_directive('times=2 operation=status status=503 header.A=b body={"a":[1]}')
    assert parse_rule("", {"nsfw": True, "queue": 1.5, "times": None}) == parse_directive("nsfw queue=1.5")
    assert parse_rule("run=1", {"nsfw": False}) == parse_directive("run=1")
    error = {"error": "image_too_small", "loc": ["body", "a"], "ctx": {"min_width": "512"}, "retry": False}
    assert parse_rule("", error).ctx == (("min_width", "512"),)


def test_an_unknown_keyword_is_reported_without_a_column() -> None:
    with pytest.raises(ScenarioError, match="^unknown option 'rum'; did you mean 'run'?"):
        parse_rule("", {"rum": 2})


def test_the_upper_directive_takes_precedence() -> None:
    lower = parse_directive("queue=1 run=2 nsfw error=image_too_small msg=x")
    assert merge_outcomes(lower, parse_directive("run=5")) == parse_directive(
        "queue=1 run=5 nsfw error=image_too_small msg=x"
    )
    assert merge_outcomes(lower, parse_directive("error=internal_error")) == parse_directive(
        "queue=1 run=2 nsfw error=internal_error"
    )
    assert merge_outcomes(lower, NO_DIRECTIVE) == lower


def test_each_option_applies_to_its_operations() -> None:
    submissions = {"submit", "run", "stream", "realtime"}
    assert parse_directive("queue=1").outcome_operations == submissions
    assert parse_directive("queue=1 operation=run").outcome_operations == {"run"}
    assert parse_directive("status=503").response_operations == submissions
    assert parse_directive("status=503 operation=cancel").response_operations == {"cancel"}
    assert parse_directive("account=locked").response_operations == set(OPERATIONS) - {"download", "webhook"}
    assert parse_directive("result=expired").response_operations == {"result"}
    mixed = parse_directive("queue=5 status=503 operation=status")
    assert mixed.outcome_operations == submissions
    assert mixed.response_operations == {"status"}
    assert parse_directive("error=concurrent_requests_limit retry_after=3").response_operations == set()
    assert {spec.group for spec in OPTIONS.values()} == set(OptionGroup)


def test_the_concurrency_error_applies_to_direct_requests_only() -> None:
    limit = "error=concurrent_requests_limit"
    assert parse_directive(limit).outcome_operations == {"run", "stream", "realtime"}
    assert parse_directive(f"{limit} operation=run").outcome_operations == {"run"}
    assert parse_directive(f"{limit} times=1 header.a=b").response_operations == {"run", "stream", "realtime"}
    assert parse_directive("error=internal_error").outcome_operations == {
        "submit",
        "run",
        "stream",
        "realtime",
    }


# -- in an input


@pytest.mark.parametrize(
    "document",
    [
        "a cat [mock: run=5]",
        "[mock:run=5]",
        "[Mock: run=5]",
        "[ MOCK : run=5 ]",
        {"prompt": "a cat [mock: run=5]"},
        {"prompt": "a cat", "notes": [{"deep": ["[mock: run=5]"]}]},
    ],
)
def test_a_directive_works_in_any_string_of_an_input(document: JSON) -> None:
    assert directives_in(document) == [parse_directive("run=5")]
    assert mentions_directive(json.dumps(document).encode())


@pytest.mark.parametrize(
    "document",
    [
        *(None, 5, "", "mock: run=5", {"[mock: run=5]": "a cat"}, "[mockup: a cat]", "[mock-up of a cat]"),
        *("a [mock drawing of a cat]", "mock nsfw", "[mock]"),
    ],
)
def test_a_similar_text_is_not_a_directive(document: JSON) -> None:
    assert directives_in(document) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a cat [mock nsfw]",
            "column 7: '[mock nsfw]' is not a directive; expected a colon, as in [mock: nsfw]",
        ),
        ("[MOCK qeue=2]", "column 1: '[MOCK qeue=2]' is not a directive; expected a colon"),
        ("a [mock: nsfw", "column 3: the directive has no closing ]"),
        ('[mock: merge={"a":"]"}', "column 1: the directive has no closing ]"),
        ("a cat [mock: run=x]", "column 14: run: 'x'"),
    ],
)
def test_a_mistyped_directive_is_reported_with_the_column_in_its_string(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        directives_in({"prompt": text})
    assert str(error.value).startswith(message)


def test_a_text_may_have_several_directives_with_brackets_inside() -> None:
    text = "[mock: operation=result merge={\"a\":[1]}] and [mock: status=500 body='a]b']"
    assert list(map(str, directives_in(text))) == [
        'operation=result merge={"a":[1]}',
        "status=500 body='a]b'",
    ]


@given(documents())
def test_an_input_without_brackets_has_no_directive(document: JSON) -> None:
    assert directives_in(document) == []


def test_a_deeply_nested_input_is_searched() -> None:
    document = reduce(lambda inner, _: [inner], range(10_000), cast(JSON, "[mock: run=5]"))
    assert directives_in(document) == [parse_directive("run=5")]


@given(spellings("[mock: run=5]"))
def test_a_directive_is_found_in_every_json_spelling(text: str) -> None:
    body = f'{{"prompt":"{text}"}}'.encode()
    assert mentions_directive(body)
    assert directives_in(json.loads(body)) == [parse_directive("run=5")]


@pytest.mark.parametrize("body", [b"", b'{"prompt":"a cat"}', b"\xff\xfe"])
def test_inputs_without_a_directive_are_skipped(body: bytes) -> None:
    assert not mentions_directive(body)


@pytest.mark.parametrize("document", [None, [], "a", {}, {"prompt": 5}])
def test_an_input_may_have_no_prompt(document: JSON) -> None:
    assert prompt_of(document) == ""


# -- rules


@pytest.fixture
def scenario() -> Scenario:
    return Scenario(ENDPOINTS)


def applied(
    scenario: Scenario, endpoint: str = DEV, *, operation: str = "submit", key: str = "", prompt: str = ""
) -> str:
    """The directives that apply to a call, which is then counted."""
    choice = choose(Call(operation, endpoint, key, prompt), scenario, Scenario(), ())
    choice.count()
    return "; ".join(map(str, choice.directives))


def test_a_rule_applies_until_it_is_cleared(scenario: Scenario) -> None:
    assert applied(scenario) == ""
    scenario.add("nsfw")
    assert [applied(scenario) for _ in range(3)] == ["nsfw"] * 3
    scenario.clear()
    assert (applied(scenario), bool(scenario)) == ("", False)


def test_the_latest_rule_has_precedence_until_it_is_used_up(scenario: Scenario) -> None:
    scenario.add("run=1")
    scenario.add("run=2", times=1)
    assert [applied(scenario) for _ in range(2)] == ["times=1 run=2", "run=1"]
    assert [(str(rule), rule.seen, rule.used) for rule in scenario.rules] == [
        ("times=1 run=2", 2, 1),
        ("run=1", 2, 1),
    ]
    assert repr(scenario.rules[0]) == "<rule times=1 run=2, used 1 times>"


@pytest.mark.parametrize(
    ("options", "used"),
    [("nth=2", [2]), ("after=2", [3, 4, 5]), ("times=2", [1, 2]), ("after=1 times=2", [2, 3]), ("nth=9", [])],
)
def test_calls_are_counted(scenario: Scenario, options: str, used: list[int]) -> None:
    scenario.add(f"{options} nsfw")
    assert [number for number in range(1, 6) if applied(scenario)] == used


def test_a_refused_call_does_not_use_up_a_rule(scenario: Scenario) -> None:
    scenario.add("times=1 nsfw")
    choose(Call("submit", DEV), scenario, Scenario(), ())
    assert applied(scenario) == "times=1 nsfw"


@pytest.mark.parametrize(
    ("options", "call", "other"),
    [
        ("endpoint=fal-ai/flux/*", {}, {"endpoint": "fal-ai/flux-1/dev"}),
        ("prompt=^a", {"prompt": "a cat"}, {"prompt": "the cat"}),
        ("key=ana", {"key": "ana"}, {"key": "anabel"}),
        ("operation=run", {"operation": "run"}, {"operation": "submit"}),
    ],
)
def test_a_rule_applies_only_to_matching_calls(
    scenario: Scenario, options: str, call: dict[str, str], other: dict[str, str]
) -> None:
    scenario.add(f"{options} nsfw")
    assert applied(scenario, **call)
    assert not applied(scenario, **other)


def test_the_call_has_precedence_over_the_account_and_that_over_global_rules() -> None:
    own, common = Scenario(), Scenario()
    own.add("queue=1 status=500 operation=run", times=None)
    common.add("queue=2 nsfw")
    directives = [parse_directive("queue=3 run=3"), parse_directive("run=4 status=502 operation=run")]
    choice = choose(Call("run", DEV), own, common, directives)
    assert choice.outcome == parse_directive("queue=3 run=4")
    assert choice.response is directives[1]
    assert choose(Call("status", DEV), own, common, directives).directives == []
    assert choose(Call("submit", DEV), Scenario(), common, ()).outcome.nsfw


def test_directives_are_counted_by_their_options_for_each_account(scenario: Scenario) -> None:
    def applies(own: Scenario, text: str) -> bool:
        choice = choose(Call("submit"), own, Scenario(), [parse_directive(text)])
        choice.count()
        return bool(choice.directives)

    assert [applies(scenario, "times=1 nsfw") for _ in range(2)] == [True, False]
    assert applies(scenario, "nsfw   times=1") is False
    assert applies(Scenario(), "times=1 nsfw") is True


def test_a_choice_as_text_is_its_directives_about_the_outcome() -> None:
    choice = Choice(
        Call("submit"), [parse_directive("queue=1"), parse_directive("status=500"), parse_directive("nsfw")]
    )
    assert str(choice) == "queue=1; nsfw"


def test_a_rule_that_cannot_be_parsed_changes_nothing(scenario: Scenario) -> None:
    scenario.add("run=1")
    for bad in ("rum=2", "run=1 endpoint=fal-ai/fluxx/*"):
        with pytest.raises(ScenarioError):
            scenario.add(bad)
    assert [str(rule) for rule in scenario.rules] == ["run=1"]


def test_a_rule_for_an_unknown_endpoint_is_refused(scenario: Scenario) -> None:
    with pytest.raises(ScenarioError) as error:
        scenario.add("nsfw", endpoint="fal-ai/flux/dav")
    message = (
        "endpoint: 'fal-ai/flux/dav' matches no endpoint of this mock-fal; did you mean 'fal-ai/flux/dev'?"
    )
    assert str(error.value) == message


def test_the_number_of_rules_is_limited(scenario: Scenario) -> None:
    scenario.replace([NO_DIRECTIVE] * MAX_RULES)
    with pytest.raises(ScenarioError, match="^more than 1000 rules"):
        scenario.add("nsfw")


def test_the_callback_is_called_for_rules_about_responses_only() -> None:
    calls: list[int] = []
    scenario = Scenario(on_response_rule=lambda: calls.append(1))
    scenario.add("queue=1")
    assert calls == []
    scenario.add("status=500")
    assert calls == [1]
