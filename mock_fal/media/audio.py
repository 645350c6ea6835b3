"""Placeholder sounds: a melody that follows from a text, or syllables in the rhythm of its words."""

from __future__ import annotations

from mock_fal.media import mp3, opus
from mock_fal.media.flac import flac
from mock_fal.media.recipe import Sound
from mock_fal.media.score import REST, Score, score
from mock_fal.media.timing import channel_count, sample_count, sample_rate
from mock_fal.media.wav import wav


def score_of(sound: Sound) -> Score:
    return score(sound.style, sound.text, sound.seed)


def render(sound: Sound) -> bytes:
    """The file of a sound. The same sound gives the same bytes.

    >>> render(Sound("a cat", 1.5))[:4]
    b'RIFF'
    """
    notes, count, channels = score_of(sound), sample_count(sound), channel_count(sound)
    match sound.format:
        case "wav":
            return wav(notes, sample_rate(sound), channels, count)
        case "flac":
            return flac(notes, sample_rate(sound), channels, count)
        case "mp3":
            return mp3.mp3(notes, count)
        case "ogg":
            return opus.ogg(notes, count)


def peaks(sound: Sound, count: int) -> list[float]:
    """The loudness, 0 to 1, at the start of `count` equal parts of a sound, for a picture of its waveform.

    >>> len(peaks(Sound("a cat", 3.0), 100))
    100
    """
    notes, total_ms = score_of(sound), 1000 * sample_count(sound) / sample_rate(sound)
    return [_loudness(notes, part * total_ms / count) for part in range(count)]


def _loudness(score: Score, milliseconds: float) -> float:
    slot, age = divmod(milliseconds, score.slot_ms)
    if score.slots[int(slot) % len(score.slots)] == REST:
        return 0.0
    # A note of a melody loses 1.5 dB in 13 ms.
    fade = 2 ** (-age / 52.2) if score.style == "melody" else 1.0
    return round(fade, 3)
