from __future__ import annotations

import pytest
from hypothesis import given

from mock_fal.cli import main
from mock_fal.errors import ScenarioError
from mock_fal.scenario.directive import Directive
from mock_fal.scenario.explain import explain, explained, pointed
from tests.strategies import directives

POSTS = "It acts at: the submission to the queue, the direct request, the request for a stream."


@pytest.mark.parametrize("text", ["queue=2 nsfw", "a cat [mock: queue=2 nsfw]", '{"queue": 2, "nsfw": true}'])
def test_a_directive_a_prompt_and_a_rule_are_told_in_sentences(text: str) -> None:
    assert explained(text) == [
        "The request waits 2 s in the queue.",
        "The safety checker finds something: has_nsfw_concepts is true, the picture black.",
        POSTS,
    ]


def test_an_error_tells_its_status() -> None:
    assert explained("error=image_too_small ctx.min_width=512 loc=body.a")[:4] == [
        "The result is the error image_too_small.",
        "That is a model error: HTTP 422 for whoever asks for the result.",
        "It is about the field body.a.",
        "Its ctx holds min_width: 512.",
    ]
    assert "That is a request error: HTTP 504" in explained("error=request_timeout")[1]


@pytest.mark.parametrize("text", ["", "  ", "[mock: ]"])
def test_nothing_is_told_as_nothing(text: str) -> None:
    assert explained(text) == ["Nothing is asked for."]


@given(directives())
def test_every_directive_can_be_told(directive: Directive) -> None:
    assert all(sentence.endswith(".") for sentence in explain(directive))


def test_the_command_prints_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "status=503", "operation=status", "times=2"]) == 0
    assert capsys.readouterr().out == (
        "At most 2 times.\n"
        "At the step status.\n"
        "The answer is HTTP 503, and what was asked for is not done.\n"
        "It acts at: a look at the status.\n"
    )


def test_the_command_points_at_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a cat [mock: run=1 nfsw]"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error == [
        "mock-fal: column 20: unknown word 'nfsw'; did you mean 'nsfw'?",
        "  a cat [mock: run=1 nfsw]",
        "                     ^",
    ]


def test_a_mistake_without_a_column_is_told_alone() -> None:
    assert pointed("[1]", ScenarioError("rule 1, line 1: no")) == "rule 1, line 1: no"
