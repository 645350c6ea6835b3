"""The length, rate and size of the file that a recipe gives, within the limits of the encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mock_fal.media.recipe import Sound, Video

if TYPE_CHECKING:
    from fractions import Fraction

# assumption: these limits, which are beyond what fal's schemas allow for videos; fal has no common limit for sounds.
# What a recipe has beyond them is clamped.
MAX_VIDEO_S: Final = 600
MIN_FPS: Final = 1
MAX_FPS: Final = 60
MIN_SOUND_S: Final = 0.1
MAX_SOUND_S: Final = 600
MIN_SAMPLE_RATE: Final = 8000
MAX_SAMPLE_RATE: Final = 48000

# A larger video is scaled down: larger ones take too much memory, those in GIF most of all. The longest side is that of
# 8K; the levels of H.264 allow a little more (Table A-1).
MAX_VIDEO_SIDE: Final = 8192
MAX_VIDEO_PIXELS: Final = 4096 * 4096
MAX_GIF_PIXELS: Final = 1920 * 1088

MP3_RATE: Final = 44100
OPUS_RATE: Final = 48000


def frame_rate(video: Video) -> Fraction:
    """Frames a second; 29.97 and similar numbers stand for the fractions of television.

    >>> from mock_fal.pictures.recipe import Recipe
    >>> frame_rate(Video(Recipe("fal-ai/wan", "a cat", 7, 64, 48), duration_s=1, fps=29.97))
    Fraction(30000, 1001)
    """
    from fractions import Fraction  # with `decimal`, 3 ms of each start

    fps = min(max(video.fps, MIN_FPS), MAX_FPS)
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    if fps != round(fps) and abs(float(ntsc) - fps) < 0.005:
        return ntsc
    return Fraction(fps).limit_denominator(1000)


def frame_count(video: Video) -> int:
    """The number of frames, at least one."""
    return max(1, round(min(video.duration_s, MAX_VIDEO_S) * frame_rate(video)))


def video_seconds(video: Video) -> float:
    return float(frame_count(video) / frame_rate(video))


def video_size(video: Video) -> tuple[int, int]:
    """Width and height in pixels. Both are even in MP4, since its colours are at half the resolution."""
    width, height = video.picture.width, video.picture.height
    most = MAX_GIF_PIXELS if video.format == "gif" else MAX_VIDEO_PIXELS
    scale = min(1.0, MAX_VIDEO_SIDE / max(width, height), (most / (width * height)) ** 0.5)
    if scale < 1:
        width, height = max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)
    if video.format == "mp4":
        width, height = width + width % 2, height + height % 2
    return width, height


def sample_rate(sound: Sound) -> int:
    """Samples a second."""
    match sound.format:
        case "mp3":
            return MP3_RATE
        case "ogg":
            return OPUS_RATE
        case _:
            return min(max(sound.sample_rate, MIN_SAMPLE_RATE), MAX_SAMPLE_RATE)


def channel_count(sound: Sound) -> int:
    """One or two."""
    return 1 if sound.format in ("mp3", "ogg") else min(max(sound.channels, 1), 2)


def sample_count(sound: Sound) -> int:
    """The number of samples of one channel."""
    return round(min(max(sound.duration_s, MIN_SOUND_S), MAX_SOUND_S) * sample_rate(sound))
