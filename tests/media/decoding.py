"""Decoding with libraries that know nothing of ours."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
import soundfile
from av.container import InputContainer

from mock_fal.pictures.recipe import Recipe

PROMPT = "A cat on the moon, watching the earth rise over the crater rim"


def recipe(width: int, height: int, prompt: str = PROMPT, seed: int = 7) -> Recipe:
    return Recipe("fal-ai/wan/v2.2/text-to-video", prompt, seed, width, height)


# What libraries without types return.
Array = np.ndarray[Any, Any]


def opened(data: bytes, format: str | None = None, **options: str) -> InputContainer:
    """A file as ffmpeg reads it."""
    container = av.open(io.BytesIO(data), format=format, options=options)
    assert isinstance(container, InputContainer)
    return container


@dataclass
class Decoded:
    width: int
    height: int
    rate: Fraction
    duration_s: float
    frames: list[Array]  # RGB
    audio_s: float


def decode(data: bytes) -> Decoded:
    with opened(data) as file:
        video = file.streams.video[0]
        rate = video.average_rate
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert rate is not None and file.duration is not None
        duration = file.duration / 1e6
    audio_s = 0.0
    with opened(data) as file:
        if file.streams.audio:
            audio_s = sum([frame.samples / frame.sample_rate for frame in file.decode(audio=0)], 0.0)
    height, width, _ = frames[0].shape
    return Decoded(width, height, rate, duration, frames, audio_s)


class Samples(NamedTuple):
    """Samples as floats, samples x channels, and their rate."""

    array: Array
    rate: int


def samples(data: bytes) -> Samples:
    """A sound as ffmpeg decodes it."""
    with opened(data) as file:
        stream = file.streams.audio[0]
        channels = stream.codec_context.channels
        parts = []
        for frame in file.decode(audio=0):
            array = frame.to_ndarray()
            array = array.T if frame.format.is_planar else array.reshape(-1, channels)
            parts.append(array.astype(float) / (32768 if array.dtype == np.int16 else 1))
    return Samples(np.concatenate(parts), stream.rate)


def read(data: bytes) -> Samples:
    """A sound as libsndfile decodes it."""
    return Samples(*soundfile.read(io.BytesIO(data), always_2d=True))


def pitch(part: Array, rate: int) -> float:
    spectrum = abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 16))
    return float(spectrum.argmax() * rate / (1 << 16))
