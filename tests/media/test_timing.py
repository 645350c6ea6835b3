from __future__ import annotations

from dataclasses import replace

import pytest

from mock_fal.media.recipe import AudioFormat, Sound, Video, VideoFormat
from mock_fal.media.timing import (
    channel_count,
    frame_count,
    frame_rate,
    sample_count,
    sample_rate,
    video_seconds,
    video_size,
)
from tests.media.decoding import recipe

VIDEO = Video(recipe(640, 360), 5, 24)


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(29.97, "30000/1001"), (23.976, "24000/1001"), (12.5, "25/2"), (1, "1"), (0, "1"), (600, "60")],
)
def test_rates_of_broadcasting_are_exact_and_others_within_the_limits(fps: float, rate: str) -> None:
    assert str(frame_rate(replace(VIDEO, fps=fps))) == rate


@pytest.mark.parametrize(("seconds", "frames"), [(5, 120), (0, 1), (0.01, 1), (0.51, 12), (10_000, 14_400)])
def test_a_video_has_at_least_one_frame_and_at_most_ten_minutes(seconds: float, frames: int) -> None:
    video = replace(VIDEO, duration_s=seconds)
    assert frame_count(video) == frames
    assert video_seconds(video) == frames / 24


@pytest.mark.parametrize(
    ("format", "size", "expected"),
    [
        ("mp4", (641, 359), (642, 360)),
        ("webm", (641, 359), (641, 359)),
        ("gif", (641, 359), (641, 359)),
        ("mp4", (4096, 4096), (4096, 4096)),
        ("mp4", (14142, 10), (8190, 4)),
        ("mp4", (8192, 4096), (5792, 2896)),
        ("gif", (3840, 2160), (1926, 1082)),
    ],
)
def test_a_size_is_even_in_mp4_and_within_the_limits(
    format: VideoFormat, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert video_size(Video(recipe(*size), 1, format=format)) == expected


@pytest.mark.parametrize(
    ("format", "rate", "channels"),
    [("wav", 16000, 2), ("flac", 16000, 2), ("mp3", 44100, 1), ("ogg", 48000, 1)],
)
def test_compressed_sounds_have_one_rate_and_one_channel(
    format: AudioFormat, rate: int, channels: int
) -> None:
    sound = Sound("a cat", 2, format=format, sample_rate=16000, channels=2)
    assert (sample_rate(sound), channel_count(sound), sample_count(sound)) == (rate, channels, 2 * rate)


def test_a_sound_is_within_the_limits() -> None:
    sound = Sound("a cat", 10_000, sample_rate=200_000, channels=9)
    assert (sample_rate(sound), channel_count(sound)) == (48000, 2)
    assert sample_count(sound) == 600 * 48000
    assert sample_count(replace(sound, duration_s=0, sample_rate=1)) == 800
