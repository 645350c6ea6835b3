from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mock_fal.media.recipe import Video, VideoFormat
from mock_fal.media.timing import frame_count, video_size
from mock_fal.media.video import render
from mock_fal.pictures.paint import pictures
from mock_fal.pictures.source import read_source
from tests.media.decoding import PROMPT, decode, opened, recipe

FORMATS = pytest.mark.parametrize("format", ["mp4", "webm"])


@FORMATS
@pytest.mark.parametrize(
    ("width", "height", "seconds", "fps"),
    [
        (1920, 1080, 2, 24),
        (1280, 720, 1, 30),
        (854, 480, 2, 16),
        (720, 1280, 1, 25),
        (2, 2, 1, 8),
        (4096, 2304, 0.1, 20),
    ],
)
def test_size_rate_and_duration_are_those_asked_for(
    format: VideoFormat, width: int, height: int, seconds: float, fps: int
) -> None:
    seen = decode(render(Video(recipe(width, height), seconds, fps, format=format)))
    assert (seen.width, seen.height, seen.rate) == (width, height, Fraction(fps))
    assert len(seen.frames) == seconds * fps
    assert seen.duration_s == pytest.approx(seconds, abs=0.002)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.floats(0.01, 3),
    st.floats(1, 60),
    st.sampled_from(["mp4", "webm"]),
    st.booleans(),
    st.booleans(),
    st.text(max_size=80),
)
def test_any_size_and_duration_decodes(
    width: int,
    height: int,
    seconds: float,
    fps: float,
    format: VideoFormat,
    sound: bool,
    blank: bool,
    prompt: str,
) -> None:
    picture = replace(recipe(width, height, prompt), blank=blank)
    video = Video(picture, seconds, fps, "melody" if sound else None, format)
    seen = decode(render(video))
    assert len(seen.frames) == frame_count(video)
    even = 2 if format == "mp4" else 1
    assert (seen.width, seen.height) == video_size(video)
    assert video_size(video) == (-(-width // even) * even, -(-height // even) * even)


@FORMATS
def test_the_bar_moves_from_left_to_right_without_a_gap(format: VideoFormat) -> None:
    seen = decode(render(Video(recipe(640, 368), 2, 24, format=format)))
    filled = [int((frame[-2].mean(axis=1) > 170).sum()) for frame in seen.frames]
    assert filled[0] <= 32 and filled[-1] >= 630
    assert all(0 <= after - before <= 20 for before, after in pairwise(filled))
    for frame, count in zip(seen.frames, filled, strict=True):
        assert (frame[-2].mean(axis=1) > 170)[:count].all()


def test_the_rest_of_the_picture_stands_still() -> None:
    seen = decode(render(Video(recipe(640, 368), 0.9, 24)))
    assert all((frame[:-16] == seen.frames[0][:-16]).all() for frame in seen.frames)


def test_the_counter_changes_once_a_second() -> None:
    seen = decode(render(Video(recipe(640, 368), 4, 10)))
    changes = [i for i in range(1, 40) if (seen.frames[i][:-16] != seen.frames[i - 1][:-16]).any()]
    assert changes == [10, 20, 30]


def test_the_picture_is_that_of_its_recipe() -> None:
    frame = decode(render(Video(recipe(1280, 720), 0.1, 24))).frames[0]
    whole = np.asarray(next(pictures(recipe(1280, 720))))
    small = [np.asarray(Image.fromarray(p[:480]).reduce(16), dtype=int) for p in (frame, whole)]
    assert abs(small[0] - small[1]).mean() < 2


def test_the_caption_is_sharp() -> None:
    frame = decode(render(Video(recipe(1280, 720), 0.1, 24))).frames[0]
    caption = frame[-120:-40].mean(axis=2)
    assert abs(np.diff(caption, axis=1)).max() > 100


def test_a_long_video_has_key_frames_to_seek_to() -> None:
    data = render(Video(recipe(320, 192), 61, 10))
    with opened(data) as file:
        keys = [
            float((p.pts or 0) * (p.time_base or 0)) for p in file.demux(video=0) if p.is_keyframe and p.size
        ]
    assert keys == [0, 20, 40, 60]
    with opened(data) as file:
        straight = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    with opened(data) as file:
        file.seek(45_000_000)
        sought = next(f for f in file.decode(video=0) if f.time >= 45).to_ndarray(format="rgb24")
    assert (sought[:-16] == straight[450][:-16]).all()
    assert abs(sought[-16:].astype(int) - straight[450][-16:]).max() <= 4


@FORMATS
def test_a_sound_track_is_as_long_as_the_video(format: VideoFormat) -> None:
    seen = decode(render(Video(recipe(320, 192), 5, 24, "melody", format)))
    assert seen.audio_s == pytest.approx(5, abs=0.06)
    assert seen.duration_s == pytest.approx(5, abs=0.01)


def test_the_index_stands_in_front() -> None:
    data = render(Video(recipe(320, 192), 1, 24, "melody"))
    assert data.index(b"moov") < data.index(b"mdat") < 4000


def test_the_same_video_gives_the_same_bytes() -> None:
    video = Video(recipe(640, 360), 2, 24, "melody")
    assert render(video) == render(video)


def test_the_pixels_are_pinned() -> None:
    frames = decode(render(Video(recipe(320, 192), 2, 8))).frames
    assert hashlib.sha256(b"".join(f.tobytes() for f in frames)).hexdigest()[:16] == PIXELS


PIXELS = "e4290582680582d5"


def test_ten_minutes_are_bounded() -> None:
    video = Video(recipe(64, 64), 10_000, 600)
    assert frame_count(video) == 36_000
    assert len(render(video)) < 3_000_000


@pytest.mark.parametrize("seed", range(6))
def test_ten_seconds_of_1080p_are_small(seed: int) -> None:
    data = render(Video(recipe(1920, 1080, PROMPT * 3, seed), 10, 24, "melody"))
    assert len(data) <= 250_000


def test_edges_are_as_sharp_as_in_the_picture() -> None:
    frame = decode(render(Video(recipe(640, 360, seed=7), 0.1, 24))).frames[0]
    whole = np.asarray(next(pictures(recipe(640, 360, seed=7))))
    upper = [part[:200].astype(int).mean(axis=2) for part in (frame, whole)]
    assert (abs(upper[0] - upper[1]) > 15).mean() < 0.001


@pytest.mark.parametrize("size", [(640, 360), (33, 35), (2, 2)])
def test_gif_has_its_size_and_duration(size: tuple[int, int]) -> None:
    image: Any = Image.open(io.BytesIO(render(Video(recipe(*size), 3, 24, format="gif"))))
    assert image.size == size
    durations = []
    for frame in range(image.n_frames):
        image.seek(frame)
        durations.append(image.info.get("duration", 0))
    assert size == (2, 2) or sum(durations) == 3000


def test_a_source_picture_shows_through() -> None:
    file = io.BytesIO()
    picture = Image.new("L", (640, 360), 20)
    picture.paste(235, (0, 0, 320, 360))
    picture.save(file, "PNG")
    source = read_source(file.getvalue())
    formats: tuple[VideoFormat, ...] = ("mp4", "webm")
    for format in formats:
        frame = decode(
            render(Video(replace(recipe(640, 360), source=source), 0.1, 24, format=format))
        ).frames[0]
        assert frame[:150, :300].mean() > frame[:150, 340:].mean() + 60


@pytest.mark.parametrize(
    ("format", "size"),
    [("mp4", (5792, 2896)), ("webm", (5792, 2896)), ("gif", (2042, 1020))],
)
def test_a_video_that_is_too_large_is_scaled_down(format: VideoFormat, size: tuple[int, int]) -> None:
    video = Video(recipe(14000, 7000), 0.1, 20, format=format)
    assert video_size(video) == size
    assert max(video_size(replace(video, picture=recipe(14142, 10)))) <= 8192
    if format != "gif":
        seen = decode(render(video))
        assert (seen.width, seen.height) == size
