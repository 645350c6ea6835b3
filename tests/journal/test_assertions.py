"""Assertions about calls, and what they say when they fail."""

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


def told(check: Any, *given: Any) -> str:
    """What a failure says."""
    with pytest.raises(AssertionError) as failure:
        check(*given)
    return str(failure.value)


CAT, DOG = call(prompt="a cat"), call(DEV, prompt="a dog", seed=7)


@pytest.mark.parametrize(
    "wanted",
    [
        expected(),
        expected(SCHNELL),
        expected("fal-ai/flux/*"),
        expected(SCHNELL, prompt="a cat"),
        expected(prompt="a cat"),
        expected(prompt=ANY),
    ],
)
def test_the_one_call_is_the_expected_one(wanted: Expected) -> None:
    check_once([CAT], wanted)
    check_last([DOG, CAT], wanted)
    check_any([DOG, CAT, DOG], wanted)


@pytest.mark.parametrize("calls", [[], [CAT, CAT], [CAT, DOG], [DOG]])
def test_once_means_once_and_so(calls: list[Exchange]) -> None:
    told(check_once, calls, expected(SCHNELL, prompt="a cat"))


def test_the_input_is_compared_as_a_whole() -> None:
    assert told(check_once, [DOG], expected(prompt="a dog")).endswith(
        "  seed: expected nothing\n        sent     7"
    )


def test_a_failure_shows_each_field_that_differs() -> None:
    seen = call(prompt="a cat", seed=7, image_size={"width": 64, "height": 48})
    wanted = expected(DEV, prompt="a dog", image_size={"width": 64, "height": 64}, num_images=2)
    assert told(check_once, [seen], wanted) == (
        "expected one call: fal-ai/flux/dev prompt='a dog' image_size={'width': 64, 'height': 64} num_images=2\n"
        "seen 1 call:\n"
        "  1. fal-ai/flux/schnell prompt='a cat' seed=7 image_size={'width': 64, 'height': 48}\n"
        "the nearest, call 1:\n"
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


def test_a_failure_shows_the_nearest_call() -> None:
    text = told(check_any, [CAT, DOG], expected(DEV, prompt="a dog", seed=8))
    assert "the nearest, call 2:\n  seed: expected 8\n        sent     7" in text
    assert "prompt: expected" not in text


def test_of_the_last_call_the_last_is_shown() -> None:
    assert told(check_last, [CAT, DOG], expected(prompt="a cat")).endswith(
        "call 2:\n  prompt: expected 'a cat'\n          sent     'a dog'\n"
        "  seed: expected nothing\n        sent     7"
    )


def test_two_calls_where_one_is_expected_are_both_shown() -> None:
    assert told(check_once, [CAT, CAT], expected(prompt="a cat")) == (
        "expected one call: prompt='a cat'\n"
        "seen 2 calls:\n"
        "  1. fal-ai/flux/schnell prompt='a cat'\n"
        "  2. fal-ai/flux/schnell prompt='a cat'"
    )


@pytest.mark.parametrize("check", [check_once, check_last, check_any])
def test_where_nothing_was_called_it_says_so(check: Any) -> None:
    assert told(check, [], expected(SCHNELL)).endswith(f": {SCHNELL}\nno model was called")


def test_a_long_value_is_shown_where_it_begins_to_differ() -> None:
    cat, dog = "a very " * 1000 + "small cat", "a very " * 1000 + "small dog"
    *_, wanted, sent = told(check_once, [call(prompt=cat)], expected(prompt=dog)).splitlines()
    assert wanted.endswith("small dog'") and sent.endswith("small cat'")
    assert len(wanted) < 150


def test_many_calls_are_not_all_shown() -> None:
    text = told(check_any, [CAT] * 1000, expected(prompt="a dog"))
    assert text.startswith("expected a call: prompt='a dog'\nseen 1000 calls:\n")
    assert len(text.splitlines()) < 40


def test_what_is_no_object_is_shown_as_it_was_sent() -> None:
    broken = call()
    broken.request_body = b"{"
    text = told(check_once, [broken], expected(prompt="a cat"))
    assert "  1. fal-ai/flux/schnell b'{'\n" in text
    assert text.endswith("  input: expected a JSON object\n         sent     b'{'")


def test_a_call_that_was_refused_is_shown_as_such() -> None:
    refused = call("fal-ai/fluxx", status=404, prompt="a cat")
    assert "  1. fal-ai/fluxx prompt='a cat' → 404" in told(check_once, [refused], expected(SCHNELL))


def test_no_call_means_none_at_such_an_endpoint() -> None:
    check_none([], "*")
    check_none([CAT], DEV)
    assert told(check_none, [CAT], "*") == (
        "expected no call\nseen 1 call:\n  1. fal-ai/flux/schnell prompt='a cat'"
    )
    assert told(check_none, [CAT, DOG], "fal-ai/flux/*").startswith("expected no call to fal-ai/flux/*\n")
