"""Any LLM."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.models import engine
from mock_fal.models.job import Job, RunnerOutput
from mock_fal.models.text import MAX_EVENTS
from mock_fal.requests.outcome import MediaFile
from tests.models.runs import model


def run_any_llm(*, streamed: bool = False, **arguments: Any) -> RunnerOutput:
    body = json.dumps({"prompt": "Tell me a joke", **arguments}).encode()
    job = Job(
        body, lambda seed_input: 0, lambda recipe, inline: MediaFile(recipe, ""), 1.0, streamed=streamed
    )
    return engine.run(model("fal-ai/any-llm"), job)


def output_of(**arguments: Any) -> dict[str, Any]:
    output: dict[str, Any] = run_any_llm(**arguments).response.body
    return output


def test_the_output_names_the_model_and_repeats_the_prompt() -> None:
    assert output_of(model="openai/gpt-4o-mini") == {
        "output": "This is mock-fal, standing in for openai/gpt-4o-mini: no model has read this.\n"
        "I was asked: Tell me a joke",
        "reasoning": None,
        "partial": False,
        "error": None,
    }


def test_the_output_repeats_the_system_prompt() -> None:
    assert (
        "I was told: be brief\nI was asked: Tell me a joke" in output_of(system_prompt="be brief")["output"]
    )


@pytest.mark.parametrize(
    "arguments", [{"model": "openai/gpt-4o"}, {"system_prompt": "x"}, {"prompt": "Why?"}]
)
def test_another_input_has_another_output(arguments: dict[str, str]) -> None:
    assert output_of(**arguments)["output"] != output_of()["output"] == output_of(temperature=1.5)["output"]


def test_reasoning_is_returned_on_request() -> None:
    assert output_of(reasoning=True)["reasoning"]


@pytest.mark.parametrize("max_tokens", [1, 2, 5])
def test_the_output_has_at_most_max_tokens_words(max_tokens: int) -> None:
    assert len(output_of(max_tokens=max_tokens)["output"].split(" ")) == max_tokens


@pytest.mark.parametrize(("model", "units"), [("openai/gpt-4o-mini", 1), ("openai/gpt-4o", 10)])
def test_a_premium_model_costs_ten_times_as_much(model: str, units: int) -> None:
    assert run_any_llm(model=model).response.billable_units == units


def test_partial_results_are_made_only_for_a_stream() -> None:
    assert run_any_llm().partials == ()


@given(st.text(), st.integers(1, 40))
def test_each_partial_result_is_a_longer_prefix_of_the_output(prompt: str, max_tokens: int) -> None:
    streamed = run_any_llm(streamed=True, prompt=prompt, max_tokens=max_tokens)
    whole = streamed.response.body["output"]
    outputs = [partial["output"] for partial in streamed.partials]
    assert len(outputs) < MAX_EVENTS
    assert all(partial["partial"] for partial in streamed.partials)
    assert all(whole.startswith(output) for output in outputs)
    assert outputs == sorted(set(outputs), key=len) and whole not in outputs


def test_an_invalid_input_is_rejected_before_the_first_step() -> None:
    rejection = run_any_llm(streamed=True, prompt=None)
    assert (rejection.response.status, rejection.steps, rejection.partials) == (422, 0, ())
