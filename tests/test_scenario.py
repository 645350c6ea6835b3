from __future__ import annotations

import json
from functools import reduce
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.errors import JSON, ScenarioError
from mock_fal.scenario import NOTHING, Cue, Scenario, cue_in, mentions_cue, parse_cue
from tests.strategies import documents, error_types, spans, spellings


@pytest.mark.parametrize(
    ("words", "cue"),
    [
        ("", NOTHING),
        ("   ", NOTHING),
        ("queue=2", Cue(queue_s=2.0)),
        ("queue=0.5 run=5", Cue(queue_s=0.5, run_s=5.0)),
        ("\trun=0\n", Cue(run_s=0.0)),
        ("run=100000", Cue(run_s=100_000.0)),
        ("error=content_policy_violation", Cue(error="content_policy_violation")),
        ("error=runner_disconnected", Cue(error="runner_disconnected")),
        ("nsfw", Cue(nsfw=True)),
        ("cancel=honoured", Cue(honours_cancel=True)),
        ("cancel=ignored", Cue(honours_cancel=False)),
        ("nsfw queue=1 run=2 cancel=honoured", Cue(1.0, 2.0, None, True, True)),
        ("run=1 run=2", Cue(run_s=2.0)),
    ],
)
def test_every_word_of_a_cue_is_read(words: str, cue: Cue) -> None:
    assert parse_cue(words) == cue


@given(spans(), spans(), error_types())
def test_words_may_stand_in_any_order(queue_s: float, run_s: float, error: str) -> None:
    words = [f"queue={queue_s}", f"run={run_s}", f"error={error}"]
    assert parse_cue(" ".join(words)) == parse_cue(" ".join(reversed(words))) == Cue(queue_s, run_s, error)


def test_a_cue_replaces_only_what_it_says() -> None:
    assert parse_cue("run=5", Cue(queue_s=1.0, run_s=2.0, nsfw=True)) == Cue(1.0, 5.0, nsfw=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("qeue=2", "column 1: unknown word 'qeue'; did you mean 'queue'?"),
        ("run=1 nfsw", "column 7: unknown word 'nfsw'; did you mean 'nsfw'?"),
        ("zzz", "column 1: unknown word 'zzz'; expected one of queue, run, error, nsfw, cancel"),
        ("=2", "column 1: unknown word ''; expected one of queue, run, error, nsfw, cancel"),
        ("nsfw  run=fast", "column 7: run: 'fast', expected seconds from 0 to 100000"),
        ("run=-1", "column 1: run: '-1', expected seconds from 0 to 100000"),
        ("run=100001", "column 1: run: '100001', expected seconds from 0 to 100000"),
        ("queue=nan", "column 1: queue: 'nan', expected seconds from 0 to 100000"),
        ("queue=inf", "column 1: queue: 'inf', expected seconds from 0 to 100000"),
        ("queue=", "column 1: queue: '', expected seconds from 0 to 100000"),
        ("queue", "column 1: queue: a value is missing, expected seconds, as in queue=2 (no space around =)"),
        ("nsfw=1", "column 1: nsfw: takes no value, was given '1'"),
        ("nsfw=", "column 1: nsfw: takes no value, was given ''"),
        ("cancel=maybe", "column 1: cancel: 'maybe', expected honoured or ignored"),
        ("cancel", "column 1: cancel: a value is missing, expected cancel=honoured or cancel=ignored"),
        (
            "error=content_policy_violatoin",
            "column 1: error: 'content_policy_violatoin' is no error type of fal;"
            " did you mean 'content_policy_violation'?",
        ),
    ],
)
def test_a_wrong_word_is_named_with_its_column_and_what_was_expected(words: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        parse_cue(words)
    assert str(error.value) == message


def test_an_error_type_like_no_other_is_answered_with_all_there_are() -> None:
    with pytest.raises(
        ScenarioError, match="expected one of internal_server_error, .*, concurrent_requests_limit$"
    ):
        parse_cue("error=42")


@given(st.text())
def test_any_words_are_a_cue_or_a_scenario_error(words: str) -> None:
    try:
        parse_cue(words)
    except ScenarioError as error:
        assert str(error).startswith("column ")


# -- in an input


@pytest.mark.parametrize(
    "document",
    [
        "a cat [mock: run=5]",
        "[mock:run=5]",
        {"prompt": "a cat [mock: run=5]"},
        {"prompt": "a cat", "notes": [{"deep": ["[mock: run=5]"]}]},
        ["[mock: run=2]", {"a": "[mock: run=3] and [mock: run=5]"}],
    ],
)
def test_a_cue_works_in_any_string_of_an_input(document: JSON) -> None:
    assert cue_in(document) == Cue(run_s=5.0)


@pytest.mark.parametrize(
    "document",
    [None, 5, "", "mock: run=5", "[mock run=5]", "[mock: run=5", "[MOCK: run=5]", {"[mock: run=5]": "a cat"}],
)
def test_what_only_looks_alike_is_no_cue(document: JSON) -> None:
    assert cue_in(document) == NOTHING


def test_a_later_cue_wins_over_an_earlier_one_and_over_what_was_there() -> None:
    document = {"prompt": "[mock: run=1]", "style": "[mock: run=2]"}
    assert cue_in(document, Cue(queue_s=9.0, run_s=9.0)) == Cue(queue_s=9.0, run_s=2.0)


def test_the_column_of_an_error_counts_from_the_beginning_of_the_string() -> None:
    text = "a cat [mock: run=x]"
    with pytest.raises(ScenarioError, match=f"^column {text.index('run') + 1}: run: "):
        cue_in({"prompt": text})


@given(documents())
def test_an_input_without_a_mark_has_no_cue(document: JSON) -> None:
    assert cue_in(document) == NOTHING


def test_an_input_may_be_as_deep_as_json_lets_it() -> None:
    document = reduce(lambda inner, _: [inner], range(100_000), cast(JSON, "[mock: run=5]"))
    assert cue_in(document) == Cue(run_s=5.0)


@given(spellings("[mock: run=5]"))
def test_a_cue_is_noticed_however_json_writes_it(text: str) -> None:
    body = f'{{"prompt":"{text}"}}'.encode()
    assert mentions_cue(body)
    assert cue_in(json.loads(body)) == Cue(run_s=5.0)


@pytest.mark.parametrize("body", [b"", b'{"prompt":"a cat"}', b'{"prompt":"mock: run=5"}', b"\xff\xfe"])
def test_most_inputs_are_not_looked_through(body: bytes) -> None:
    assert not mentions_cue(body)


# -- rules


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


def test_without_a_rule_nothing_is_asked_for(scenario: Scenario) -> None:
    assert scenario.take("fal-ai/flux/dev") is None


def test_a_rule_holds_for_every_request_until_it_is_cleared(scenario: Scenario) -> None:
    scenario.add("nsfw")
    assert [scenario.take("fal-ai/flux/dev") for _ in range(3)] == [Cue(nsfw=True)] * 3
    scenario.clear()
    assert scenario.take("fal-ai/flux/dev") is None


def test_a_rule_with_a_number_of_times_holds_as_often(scenario: Scenario) -> None:
    scenario.add("nsfw", times=2)
    seen = [scenario.take("fal-ai/flux/dev") for _ in range(3)]
    assert seen == [Cue(nsfw=True), Cue(nsfw=True), None]


def test_the_latest_rule_comes_first_and_uncovers_the_one_before(scenario: Scenario) -> None:
    scenario.add("run=1")
    scenario.add("run=2", times=1)
    assert [scenario.take("fal-ai/flux/dev") for _ in range(2)] == [Cue(run_s=2.0), Cue(run_s=1.0)]


def test_a_rule_holds_for_the_endpoints_it_names(scenario: Scenario) -> None:
    scenario.add("run=1", endpoint="fal-ai/flux/*")
    scenario.add("run=2", endpoint="fal-ai/flux/dev", times=1)
    assert scenario.take("fal-ai/flux-1/dev") is None
    assert scenario.take("fal-ai/flux/schnell") == Cue(run_s=1.0)
    assert scenario.take("fal-ai/flux/dev") == Cue(run_s=2.0)
    assert scenario.take("fal-ai/flux/dev") == Cue(run_s=1.0)


def test_a_rule_that_cannot_be_read_is_refused_and_changes_nothing(scenario: Scenario) -> None:
    scenario.add("run=1")
    with pytest.raises(ScenarioError, match="^column 1: unknown word"):
        scenario.add("rum=2")
    assert scenario.take("fal-ai/flux/dev") == Cue(run_s=1.0)


@pytest.mark.parametrize("times", [0, -1])
def test_a_rule_for_no_request_is_refused(scenario: Scenario, times: int) -> None:
    with pytest.raises(ScenarioError, match=f"^times is {times}, expected 1 or more$"):
        scenario.add("nsfw", times=times)
    assert scenario.take("fal-ai/flux/dev") is None
