"""Embeddings."""

from __future__ import annotations

import math
from array import array
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.models.openai.embeddings import unit_vector
from tests.models.openai.calls import call, error_of


def embed(given: Any, **options: Any) -> Any:
    response = call("embeddings", {"model": "m", "input": given, **options}).response
    assert response.status == 200, response.body
    assert response.inline
    return response.body


def vectors(given: Any, **options: Any) -> list[Any]:
    return [item["embedding"].json() for item in embed(given, **options)["data"]]


def similarity(first: str, second: str) -> float:
    return sum(x * y for x, y in zip(unit_vector(first, 512), unit_vector(second, 512), strict=True))


def test_the_response_has_the_form_of_a_list() -> None:
    body = embed(["a cat", "a dog"])
    assert (body["object"], body["model"]) == ("list", "m")
    assert [(item["object"], item["index"]) for item in body["data"]] == [("embedding", 0), ("embedding", 1)]
    assert body["usage"] == {"prompt_tokens": 4, "total_tokens": 4, "cost": 0.0000012}


def test_a_vector_has_the_requested_dimensions() -> None:
    assert [len(vector) for vector in vectors("a cat") + vectors("a cat", dimensions=3)] == [1536, 3]


def test_base64_holds_the_same_numbers() -> None:
    [numbers], [text] = vectors("a cat"), vectors("a cat", encoding_format="base64")
    assert array("f", b64decode(text)).tolist() == pytest.approx(numbers, abs=1e-6)


@given(st.text(), st.integers(1, 300))
def test_a_vector_has_length_one_and_depends_on_the_text_alone(text: str, dimensions: int) -> None:
    vector = unit_vector(text, dimensions)
    assert math.isclose(sum(number * number for number in vector), 1)
    assert vector == unit_vector(text, dimensions)


def test_texts_with_the_same_words_are_closer() -> None:
    assert similarity("the cat sat on a mat", "a cat on the mat") > 0.5
    assert abs(similarity("the cat sat on a mat", "rockets fly to Mars")) < 0.2


@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2, 3]]])
def test_tokens_are_an_input(given: Any) -> None:
    assert vectors(given) == vectors("1 2 3")


@pytest.mark.parametrize(
    ("fields", "reason", "param"),
    [
        ({"input": "hi"}, "Missing", "model"),
        ({"model": "m"}, "Missing", "input"),
        ({"model": "m", "input": 3}, "a string or an array", "input"),
        ({"model": "m", "input": []}, "at least one item", "input"),
        ({"model": "m", "input": ["a"] * 2049}, "at most 2048", "input"),
        ({"model": "m", "input": ["a", ""]}, "at least one character", "input[1]"),
        ({"model": "m", "input": ["a", 3]}, "an array of tokens", "input[1]"),
        ({"model": "m", "input": [[]]}, "an array of tokens", "input[0]"),
        ({"model": "m", "input": "a", "dimensions": 0}, ">= 1", "dimensions"),
        ({"model": "m", "input": "a", "dimensions": 9000}, "<= 8192", "dimensions"),
        (
            {"model": "m", "input": ["a"] * 2048, "dimensions": 8192},
            "2048 vectors of 8192 dimensions",
            "input",
        ),
        ({"model": "m", "input": "a", "encoding_format": "x"}, "'float' or 'base64'", "encoding_format"),
    ],
)
def test_an_invalid_request_is_an_error_that_names_its_field(fields: Any, reason: str, param: str) -> None:
    message, seen, _ = error_of("embeddings", fields)
    assert reason in message
    assert seen == param
