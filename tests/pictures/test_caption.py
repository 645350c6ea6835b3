from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from mock_fal.pictures.caption import WIDTHS, caption, legible, measure, wrap

any_text = st.text(st.characters(), max_size=300)
FACTS = ("seed 42", "1024 x 768", "fal-ai/flux/dev")


def texts(prompt: str, width: int, height: int) -> list[str]:
    return [line.text for line in caption(prompt, FACTS, width, height)]


def test_prompt_seed_size_and_endpoint_are_on_it() -> None:
    assert texts("a cat", 1024, 768) == ["a cat", "seed 42 · 1024 x 768 · fal-ai/flux/dev"]


def test_a_long_prompt_is_wrapped_and_ends_in_an_ellipsis() -> None:
    lines = texts("a lighthouse on a cliff " * 400, 1024, 768)
    assert len(lines) == 4
    assert lines[0].startswith("a lighthouse on a cliff a lighthouse")
    assert lines[2].endswith("…")


def test_one_endless_word_is_broken() -> None:
    assert len(texts("x" * 10_000, 1024, 768)) == 4


def test_an_empty_prompt_leaves_the_facts() -> None:
    assert texts("", 1024, 768) == ["seed 42 · 1024 x 768 · fal-ai/flux/dev"]


def test_a_thumbnail_says_what_it_has_room_for() -> None:
    assert texts("a cat", 64, 64) == ["a cat", "seed 42", "1024 x 768"]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (5000, 10), (10, 5000)])
def test_a_picture_without_room_has_no_caption(width: int, height: int) -> None:
    assert texts("a cat", width, height) == []


@given(any_text, st.integers(1, 3000), st.integers(1, 3000))
def test_every_line_lies_within_the_picture(prompt: str, width: int, height: int) -> None:
    lines = caption(prompt, FACTS, width, height)
    assert all(line.x + measure(line.text, line.size) <= width for line in lines)
    assert all(line.size * 0.7 <= line.y <= height for line in lines)


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("Crème brûlée für Åse", "Creme brulee fur Ase"),
        ("Straße, Œuvre, Łódź, ½", "Strasse, Oeuvre, Lodz, 1⁄2"),
        ("Кот на Ёлке, ЩУКА", "Kot na Elke, ShchUKA"),
        ("Ωμέγα", "Omega"),
        ("一只猫", "U+4E00 U+53EA U+732B"),
        ("cat 🐱\ufe0f!", "cat U+1F431 !"),
        ("שלום", "U+05E9 U+05DC U+05D5 U+05DD"),
        ("a\nb\t\u2003c", "a b c"),
        ("bell\x07, \ud83d, \u202eRTL", "bell U+0007 , U+D83D , RTL"),
        ("e\u0301 \u0301", "e"),
        ("fullwidth ＡＢ", "fullwidth AB"),
    ],
)
def test_what_the_font_lacks_is_spelled_or_numbered(prompt: str, shown: str) -> None:
    assert legible(prompt) == shown


@given(any_text)
def test_nothing_the_font_lacks_is_ever_set(prompt: str) -> None:
    assert set(legible(prompt)) <= set(WIDTHS)


@given(any_text, st.integers(1, 60), st.floats(1, 500), st.integers(0, 4))
def test_lines_are_never_more_than_asked_for(prompt: str, size: int, room: float, most: int) -> None:
    assert len(wrap(legible(prompt), size, room, most)) <= most


def test_our_widths_are_those_of_the_font_that_pillow_brings() -> None:
    brought = ImageFont.load_default(10)
    assert isinstance(brought, ImageFont.FreeTypeFont)
    font = ImageFont.truetype(io.BytesIO(brought.font_bytes), 1000, layout_engine=ImageFont.Layout.BASIC)
    assert {letter: round(font.getlength(letter)) for letter in WIDTHS} == WIDTHS
