"""The words on a picture: prompt, seed, size and endpoint, in lines that fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from unicodedata import ucd_3_2_0

# Advance widths of Aileron Regular, the one font that Pillow brings, in thousandths of the font size, from " " to "~".
# With our own table the lines break alike everywhere, whatever a FreeType thinks of kerning and hinting
# (tests/test_caption.py holds it against the font).
_WIDTHS = [
    *(216, 242, 339, 580, 580, 740, 654, 176, 315, 315, 560, 580, 220, 274, 220, 303),
    *(580, 580, 580, 580, 580, 580, 580, 580, 580, 580, 220, 220, 580, 580, 580, 499),
    *(852, 639, 627, 699, 709, 587, 567, 710, 730, 264, 544, 609, 575, 866, 718, 737),
    *(598, 733, 619, 585, 612, 682, 622, 952, 625, 581, 591, 307, 303, 295, 580, 500),
    *(300, 531, 611, 529, 615, 549, 290, 615, 593, 238, 233, 522, 247, 855, 593, 586),
    *(611, 615, 330, 459, 313, 592, 514, 785, 482, 513, 462, 303, 250, 303, 580),
]
WIDTHS = {chr(32 + at): width for at, width in enumerate(_WIDTHS)} | {
    **{"©": 838, "«": 557, "°": 298, "±": 580, "·": 202, "»": 557, "‘": 247, "’": 247},
    **{"“": 417, "”": 417, "…": 620, "‹": 387, "›": 387, "™": 539, "⁄": 235},
}

SMALLEST_FONT = 9
MOST_PROMPT_LINES = 3
LONGEST_READ = 600  # characters of a prompt that are looked at; three lines never hold more

# What the font lacks and ASCII can say. The rest becomes U+732B: legible, searchable, and never an empty box.
_LETTERS = str.maketrans(
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
# Joiners, direction marks and variation selectors: they say how to set their neighbours, and have no shape themselves.
_UNSEEN = re.compile("[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text: `x` and `y` are the left end of its baseline, `size` the font size, all in pixels."""

    text: str
    x: int
    y: int
    size: int
    tone: int


def legible(text: str) -> str:
    """The same words with characters that the font has, on one line.

    >>> legible("Crème brûlée\\n für Зоя 猫")
    'Creme brulee fur Zoya U+732B'
    """
    return re.sub(" +", " ", "".join(map(_legible_letter, _UNSEEN.sub("", text)))).strip()


def _legible_letter(letter: str) -> str:
    if letter in WIDTHS:
        return letter
    if letter.isspace():
        return " "
    lower = letter.lower().translate(_LETTERS)
    if lower != letter.lower():
        return lower.capitalize() if letter != letter.lower() else lower
    # The Unicode 3.2 tables are frozen in every Python, so a new Python doesn't change old pictures.
    plain = ucd_3_2_0.normalize("NFKD", letter)
    known = "".join(part for part in plain.lower().translate(_LETTERS) if part in WIDTHS)
    if plain == letter or not known:
        return "" if ucd_3_2_0.combining(letter) else f" U+{ord(letter):04X} "
    return known.capitalize() if letter != letter.lower() else known


def caption(prompt: str, facts: tuple[str, ...], width: int, height: int) -> tuple[Line, ...]:
    """Lines for the lower left corner, prompt first, or none where a picture has no room for them.

    `facts` come in the order of their importance; those that don't fit are left out.
    """
    scale = (width * height) ** 0.5
    size = max(SMALLEST_FONT, min(round(scale * 0.031), width // 14))
    small = max(SMALLEST_FONT, round(size * 0.72))
    margin = max(3, round(min(width, height) * 0.045))
    room = width - 2 * margin
    # A small picture may give more of itself to its caption than a large one.
    depth = height * (0.85 if height < 200 else 0.4) - margin
    last = _fact_lines(facts, small, room, int(depth / (small * 1.3)))
    if not last:
        return ()
    left = int((depth - len(last) * small * 1.35) / (size * 1.22))
    first = wrap(legible(prompt[:LONGEST_READ]), size, room, min(MOST_PROMPT_LINES, left))
    return tuple(_set(first, last, size, small, margin, height - margin))


def _set(first: list[str], last: list[str], size: int, small: int, x: int, bottom: int) -> Iterator[Line]:
    y = bottom - round((len(last) - 1) * small * 1.35)
    start = y - round(small * 1.35 + size * 0.12) - round((len(first) - 1) * size * 1.22)
    for number, text in enumerate(first):
        yield Line(text, x, start + round(number * size * 1.22), size, 0)
    for number, text in enumerate(last):
        yield Line(text, x, y + round(number * small * 1.35), small, 36)


def _fact_lines(facts: tuple[str, ...], size: int, room: int, most: int) -> list[str]:
    lines: list[str] = []
    for fact in map(legible, facts):
        joined = f"{lines[-1]} · {fact}" if lines else fact
        if lines and measure(joined, size) <= room:
            lines[-1] = joined
        elif measure(fact, size) <= room and len(lines) < min(most, 2):
            lines.append(fact)
    return lines


def measure(text: str, size: int) -> float:
    """How wide a legible text is, in pixels."""
    return sum(map(WIDTHS.__getitem__, text)) * size / 1000


def wrap(text: str, size: int, room: float, most: int) -> list[str]:
    """At most `most` lines, each within `room`; what is left over ends in an ellipsis."""
    lines: list[str] = []
    while text and len(lines) < most:
        line = _fitting(text, size, room)
        text = text[len(line) :].lstrip()
        lines.append(line.rstrip())
    if text and lines:
        lines[-1] = _shortened(lines[-1], size, room)
    return [line for line in lines if line]


def _fitting(text: str, size: int, room: float) -> str:
    """The longest beginning that fits, broken at a space if there is one, else within the word."""
    used, last_space = 0.0, 0
    for at, letter in enumerate(text):
        if letter == " ":
            last_space = at
        used += WIDTHS[letter] * size / 1000
        if used > room:
            return text[: last_space or max(at, 1)]
    return text


def _shortened(line: str, size: int, room: float) -> str:
    while line and measure(line + "…", size) > room:
        line = line[:-1]
    return line.rstrip(" ,.;:") + "…"
