from __future__ import annotations

import json
from typing import Any

import pytest

from mock_fal.media.probe import Probe
from mock_fal.models.input_schema import as_plain, input_adapter
from mock_fal.models.plan import InputFile, Plan, format_of, plan
from mock_fal.models.validation import load
from mock_fal.pictures.recipe import Source
from tests.models.runs import model
from tests.models.smallest import smallest

KLING = "fal-ai/kling-video/v2.1/master/image-to-video"
VEO = "fal-ai/veo3"
WAN = "fal-ai/wan/v2.2-a14b/text-to-video"
NANO = "fal-ai/nano-banana-pro"
SPEECH = "fal-ai/elevenlabs/tts/multilingual-v2"
UPSCALER = "fal-ai/esrgan"

PICTURE = Source("digest", 640, 480, b"")
MOVIE = Probe("video", "mp4", 7.5, 720, 1280)
SOUND = Probe("audio", "wav", 12.25)


def planned(endpoint: str, *files: Source | Probe, nsfw: bool = False, **arguments: Any) -> Plan:
    """The plan for the smallest input with other arguments, and files with that content."""
    found = model(endpoint)
    body = json.dumps({**smallest(found.input), **arguments}).encode()
    fields = as_plain(load(body, input_adapter(found.input)))
    contents = [InputFile(("image_url",), "image", file) for file in files]
    return plan(found, fields, contents, 7, nsfw=nsfw)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "size"),
    [
        ("fal-ai/flux/dev", {}, (1024, 768)),
        ("fal-ai/flux/dev", {"image_size": {"width": 640, "height": 200}}, (640, 200)),
        ("fal-ai/flux/dev", {"image_size": "portrait_16_9"}, (576, 1024)),
        (NANO, {"aspect_ratio": "1:1"}, (1024, 1024)),
        (NANO, {"aspect_ratio": "1:1", "resolution": "4K"}, (4096, 4096)),
        (NANO, {"aspect_ratio": "16:9"}, (1360, 768)),
        (VEO, {}, (1280, 720)),
        (VEO, {"aspect_ratio": "9:16", "resolution": "1080p"}, (1080, 1920)),
        ("fal-ai/flux-2/klein/realtime", {}, (768, 768)),
    ],
)
def test_the_size_is_what_the_input_asks_for(
    endpoint: str, arguments: dict[str, Any], size: tuple[int, int]
) -> None:
    assert planned(endpoint, **arguments).size == size


def test_without_a_size_the_result_has_that_of_the_input_file() -> None:
    assert planned("fal-ai/flux/dev/image-to-image", PICTURE).size == (640, 480)
    assert planned("fal-ai/topaz/upscale/video", MOVIE, upscale_factor=1).size == (720, 1280)


def test_an_upscaler_enlarges_its_input() -> None:
    assert planned("fal-ai/topaz/upscale/image", PICTURE, upscale_factor=3).size == (1920, 1440)


def test_a_video_of_a_picture_has_its_aspect_ratio() -> None:
    assert planned(KLING, PICTURE).size == (960, 720)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "seconds"),
    [
        (KLING, {}, 5),
        (KLING, {"duration": "10"}, 10),
        (VEO, {"duration": "4s"}, 4),
        (WAN, {"num_frames": 81, "frames_per_second": 16}, 81 / 16),
        ("fal-ai/stable-audio", {"seconds_total": 42}, 42),
        ("fal-ai/elevenlabs/music", {"music_length_ms": 15_000}, 15),
        (SPEECH, {"text": "one two three four five"}, 2.4),
    ],
)
def test_the_duration_is_what_the_input_asks_for(
    endpoint: str, arguments: dict[str, Any], seconds: float
) -> None:
    assert planned(endpoint, **arguments).duration_s == pytest.approx(seconds, abs=0.5)


def test_without_a_duration_the_result_is_as_long_as_its_input() -> None:
    assert planned("fal-ai/whisper", SOUND).duration_s == 12.25
    assert planned("fal-ai/topaz/upscale/video", MOVIE).duration_s == 7.5


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("X264 (.mp4)", "mp4"),
        ("VP9 (.webm)", "webm"),
        ("mp3_44100_128", "mp3"),
        ("pcm_16000", "wav"),
        ("ogg_opus", "ogg"),
        ("jpg", "jpeg"),
        ("url", ""),
        ("", ""),
    ],
)
def test_format_names_have_many_spellings(text: str, format: str) -> None:
    assert format_of(text) == format


def test_the_number_of_files_is_what_the_input_asks_for() -> None:
    assert planned("fal-ai/flux/dev", num_images=3).quantity == 3
    assert planned(NANO, num_images=2).quantity == 2


def test_a_video_has_a_sound_track_where_the_model_makes_one() -> None:
    assert planned(VEO).has_sound
    assert not planned(VEO, generate_audio=False).has_sound
    assert not planned(KLING, PICTURE).has_sound


@pytest.mark.parametrize("checker", [True, False])
def test_the_safety_checker_flags_a_result_unless_it_is_off(checker: bool) -> None:
    assert planned("fal-ai/flux/dev", nsfw=True, enable_safety_checker=checker).flagged is checker
    assert not planned("fal-ai/flux/dev", nsfw=False).flagged
