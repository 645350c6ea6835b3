"""Vercel's AI SDK 5, 6 and 7 with its provider of fal, unmodified: pictures, videos, speech and transcripts."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from mock_fal import Account
from tests.clients.media_run import MediaRun, shared_run
from tests.clients.programs import FOLDER, Node
from tests.clients.test_python_client import calls

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")


@dataclass(frozen=True)
class Sdk:
    """One version of the SDK, in a Node that it supports."""

    version: str
    node: Node

    def run(self, case: str) -> dict[str, object]:
        output: dict[str, object] = self.node("ai.mjs", case, self.version)
        return output


# Version 7 needs Node 22.
VERSIONS = {"5": "20", "6": "22", "7": "24"}


@pytest.fixture(params=VERSIONS, ids=[f"ai{version}" for version in VERSIONS], scope="module")
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return Sdk(request.param, Node(VERSIONS[request.param]))


@pytest.fixture(scope="module")
def run(sdk: Sdk, tmp_path_factory: pytest.TempPathFactory) -> MediaRun:
    command = [str(sdk.node.binary), str(FOLDER / "ai.mjs"), "media", sdk.version, "."]
    return shared_run(tmp_path_factory, f"ai{sdk.version}", command)


# -- media


def test_a_picture_has_its_aspect_ratio(run: MediaRun) -> None:
    assert run.output["image"] == "image/png"
    assert run.picture("image") == ("PNG", (1024, 576))


def test_a_video_has_its_length_and_aspect_ratio(sdk: Sdk, run: MediaRun) -> None:
    if sdk.version == "5":
        assert run.output.get("video") is None  # it has no videos
        return
    assert run.output["video"]["mediaType"] == "video/mp4"
    video = run.video("video")
    assert (video.width, video.height, round(video.duration_s)) == (720, 1280, 4)
    assert round(video.audio_s) == 4
    [metadata] = run.output["video"]["metadata"]["videos"]
    assert metadata["url"].startswith("https://v3b.fal.media/files/")


def test_speech_is_a_sound_that_decodes(run: MediaRun) -> None:
    assert run.output["speech"] == ["audio/mpeg", "mp3"]
    assert 1 < run.sound_s("speech") < 30


def test_a_transcript_has_segments_up_to_the_end_of_the_speech(run: MediaRun) -> None:
    transcript = run.output["transcript"]
    assert transcript["language"] == "en"
    assert transcript["text"].split() == [
        word for part in transcript["segments"] for word in part["text"].split()
    ]
    times = [time for part in transcript["segments"] for time in (part["startSecond"], part["endSecond"])]
    assert times == sorted(times)
    assert transcript["durationInSeconds"] == times[-1] == pytest.approx(run.sound_s("speech"), abs=0.5)


# -- the protocol


def test_one_call_makes_each_picture(sdk: Sdk, mock_fal: Account) -> None:
    """And a GET request without a key for each file."""
    output = sdk.run("image")
    assert output["files"] == [["image/jpeg", size] for _, size in output["files"]]  # type: ignore[attr-defined]
    assert output["warnings"] == []
    assert [request.json["image_size"] for request in mock_fal.requests] == 2 * [
        {"width": 512, "height": 512}
    ]
    image = {"width": 512, "height": 512, "contentType": "image/jpeg", "nsfw": False}
    assert output["metadata"] == {"images": [image, image]}


def test_an_invalid_input_raises_its_error(sdk: Sdk, mock_fal: Account) -> None:
    wrong = "body.num_inference_steps: Input should be less than or equal to 12"
    assert sdk.run("invalid") == {"name": "AI_APICallError", "statusCode": 422, "message": wrong}


def test_a_video_is_polled_for_at_its_result(mock_fal: Account) -> None:
    """It continues only for the exact text of a request that is still in progress."""
    output = Node("22")("ai.mjs", "noVideo", "6")
    assert output == {"name": "FAL_VIDEO_GENERATION_ERROR", "message": "No video URL in response"}
    first, *polls, last = calls(mock_fal)
    assert (first, last) == (("POST", "", 200), ("GET", "", 200))
    assert set(polls) <= {("GET", "", 400)}
