from __future__ import annotations

import pytest
from hypothesis import given

from mock_fal.cli import main
from mock_fal.errors import ScenarioError
from mock_fal.scenario.directive import Directive
from mock_fal.scenario.explain import explain, explain_text, texts_of, with_pointer
from tests.strategies import directives

ALL_SUBMISSIONS = "Applies to: submission to the queue, direct request, stream request, realtime input."


@pytest.mark.parametrize("text", ["queue=2 nsfw", "a cat [mock: queue=2 nsfw]", '{"queue": 2, "nsfw": true}'])
def test_a_directive_a_prompt_and_a_rule_are_explained_in_sentences(text: str) -> None:
    assert explain_text(text) == [
        "The request waits 2 s in the queue.",
        "The safety checker flags the image: has_nsfw_concepts is true, the picture is black.",
        ALL_SUBMISSIONS,
    ]


def test_an_error_is_explained_with_its_status() -> None:
    assert explain_text("error=image_too_small ctx.min_width=512 loc=body.a")[:4] == [
        "The result is the error image_too_small.",
        "It is a model error: the result is HTTP 422.",
        "The error is about the field body.a.",
        "The error's ctx contains min_width: 512.",
    ]
    assert "It is a request error: the result is HTTP 504." in explain_text("error=request_timeout")[1]


def test_the_concurrency_error_is_explained_as_one_of_direct_requests() -> None:
    assert explain_text("error=concurrent_requests_limit")[1:] == [
        "It is a request error: the result is HTTP 429.",
        "Only direct requests receive it; queued requests wait at the limit. "
        "To refuse a submission, use status=429 retry_after=1 times=1.",
        "Applies to: direct request, stream request, realtime input.",
    ]


@pytest.mark.parametrize("text", ["", "  ", "[mock: ]"])
def test_an_empty_directive_is_explained_as_empty(text: str) -> None:
    assert explain_text(text) == ["The directive is empty, so nothing changes."]
    assert explain_text("[]") == ["There is no directive, so nothing changes."]


@given(directives())
def test_every_directive_can_be_explained(directive: Directive) -> None:
    assert all(sentence.endswith(".") for sentence in explain(directive))


def test_the_command_prints_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "status=503", "operation=status", "times=2"]) == 0
    assert capsys.readouterr().out == (
        "At most 2 times.\n"
        "Only for the operation status.\n"
        "The response is HTTP 503, and the operation is not executed.\n"
        "Applies to: status poll.\n"
    )


def test_the_command_explains_every_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a cat [mock: nsfw]", '{"run": 5}', "queue=600", "times=2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "The safety checker flags the image: has_nsfw_concepts is true, the picture is black.",
        ALL_SUBMISSIONS,
        "The request runs for 5 s.",
        ALL_SUBMISSIONS,
        "At most 2 times.",
        "The request waits 600 s in the queue.",
        ALL_SUBMISSIONS,
    ]


def test_a_prompt_that_the_shell_has_split_is_one_text() -> None:
    assert texts_of(["a", "cat", "[mock:", "nsfw]"]) == ["a cat [mock: nsfw]"]


def test_the_command_points_at_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a cat [mock: run=1 nfsw]"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error == [
        "mock-fal: column 20: unknown option 'nfsw'; did you mean 'nsfw'?",
        "  a cat [mock: run=1 nfsw]",
        "                     ^",
    ]


def test_an_error_without_a_column_is_shown_without_a_pointer() -> None:
    assert with_pointer("[1]", ScenarioError("rule 1, line 1: no")) == "rule 1, line 1: no"
