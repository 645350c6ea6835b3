"""The text of language models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.models.text import FILE_TOKENS, MAX_EVENTS, REASONING, count_tokens, reply, split

MODEL = "openrouter/router"
FIELDS = {"prompt": "Tell me a joke", "model": "google/gemini-2.5-flash"}


def test_the_text_names_the_model_and_repeats_the_prompt() -> None:
    assert reply(MODEL, FIELDS).text == (
        "This is mock-fal, standing in for google/gemini-2.5-flash: no model has read this.\n"
        "I was asked: Tell me a joke"
    )


def test_the_text_names_the_endpoint_of_an_input_without_a_model() -> None:
    assert "standing in for fal-ai/moondream: " in reply("fal-ai/moondream", {"prompt": "What is it?"}).text


def test_the_text_repeats_the_system_prompt_and_counts_files() -> None:
    fields = {**FIELDS, "system_prompt": "Be brief", "image_urls": ["a", "b"], "audio_url": "c"}
    assert "I was told: Be brief\nI was given: 3 files\nI was asked: Tell" in reply(MODEL, fields).text


def test_a_picture_alone_has_a_text_without_a_question() -> None:
    assert reply("fal-ai/florence", {"image_url": "a"}).text.endswith("read this.\nI was given: 1 file")


def test_the_temperature_changes_nothing() -> None:
    assert reply(MODEL, FIELDS) == reply(MODEL, {**FIELDS, "temperature": 1.7})


def test_max_tokens_cuts_the_text() -> None:
    answer = reply(MODEL, {**FIELDS, "max_tokens": 3})
    assert (answer.text, answer.is_cut, answer.usage.completion_tokens) == ("This is mock-fal,", True, 3)
    assert not reply(MODEL, FIELDS).is_cut


def test_reasoning_is_returned_when_it_is_requested() -> None:
    assert reply(MODEL, FIELDS).reasoning is None
    assert reply(MODEL, {**FIELDS, "reasoning": True}).reasoning == REASONING


def test_the_usage_adds_up() -> None:
    usage = reply(MODEL, {**FIELDS, "system_prompt": "Be brief", "image_urls": ["a"]}).usage
    assert usage.prompt_tokens == 4 + 2 + FILE_TOKENS
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert list(usage.body) == ["prompt_tokens", "completion_tokens", "total_tokens", "cost"]


def test_the_cost_is_that_of_the_published_example() -> None:
    from mock_fal.models.text import Usage

    assert Usage(1340, 63).cost == 0.0005595


@given(st.text())
def test_the_tokens_join_to_the_text(text: str) -> None:
    assert "".join(split(text)) == text
    assert len(split(text)) == count_tokens(text)


@pytest.mark.parametrize("words", [0, 1, 11, 12, 13, 500])
def test_a_stream_has_few_events_and_ends_before_the_whole_text(words: int) -> None:
    answer = reply(MODEL, {**FIELDS, "prompt": "x " * words})
    growing = list(answer.growing())
    assert 0 < len(growing) < MAX_EVENTS
    assert all(answer.text.startswith(text) and text != answer.text for text in growing)
    assert "".join(answer.deltas()) == answer.text
    assert len(list(answer.deltas())) <= MAX_EVENTS


def test_a_value_of_another_type_is_ignored() -> None:
    assert reply(MODEL, {"prompt": None, "max_tokens": "7", "image_url": None}).text.endswith("I was asked: ")
