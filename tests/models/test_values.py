from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.media.recipe import Sound, Video
from mock_fal.models.transcript import Span
from mock_fal.models.values import NUMBERS, TEXTS, Run, Scope, lookup
from mock_fal.pictures.recipe import Recipe
from tests.models.test_plan import planned


def scope(endpoint: str = "fal-ai/flux/dev", **changes: Any) -> Scope:
    return Scope(Run(planned(endpoint), 2.0), **changes)


def number(name: str, **changes: Any) -> Any:
    value = lookup(NUMBERS, name)
    assert value is not None, name
    return value(scope(**changes))


def text(name: str, **changes: Any) -> Any:
    value = lookup(TEXTS, name)
    assert value is not None, name
    return value(scope(**changes))


VIDEO = Video(Recipe("fal-ai/wan", "a cat", 7, 641, 480), 2.5, 24)
SPAN = Span(1.5, 2.25, "cat", 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("width", 642),
        ("height", 480),
        ("fps", 24),
        ("num_frames", 60),
        ("duration", 2.5),
        ("duration_ms", 2500),
    ],
)
def test_numbers_beside_a_video_are_those_of_its_file(name: str, expected: float) -> None:
    assert number(name, recipe=VIDEO) == expected


def test_numbers_beside_a_sound_are_those_of_its_file() -> None:
    sound = Sound("a cat", 3, format="ogg", sample_rate=8000, channels=2)
    assert [number(name, recipe=sound) for name in ("sample_rate", "channels", "duration")] == [48000, 1, 3]


def test_times_are_those_of_the_item_of_a_transcript() -> None:
    assert [number(name, span=SPAN) for name in ("start", "end", "timestamp")] == [1.5, 2.25, 1.5]
    assert [text(name, span=SPAN) for name in ("text", "speaker_id", "type")] == ["cat", "speaker_1", "word"]


@pytest.mark.parametrize("name", ["score", "confidence", "language_probability", "iou_scores"])
def test_scores_are_between_a_half_and_one(name: str) -> None:
    assert 0.5 < number(name) < 1


@given(st.integers(0, 200))
def test_a_box_is_inside_the_picture(position: int) -> None:
    box = scope(box_number=position).box
    assert 0 <= box.x < box.x + box.width <= 1
    assert 0 <= box.y < box.y + box.height <= 1


def test_the_values_of_different_fields_and_items_differ() -> None:
    values = {scope(path=path, position=position).share() for path in "ab" for position in (0, 1)}
    assert len(values) == 4
    assert scope(path="a").share() == scope(path="a").share()


def test_a_text_without_a_known_name_says_what_it_is() -> None:
    assert (
        text("artistic_style", path="details/artistic_style") == "artistic style: a placeholder by mock-fal"
    )
