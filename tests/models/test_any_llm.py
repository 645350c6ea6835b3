"""Any LLM."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.models.any_llm import PIECES, run
from mock_fal.models.catalog import Job, RunnerOutput
from mock_fal.requests.outcome import Picture


def work(*, streamed: bool = False, **asked: Any) -> RunnerOutput:
    body = json.dumps({"prompt": "Tell me a joke", **asked}).encode()
    return run(Job(body, lambda of: 0, lambda recipe, inline: Picture(recipe, ""), 1.0, streamed=streamed))


def said(**asked: Any) -> dict[str, Any]:
    output: dict[str, Any] = work(**asked).response.body
    return output


def test_it_says_what_it_is_and_what_it_was_asked() -> None:
    assert said(model="openai/gpt-4o-mini") == {
        "output": "This is mock-fal, standing in for openai/gpt-4o-mini: no model has read this.\n"
        "I was asked: Tell me a joke",
        "reasoning": None,
        "partial": False,
        "error": None,
    }


def test_it_repeats_the_system_prompt_too() -> None:
    assert "I was told: be brief\nI was asked: Tell me a joke" in said(system_prompt="be brief")["output"]


@pytest.mark.parametrize("more", [{"model": "openai/gpt-4o"}, {"system_prompt": "x"}, {"prompt": "Why?"}])
def test_another_question_has_another_answer(more: dict[str, str]) -> None:
    assert said(**more)["output"] != said()["output"] == said(temperature=1.5)["output"]


def test_reasons_come_when_they_are_asked_for() -> None:
    assert said(reasoning=True)["reasoning"]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_words_come_than_tokens_are_allowed(most: int) -> None:
    assert len(said(max_tokens=most)["output"].split(" ")) == most


@pytest.mark.parametrize(("model", "units"), [("openai/gpt-4o-mini", 1), ("openai/gpt-4o", 10)])
def test_a_premium_model_costs_ten_times_as_much(model: str, units: int) -> None:
    assert work(model=model).response.billable_units == units


def test_a_stream_is_only_made_when_it_is_asked_for() -> None:
    assert work().partials == ()


@given(st.text(), st.integers(1, 40))
def test_a_stream_grows_into_the_answer(prompt: str, most: int) -> None:
    streamed = work(streamed=True, prompt=prompt, max_tokens=most)
    whole = streamed.response.body["output"]
    outputs = [partial["output"] for partial in streamed.partials]
    assert len(outputs) < PIECES
    assert all(partial["partial"] for partial in streamed.partials)
    assert all(whole.startswith(each) for each in outputs)
    assert outputs == sorted(set(outputs), key=len) and whole not in outputs


def test_what_does_not_fit_is_refused_and_never_begun() -> None:
    refusal = work(streamed=True, prompt=None)
    assert (refusal.response.status, refusal.steps, refusal.partials) == (422, 0, ())
