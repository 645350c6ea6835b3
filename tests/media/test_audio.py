from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_fal.media import score
from mock_fal.media.audio import peaks, render, score_of
from mock_fal.media.recipe import AudioFormat, Sound, Style
from mock_fal.media.timing import sample_count
from tests.media.decoding import pitch, read, samples

OPUS_HZ = dict(zip(score.MELODY_TONES, (800, 900, 1000, 1200, 1350, 1600), strict=True))
FORMATS = pytest.mark.parametrize("format", ["wav", "mp3", "flac", "ogg"])


@FORMATS
@pytest.mark.parametrize("seconds", [0.1, 1, 3.3, 10])
def test_a_sound_is_as_long_as_asked_for(format: AudioFormat, seconds: float) -> None:
    data = render(Sound("a cat", seconds, format=format))
    heard, rate = samples(data)
    assert len(heard) / rate == pytest.approx(seconds, abs=0.007)


@FORMATS
def test_the_notes_are_those_of_the_score(format: AudioFormat) -> None:
    sound = Sound("a cat", 4.0, format=format)
    heard, rate = samples(render(sound))
    for slot, tone in enumerate(score_of(sound).slots[:15]):
        start = int((slot * 0.25 + 0.06) * rate)
        part = heard[start : start + int(0.12 * rate), 0]
        if tone == score.REST:
            continue
        wanted = OPUS_HZ[tone] if format == "ogg" else score.frequency(tone)
        assert pitch(part, rate) == pytest.approx(wanted, abs=15)
        assert 0.02 < abs(part).max() < 0.9


@FORMATS
def test_two_prompts_sound_different(format: AudioFormat) -> None:
    assert render(Sound("a cat", 2, format=format)) != render(Sound("a dog", 2, format=format))


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.1, 3),
    st.sampled_from([8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000]),
    st.integers(1, 2),
    st.sampled_from(["wav", "flac"]),
    st.sampled_from(["melody", "speech"]),
)
def test_rate_channels_and_length_are_exact(
    seconds: float, rate: int, channels: int, format: AudioFormat, style: Style
) -> None:
    sound = Sound("hello there, world", seconds, 0, style, format, rate, channels)
    heard, seen = read(render(sound))
    assert (seen, heard.shape) == (rate, (sample_count(sound), channels))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("style", ["melody", "speech"])
def test_flac_is_wav_without_loss(channels: int, style: Style) -> None:
    formats: tuple[AudioFormat, ...] = ("wav", "flac")
    wav, flac = (
        read(render(Sound("a cat", 2.6, 0, style, format, 22050, channels))).array for format in formats
    )
    assert (wav == flac).all()


@FORMATS
@pytest.mark.parametrize("style", ["melody", "speech"])
def test_the_same_sound_gives_the_same_bytes(format: AudioFormat, style: Style) -> None:
    sound = Sound("a cat", 2.2, 3, style, format)
    assert render(sound) == render(sound)
    assert hashlib.sha256(render(sound)).hexdigest()[:16] == PINNED[format, style]


# No encoder of the system takes part, so the bytes themselves are pinned.
PINNED = {
    ("wav", "melody"): "cd416fc00a8d61d5",
    ("wav", "speech"): "24d857f4d0bd9623",
    ("mp3", "melody"): "774d91af798b5a3c",
    ("mp3", "speech"): "3ad207d59dedd41c",
    ("flac", "melody"): "08e60f9accc7454c",
    ("flac", "speech"): "c5882719edffa4d3",
    ("ogg", "melody"): "afa4da5e1b2a6456",
    ("ogg", "speech"): "88e652559fbef848",
}


def test_peaks_follow_the_sound() -> None:
    values = peaks(Sound("a cat", 4.0), 64)
    assert len(values) == 64 and all(0 <= value <= 1 for value in values) and max(values) > 0.9
    heard, rate = read(render(Sound("a cat", 4.0)))
    loudness = [abs(part).max() for part in np.array_split(heard[:, 0], 64)]
    assert np.corrcoef(values, loudness)[0, 1] > 0.8
