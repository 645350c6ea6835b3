"""The score of a sound: which tone plays when. All formats play the same score."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mock_fal.media.recipe import Style
from mock_fal.pictures.random_stream import RandomStream

# Tones are lines of the MDCT of MP3 at 44.1 kHz: tone n has (2n + 1) * 44100 / 2304 Hz. So a tone is one number in an
# MP3 file, and other formats play the same pitch. A pentatonic scale from 861 Hz; the ratios are those of just
# intonation to 1 %.
MELODY_TONES: Final = (22, 25, 28, 33, 37, 45)
SPEECH_TONES: Final = (7, 8, 9, 10, 11)  # 287 to 440 Hz
REST: Final = 0

MELODY_SLOT_MS: Final = 250
SPEECH_SLOT_MS: Final = 100
WORD_S: Final = 0.4  # 150 words a minute, as people speak


@dataclass(frozen=True, slots=True)
class Score:
    """Slots of `slot_ms` milliseconds with a tone or a rest each; played in a circle until the sound ends."""

    style: Style
    slots: tuple[int, ...]
    slot_ms: int


def frequency(tone: int) -> float:
    """In Hz.

    >>> round(frequency(22))
    861
    """
    return (2 * tone + 1) * 44100 / 2304


def score(style: Style, text: str, seed: int = 0) -> Score:
    """The score of a text: a melody, or speech."""
    return melody(text, seed) if style == "melody" else speech(text, seed)


def melody(text: str, seed: int = 0) -> Score:
    """Four bars of four notes; two texts share one in a million million times.

    >>> melody("a cat") == melody("a cat"), melody("a cat") == melody("a dog")
    (True, False)
    """
    random = RandomStream("melody", text, seed)
    slots: list[int] = []
    for bar in range(4):
        notes = [random.choice(MELODY_TONES) for _ in range(4)]
        if bar % 2 and not random.integer(3):
            notes[3] = REST
        slots += notes
    slots[0] = slots[0] or MELODY_TONES[0]
    return Score("melody", tuple(slots), MELODY_SLOT_MS)


def speech(text: str, seed: int = 0) -> Score:
    """A short tone for each syllable of each word, about 0.4 s a word, with a pause after a comma or a full stop."""
    slots: list[int] = []
    for word in text.split()[:MAX_WORDS]:
        random = RandomStream("speech", word, seed)
        syllables = min(6, max(1, len(_VOWELS.findall(word.lower())) or len(word) // 3))
        slots += (random.choice(SPEECH_TONES) for _ in range(syllables))
        slots += [REST] * (5 if word[-1] in ".!?。" else 3 if word[-1] in ",;:、" else 1)
    return Score("speech", tuple(slots) or (REST,), SPEECH_SLOT_MS)


MAX_WORDS: Final = 1500  # ten minutes
_VOWELS: Final = re.compile("[aeiouyäöüàáâèéêìíîòóôùúûаеёиоуыэюя]+")


def speech_s(text: str) -> float:
    """How long a text takes to speak.

    >>> speech_s("one two three four five")
    2.0
    """
    # Without spaces, as in Chinese, two characters count as a word.
    words = sum(max(1, sum(ord(c) > 0x2E7F for c in word) // 2) for word in text.split())
    return round(max(1, min(words, MAX_WORDS)) * WORD_S, 1)
