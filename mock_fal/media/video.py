"""Placeholder videos: a picture with its caption, a time counter, a progress bar that moves, and perhaps a sound."""

from __future__ import annotations

from dataclasses import replace

from mock_fal.media import mp3
from mock_fal.media.film import samples
from mock_fal.media.frame_layout import Layout, layout
from mock_fal.media.frame_picture import FramePicture
from mock_fal.media.h264 import picture_parameters, sequence_parameters
from mock_fal.media.mp4 import MP3, Track, avc1, mp4, mp4a
from mock_fal.media.painted import gif_video, webm_video
from mock_fal.media.recipe import Video
from mock_fal.media.score import Score, score
from mock_fal.media.timing import frame_count, frame_rate, video_seconds, video_size
from mock_fal.pictures.plan import plan
from mock_fal.pictures.recipe import Recipe


def render(video: Video) -> bytes:
    """The file of a video. The same video gives the same bytes.

    >>> cat = Recipe("fal-ai/wan", "a cat", seed=7, width=64, height=48)
    >>> render(Video(cat, duration_s=1))[4:12]
    b'ftypisom'
    """
    match video.format:
        case "mp4":
            return _mp4(video)
        case "webm":
            return _webm(video)
        case "gif":
            return _gif(video)


def _mp4(video: Video) -> bytes:
    """H.264, and MP3 if there is a sound."""
    width, height = video_size(video)
    recipe, count, rate = _picture(video), frame_count(video), frame_rate(video)
    picture = FramePicture(None if recipe.blank else plan(recipe), _layout(video, width, height))
    frames, keys = samples(picture, count, rate)
    ticks = -(-12000 // rate.numerator)
    tracks = [
        Track(
            avc1(width, height, sequence_parameters(width, height, float(rate)), picture_parameters()),
            frames,
            rate.numerator * ticks,
            rate.denominator * ticks,
            width,
            height,
            keys,
            per_chunk=max(1, int(rate)),
        )
    ]
    if notes := _notes(video):
        # As many whole frames of sound as the video has room for.
        room = max(1, int(count / rate * mp3.RATE / mp3.SAMPLES))
        entry = mp4a(MP3, mp3.RATE, 1, mp3.SMALL_BITRATE)
        sound = mp3.frames(notes, room, mp3.SMALL_BITRATE)
        tracks.append(Track(entry, sound, mp3.RATE, mp3.SAMPLES, per_chunk=38))
    return mp4(tracks)


def _webm(video: Video) -> bytes:
    """VP8, and Opus if there is a sound."""
    size = video_size(video)
    return webm_video(
        _picture(video), _layout(video, *size), frame_count(video), frame_rate(video), _notes(video)
    )


def _gif(video: Video) -> bytes:
    size = video_size(video)
    return gif_video(_picture(video), _layout(video, *size), frame_count(video), frame_rate(video))


def _notes(video: Video) -> Score | None:
    """The score of the sound track."""
    return score(video.sound, video.text, video.picture.seed) if video.sound else None


def _picture(video: Video) -> Recipe:
    """The picture of the video, smaller if it is too large for a video."""
    picture, (width, height) = video.picture, video_size(video)
    if width < picture.width or height < picture.height:
        return replace(picture, width=width, height=height)
    return picture


def _layout(video: Video, width: int, height: int) -> Layout:
    recipe = video.picture
    size = f"{recipe.width} x {recipe.height}"
    facts = (f"seed {recipe.seed}", size, f"{float(frame_rate(video)):.4g} fps", recipe.endpoint)
    prompt = "" if recipe.blank else recipe.prompt
    return layout(prompt, () if recipe.blank else facts, width, height, video_seconds(video))
