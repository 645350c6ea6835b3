"""Assertions about calls and their failure messages."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import ANY

import pytest

from mock_fal.clock import EPOCH
from mock_fal.journal.assertions import Expected, check_any, check_last, check_none, check_once
from mock_fal.journal.exchanges import Exchange

SCHNELL, DEV = "fal-ai/flux/schnell", "fal-ai/flux/dev"


def call(endpoint: str = SCHNELL, *, status: int = 200, **fields: object) -> Exchange:
    body = json.dumps(fields).encode()
    return Exchange(EPOCH, "alice", "POST", "queue.fal.run", f"/{endpoint}", "", b"", body, status, b"")


def expected(endpoint: str = "*", **fields: Any) -> Expected:
    return Expected(endpoint, fields)


def failure_message(check: Any, *arguments: Any) -> str:
    with pytest.raises(AssertionError) as failure:
        check(*arguments)
    return str(failure.value)


CAT, DOG = call(prompt="a cat"), call(DEV, prompt="a dog", seed=7)


@pytest.mark.parametrize(
    "call_expected",
    [
        expected(),
        expected(SCHNELL),
        expected("fal-ai/flux/*"),
        expected(SCHNELL, prompt="a cat"),
        expected(prompt="a cat"),
        expected(prompt=ANY),
    ],
)
def test_the_expected_call_passes(call_expected: Expected) -> None:
    check_once([CAT], call_expected)
    check_last([DOG, CAT], call_expected)
    check_any([DOG, CAT, DOG], call_expected)


@pytest.mark.parametrize("calls", [[], [CAT, CAT], [CAT, DOG], [DOG]])
def test_once_means_exactly_one_expected_call(calls: list[Exchange]) -> None:
    failure_message(check_once, calls, expected(SCHNELL, prompt="a cat"))


def test_the_input_is_compared_as_a_whole() -> None:
    assert failure_message(check_once, [DOG], expected(prompt="a dog")).endswith(
        "  seed: expected nothing\n        sent     7"
    )


def test_a_failure_shows_each_field_that_differs() -> None:
    sent = call(prompt="a cat", seed=7, image_size={"width": 64, "height": 48})
    expectation = expected(DEV, prompt="a dog", image_size={"width": 64, "height": 64}, num_images=2)
    assert failure_message(check_once, [sent], expectation) == (
        "expected one call: fal-ai/flux/dev prompt='a dog' image_size={'width': 64, 'height': 64} num_images=2\n"
        "received 1 call:\n"
        "  1. fal-ai/flux/schnell prompt='a cat' seed=7 image_size={'width': 64, 'height': 48}\n"
        "closest is call 1:\n"
        "  endpoint: expected fal-ai/flux/dev\n"
        "            sent     fal-ai/flux/schnell\n"
        "  prompt: expected 'a dog'\n"
        "          sent     'a cat'\n"
        "  image_size: expected {'width': 64, 'height': 64}\n"
        "              sent     {'width': 64, 'height': 48}\n"
        "  num_images: expected 2\n"
        "              sent     nothing\n"
        "  seed: expected nothing\n"
        "        sent     7"
    )


def test_a_failure_shows_the_closest_call() -> None:
    text = failure_message(check_any, [CAT, DOG], expected(DEV, prompt="a dog", seed=8))
    assert "closest is call 2:\n  seed: expected 8\n        sent     7" in text
    assert "prompt: expected" not in text


def test_a_failure_about_the_last_call_shows_the_last() -> None:
    assert failure_message(check_last, [CAT, DOG], expected(prompt="a cat")).endswith(
        "call 2:\n  prompt: expected 'a cat'\n          sent     'a dog'\n"
        "  seed: expected nothing\n        sent     7"
    )


def test_two_calls_where_one_is_expected_are_both_shown() -> None:
    assert failure_message(check_once, [CAT, CAT], expected(prompt="a cat")) == (
        "expected one call: prompt='a cat'\n"
        "received 2 calls:\n"
        "  1. fal-ai/flux/schnell prompt='a cat'\n"
        "  2. fal-ai/flux/schnell prompt='a cat'"
    )


@pytest.mark.parametrize("check", [check_once, check_last, check_any])
def test_a_failure_without_calls_says_so(check: Any) -> None:
    assert failure_message(check, [], expected(SCHNELL)).endswith(f": {SCHNELL}\nreceived no call of a model")


def test_a_long_value_is_cut_to_where_it_differs() -> None:
    cat, dog = "a very " * 1000 + "small cat", "a very " * 1000 + "small dog"
    *_, expected_line, sent_line = failure_message(
        check_once, [call(prompt=cat)], expected(prompt=dog)
    ).splitlines()
    assert expected_line.endswith("small dog'") and sent_line.endswith("small cat'")
    assert len(expected_line) < 150


def test_the_number_of_shown_calls_is_limited() -> None:
    text = failure_message(check_any, [CAT] * 1000, expected(prompt="a dog"))
    assert text.startswith("expected a call: prompt='a dog'\nreceived 1000 calls:\n")
    assert len(text.splitlines()) < 40


def test_an_input_that_is_not_an_object_is_shown_as_sent() -> None:
    invalid = call()
    invalid.request_body = b"{"
    text = failure_message(check_once, [invalid], expected(prompt="a cat"))
    assert "  1. fal-ai/flux/schnell b'{'\n" in text
    assert text.endswith("  input: expected a JSON object\n         sent     b'{'")


def test_a_failed_call_is_shown_with_its_status() -> None:
    refused = call("fal-ai/fluxx", status=404, prompt="a cat")
    assert "  1. fal-ai/fluxx prompt='a cat' → 404" in failure_message(
        check_once, [refused], expected(SCHNELL)
    )


def test_no_call_means_none_to_a_matching_endpoint() -> None:
    check_none([], "*")
    check_none([CAT], DEV)
    assert failure_message(check_none, [CAT], "*") == (
        "expected no call\nreceived 1 call:\n  1. fal-ai/flux/schnell prompt='a cat'"
    )
    assert failure_message(check_none, [CAT, DOG], "fal-ai/flux/*").startswith(
        "expected no call to fal-ai/flux/*\n"
    )
