"""Placeholder transcripts: words and segments whose times fit the length of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from mock_fal.media.score import MAX_WORDS, WORD_S

SEGMENT_WORDS: Final = 10

_WORDS: Final = (
    "This is a placeholder transcript. It was made by mock-fal, which does not listen to the recording. "
    "Its words are always the same, and their times fit the length of what was sent."
).split()


class Span(NamedTuple):
    """A word or a segment: seconds from the start of the recording, its text, and the number of its speaker."""

    start: float
    end: float
    text: str
    speaker: int = 0


class Transcript(NamedTuple):
    """The words of a recording in order, without gaps, and the segments that they form."""

    words: Sequence[Span]
    segments: Sequence[Span]

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


def transcript(duration_s: float, text: str = "", speakers: int = 1) -> Transcript:
    """A transcript of `duration_s` seconds: of `text`, else of a text that says what it is. Speakers take turns.

    >>> transcript(1.0).words[-1].end
    1.0
    """
    spoken = text.split()[:MAX_WORDS] or _repeated(max(1, min(MAX_WORDS, round(duration_s / WORD_S))))
    step = duration_s / len(spoken)
    words = [
        Span(
            round(number * step, 3),
            round((number + 1) * step, 3),
            word,
            number // SEGMENT_WORDS % max(1, speakers),
        )
        for number, word in enumerate(spoken)
    ]
    return Transcript(
        words, [_joined(words[at : at + SEGMENT_WORDS]) for at in range(0, len(words), SEGMENT_WORDS)]
    )


def _repeated(count: int) -> list[str]:
    return [_WORDS[number % len(_WORDS)] for number in range(count)]


def _joined(words: Sequence[Span]) -> Span:
    return Span(words[0].start, words[-1].end, " ".join(word.text for word in words), words[0].speaker)
