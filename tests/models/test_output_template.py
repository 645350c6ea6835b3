"""What can't be filled in is built: the rest is in test_readings.py, which compares all endpoints."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mock_fal.models.output_template import PROMPT_MARK, OutputTemplate
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile
from mock_fal.web import wire

RECIPE = Recipe("fal-ai/flux/schnell", PROMPT_MARK, 0x7C1F0D5E, 512, 512)
FILE = MediaFile(RECIPE, "/the file of 7c1f0d5e number 0")


def name_file(description: str, extension: str) -> str:
    return f"/{len(description)}.{extension}"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {
                "image": FILE,
                "name": "the file of 7c1f0d5e number 0",
                "seed": 0x7C1F0D5E,
                "prompt": PROMPT_MARK,
            },
            '{"image":"http://a/43.jpg","name":"43.jpg","seed":5,"prompt":"a \\"cat\\""}',
        ),
        ({"{0}": "{}", "seeds": [0x7C1F0D5E, 0x7C1F0D5F, 7]}, '{"{0}":"{}","seeds":[5,6,7]}'),
    ],
)
def test_a_text_has_holes_for_what_varies(body: Any, expected: str) -> None:
    text = OutputTemplate(body, [RECIPE]).text(wire.write)
    assert text is not None
    assert text.filled('a "cat"', 5, "http://a", name_file) == (expected, ["/43.jpg"])


@pytest.mark.parametrize(
    "body",
    [
        {"said": f"he said: {PROMPT_MARK}"},
        {"said": "2082409822"},
        {"said": "see the file of 7c1f0d5e number 0"},
        {"said": "see the file of 7c1f0d5e number 99"},
        {"said": "the media host of 7c1f0d5e"},
        {"number": -0x7C1F0D5E},
        {"number": math.inf},
        {"document": '{"prompt":"the prompt of 7c1f0d5e"}'},
    ],
)
def test_an_output_that_seems_to_have_other_holes_is_built(body: Any) -> None:
    """Such texts come from the input."""
    template = OutputTemplate({"image": FILE} | body, [RECIPE])
    assert template.text(wire.write) is None
    assert template.text(wire.write) is None  # known from then on
