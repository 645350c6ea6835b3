from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mock_fal.media.probe import Probe, described, probe
from mock_fal.media.recipe import AudioFormat, MediaRecipe, Model3D, Sound, Video, VideoFormat
from mock_fal.media.render import render
from tests.media.decoding import recipe

AUDIO: tuple[AudioFormat, ...] = ("wav", "mp3", "flac", "ogg")
VIDEO: tuple[VideoFormat, ...] = ("mp4", "webm", "gif")


@pytest.mark.parametrize("format", AUDIO)
def test_our_own_sounds(format: AudioFormat) -> None:
    sound = Sound("a cat", 2.5, format=format)
    assert probe(render(sound)) == described(sound) == Probe("audio", format, 2.5)


@pytest.mark.parametrize("format", VIDEO)
def test_our_own_videos(format: VideoFormat) -> None:
    video = Video(recipe(320, 200), 2.5, 24, "melody", format)
    expected = Probe("image" if format == "gif" else "video", format, 2.5, 320, 200)
    assert probe(render(video)) == described(video) == expected


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.floats(0.2, 2),
    st.floats(1, 60),
    st.sampled_from(["mp4", "webm"]),
)
def test_a_video_is_described_as_it_will_be(
    width: int, height: int, seconds: float, fps: float, format: VideoFormat
) -> None:
    video = Video(recipe(width, height), seconds, fps, None, format)
    found, expected = probe(render(video)), described(video)
    assert found and expected
    assert (found.kind, found.format, found.width, found.height) == ("video", format, *_size(expected))
    assert found.duration_s == pytest.approx(expected.duration_s, abs=0.002)


def _size(found: Probe) -> tuple[int, int]:
    return found.width, found.height


def test_what_is_no_video_or_sound_is_not_described() -> None:
    assert described(recipe(64, 64)) is described(Model3D("a cat")) is None


def _encoded(format: str, codec: str, seconds: float = 2.0, rate: int = 48000) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout="mono")
        wave = (8000 * np.sin(np.arange(int(seconds * rate)) / 20)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate = rate
        for piece in (
            av.AudioResampler(stream.format.name, "mono", rate, stream.codec_context.frame_size or None)
        ).resample(frame):
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("format", "codec", "ours"),
    [
        ("wav", "pcm_s16le", "wav"),
        ("mp3", "libmp3lame", "mp3"),
        ("flac", "flac", "flac"),
        ("ogg", "libopus", "ogg"),
        ("ipod", "aac", "mp4"),
        ("webm", "libopus", "webm"),
        ("adts", "aac", "aac"),
    ],
)
def test_sounds_of_ffmpeg(format: str, codec: str, ours: str) -> None:
    found = probe(_encoded(format, codec))
    assert found
    assert (found.kind, found.format) == ("audio", ours)
    assert found.duration_s == pytest.approx(2, abs=0.05)


def test_vorbis_of_libsndfile() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(44100) / 20) / 2, 22050, format="OGG", subtype="VORBIS")
    assert probe(buffer.getvalue()) == Probe("audio", "ogg", 2.0)


@pytest.mark.parametrize(
    ("format", "codec", "ours"),
    [("mp4", "libx264", "mp4"), ("mov", "mpeg4", "mp4"), ("webm", "libvpx", "webm")],
)
def test_videos_of_ffmpeg(format: str, codec: str, ours: str) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as file:
        stream: Any = file.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(20):
            file.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), format="rgb24"))
            )
        file.mux(stream.encode(None))
    found = probe(buffer.getvalue())
    assert found
    assert (found.kind, found.format, found.width, found.height) == ("video", ours, 96, 64)
    assert found.duration_s == pytest.approx(2, abs=0.15)


HEADS = [
    b"RIFF\0\0\0\0WAVE",
    b"fLaC",
    b"GIF89a",
    b"OggS",
    b"\0\0\0\x18ftyp",
    b"\0\0\0\x40moov",
    b"\x1aE\xdf\xa3",
    b"ID3",
    b"\xff\xfb",
    b"\xff\xf1\x4c\x80",
]


@settings(max_examples=400, deadline=2000)
@given(st.sampled_from([*HEADS, b""]), st.binary(max_size=300))
@example(b"RIFF\0\0\0\0WAVE", b"")
def test_garbage_never_raises(head: bytes, rest: bytes) -> None:
    probe(head + rest)


RECIPES: list[MediaRecipe] = [Sound("a cat", 0.3, format=format) for format in AUDIO]
RECIPES += [Video(recipe(64, 64), 0.2, 10, None, format) for format in VIDEO]
MEDIA = [*map(render, RECIPES), _encoded("adts", "aac", 0.3)]


@settings(max_examples=300, deadline=2000)
@given(
    st.sampled_from(MEDIA),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8),
    st.integers(0, 3000),
)
def test_broken_files_never_raise(data: bytes, changes: list[tuple[int, int]], length: int) -> None:
    broken = bytearray(data)
    for at, value in changes:
        broken[at % len(broken)] = value
    probe(bytes(broken[: length or None]))
