from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from mock_fal.pictures.caption import WIDTHS, caption, legible, measure, wrap

any_text = st.text(st.characters(), max_size=300)
FACTS = ("seed 42", "1024 x 768", "fal-ai/flux/dev")


def caption_texts(prompt: str, width: int, height: int) -> list[str]:
    return [line.text for line in caption(prompt, FACTS, width, height)]


def test_a_caption_has_prompt_seed_size_and_endpoint() -> None:
    assert caption_texts("a cat", 1024, 768) == ["a cat", "seed 42 · 1024 x 768 · fal-ai/flux/dev"]


def test_a_long_prompt_is_wrapped_and_ends_in_an_ellipsis() -> None:
    lines = caption_texts("a lighthouse on a cliff " * 400, 1024, 768)
    assert len(lines) == 4
    assert lines[0].startswith("a lighthouse on a cliff a lighthouse")
    assert lines[2].endswith("…")


def test_a_word_longer_than_a_line_is_broken() -> None:
    assert len(caption_texts("x" * 10_000, 1024, 768)) == 4


def test_an_empty_prompt_leaves_only_the_facts() -> None:
    assert caption_texts("", 1024, 768) == ["seed 42 · 1024 x 768 · fal-ai/flux/dev"]


def test_a_thumbnail_has_the_facts_that_fit() -> None:
    assert caption_texts("a cat", 64, 64) == ["a cat", "seed 42", "1024 x 768"]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (5000, 10), (10, 5000)])
def test_a_picture_that_is_too_small_has_no_caption(width: int, height: int) -> None:
    assert caption_texts("a cat", width, height) == []


@given(any_text, st.integers(1, 3000), st.integers(1, 3000))
def test_every_line_lies_within_the_picture(prompt: str, width: int, height: int) -> None:
    lines = caption(prompt, FACTS, width, height)
    assert all(line.x + measure(line.text, line.size) <= width for line in lines)
    assert all(line.size * 0.7 <= line.y <= height for line in lines)


@pytest.mark.parametrize(
    ("prompt", "expected"),
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
def test_characters_the_font_lacks_are_transliterated_or_numbered(prompt: str, expected: str) -> None:
    assert legible(prompt) == expected


@given(any_text)
def test_a_legible_text_has_only_characters_of_the_font(prompt: str) -> None:
    assert set(legible(prompt)) <= set(WIDTHS)


@given(any_text, st.integers(1, 60), st.floats(1, 500), st.integers(0, 4))
def test_a_text_has_at_most_max_lines(prompt: str, size: int, max_width: float, max_lines: int) -> None:
    assert len(wrap(legible(prompt), size, max_width, max_lines)) <= max_lines


def test_the_table_of_widths_matches_the_font_in_pillow() -> None:
    bundled = ImageFont.load_default(10)
    assert isinstance(bundled, ImageFont.FreeTypeFont)
    font = ImageFont.truetype(io.BytesIO(bundled.font_bytes), 1000, layout_engine=ImageFont.Layout.BASIC)
    assert {letter: round(font.getlength(letter)) for letter in WIDTHS} == WIDTHS
