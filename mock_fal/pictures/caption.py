"""The caption of a picture: prompt, seed, size and endpoint, wrapped to its width."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from unicodedata import ucd_3_2_0

# Advance widths of Aileron Regular, the font that Pillow includes, in thousandths of the font size, from " " to "~".
# With this table lines break at the same place on every machine: FreeType versions differ in kerning and hinting.
# tests/pictures/test_caption.py compares the table with the font.
_WIDTHS = [
    *(216, 242, 339, 580, 580, 740, 654, 176, 315, 315, 560, 580, 220, 274, 220, 303),
    *(580, 580, 580, 580, 580, 580, 580, 580, 580, 580, 220, 220, 580, 580, 580, 499),
    *(852, 639, 627, 699, 709, 587, 567, 710, 730, 264, 544, 609, 575, 866, 718, 737),
    *(598, 733, 619, 585, 612, 682, 622, 952, 625, 581, 591, 307, 303, 295, 580, 500),
    *(300, 531, 611, 529, 615, 549, 290, 615, 593, 238, 233, 522, 247, 855, 593, 586),
    *(611, 615, 330, 459, 313, 592, 514, 785, 482, 513, 462, 303, 250, 303, 580),
]
WIDTHS = {chr(32 + index): width for index, width in enumerate(_WIDTHS)} | {
    **{"©": 838, "«": 557, "°": 298, "±": 580, "·": 202, "»": 557, "‘": 247, "’": 247},
    **{"“": 417, "”": 417, "…": 620, "‹": 387, "›": 387, "™": 539, "⁄": 235},
}

MIN_FONT_SIZE = 9
MAX_PROMPT_LINES = 3
MAX_PROMPT_CHARACTERS = 600  # three lines never hold more; the rest of a prompt is not processed

# Transliterations of characters that the font lacks. A character without one is written as its code point, as U+732B;
# the font would draw an empty box.
_TRANSLITERATIONS = str.maketrans(
    {
        **dict(zip("абвгдезийклмнопрстуфыьэѐієјї", "abvgdezijklmnoprstufy'eeiyji", strict=True)),
        **dict(zip("αβγδεζηικλμνξοπρσςτυφω", "avgdeziiklmnxoprsstyfo", strict=True)),
        **{
            "ж": "zh",
            "х": "kh",
            "ц": "ts",
            "ч": "ch",
            "ш": "sh",
            "щ": "shch",
            "ъ": '"',
            "ю": "yu",
            "я": "ya",
        },
        **{"θ": "th", "χ": "ch", "ψ": "ps", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l"},
        **{
            "ð": "d",
            "þ": "th",
            "ı": "i",
            "×": "x",
            "÷": "/",
            "–": "-",
            "—": "-",
            "−": "-",
            "‐": "-",
            "•": "·",
        },
        **{"、": ", ", "。": ". ", "「": "“", "」": "”", "„": "“", "‚": "‘", "¿": "?", "¡": "!", "´": "'"},
    }
)
# Joiners, direction marks and variation selectors: they affect the characters beside them and have no glyph.
_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. `x` and `y` are the left end of the baseline, `size` is the font size, all in pixels."""

    text: str
    x: int
    y: int
    size: int
    tone: int


def legible(text: str) -> str:
    """The text on one line, in characters that the font has.

    >>> legible("Crème brûlée\\n für Зоя 猫")
    'Creme brulee fur Zoya U+732B'
    """
    return re.sub(" +", " ", "".join(map(_legible_character, _INVISIBLE.sub("", text)))).strip()


def _legible_character(character: str) -> str:
    if character in WIDTHS:
        return character
    if character.isspace():
        return " "
    lower = character.lower().translate(_TRANSLITERATIONS)
    if lower != character.lower():
        return lower.capitalize() if character != character.lower() else lower
    # Python's Unicode 3.2 tables never change, so a new Python version doesn't change the pictures.
    decomposed = ucd_3_2_0.normalize("NFKD", character)
    supported = "".join(part for part in decomposed.lower().translate(_TRANSLITERATIONS) if part in WIDTHS)
    if decomposed == character or not supported:
        return "" if ucd_3_2_0.combining(character) else f" U+{ord(character):04X} "
    return supported.capitalize() if character != character.lower() else supported


def caption(prompt: str, facts: tuple[str, ...], width: int, height: int) -> tuple[Line, ...]:
    """Lines for the lower left corner, prompt first; no lines if the picture is too small.

    `facts` are in order of importance; those that don't fit are left out.
    """
    scale = (width * height) ** 0.5
    size = max(MIN_FONT_SIZE, min(round(scale * 0.031), width // 14))
    small = max(MIN_FONT_SIZE, round(size * 0.72))
    margin = max(3, round(min(width, height) * 0.045))
    max_width = width - 2 * margin
    # The caption may cover a larger share of a small picture than of a large one.
    max_height = height * (0.85 if height < 200 else 0.4) - margin
    fact_lines = _fact_lines(facts, small, max_width, int(max_height / (small * 1.3)))
    if not fact_lines:
        return ()
    lines_left = int((max_height - len(fact_lines) * small * 1.35) / (size * 1.22))
    prompt_lines = wrap(
        legible(prompt[:MAX_PROMPT_CHARACTERS]), size, max_width, min(MAX_PROMPT_LINES, lines_left)
    )
    return tuple(_layout(prompt_lines, fact_lines, size, small, margin, height - margin))


def _layout(
    prompt_lines: list[str], fact_lines: list[str], size: int, small: int, x: int, bottom: int
) -> Iterator[Line]:
    facts_y = bottom - round((len(fact_lines) - 1) * small * 1.35)
    prompt_y = facts_y - round(small * 1.35 + size * 0.12) - round((len(prompt_lines) - 1) * size * 1.22)
    for number, text in enumerate(prompt_lines):
        yield Line(text, x, prompt_y + round(number * size * 1.22), size, 0)
    for number, text in enumerate(fact_lines):
        yield Line(text, x, facts_y + round(number * small * 1.35), small, 36)


def _fact_lines(facts: tuple[str, ...], size: int, max_width: int, max_lines: int) -> list[str]:
    lines: list[str] = []
    for fact in map(legible, facts):
        joined = f"{lines[-1]} · {fact}" if lines else fact
        if lines and measure(joined, size) <= max_width:
            lines[-1] = joined
        elif measure(fact, size) <= max_width and len(lines) < min(max_lines, 2):
            lines.append(fact)
    return lines


def measure(text: str, size: int) -> float:
    """The width of a legible text in pixels."""
    return sum(map(WIDTHS.__getitem__, text)) * size / 1000


def wrap(text: str, size: int, max_width: float, max_lines: int) -> list[str]:
    """At most `max_lines` lines of at most `max_width` pixels; a text that is cut off ends in an ellipsis."""
    lines: list[str] = []
    while text and len(lines) < max_lines:
        line = _first_line(text, size, max_width)
        text = text[len(line) :].lstrip()
        lines.append(line.rstrip())
    if text and lines:
        lines[-1] = _with_ellipsis(lines[-1], size, max_width)
    return [line for line in lines if line]


def _first_line(text: str, size: int, max_width: float) -> str:
    """The longest prefix that fits, broken at a space if there is one, else within the word."""
    width, last_space = 0.0, 0
    for index, character in enumerate(text):
        if character == " ":
            last_space = index
        width += WIDTHS[character] * size / 1000
        if width > max_width:
            return text[: last_space or max(index, 1)]
    return text


def _with_ellipsis(line: str, size: int, max_width: float) -> str:
    while line and measure(line + "…", size) > max_width:
        line = line[:-1]
    return line.rstrip(" ,.;:") + "…"
