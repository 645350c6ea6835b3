"""TanStack AI with its adapters of fal, unmodified: pictures, a video, speech, music and a transcript."""

from __future__ import annotations

import os

import pytest

from tests.clients.media_run import SPEECH_S, MediaRun, shared_run
from tests.clients.programs import FOLDER, NODES, Node

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> MediaRun:
    command = [str(Node(NODES[-1]).binary), str(FOLDER / "tanstack.mjs"), "."]
    return shared_run(tmp_path_factory, "tanstack", command)


def test_pictures_have_their_number_and_size(run: MediaRun) -> None:
    assert run.output["image"] == 2
    assert run.picture("image0") == run.picture("image1") == ("JPEG", (768, 1024))


def test_a_video_is_asked_for_until_it_is_completed(run: MediaRun) -> None:
    states = run.output["video"]
    assert states[-1] == "completed"
    assert set(states[:-1]) <= {"pending", "processing"}
    video = run.video("video")
    assert (video.width, video.height, round(video.duration_s)) == (1280, 720, 6)


def test_speech_and_music_are_sounds_of_the_type_that_is_stated(run: MediaRun) -> None:
    assert run.output["speech"] == {"format": "wav", "contentType": "audio/wav"}
    assert run.output["music"] == "audio/wav"
    assert run.bytes("speech").startswith(b"RIFF")
    assert min(run.sound_s("speech"), run.sound_s("music")) > 0.5


def test_a_data_uri_is_uploaded_and_its_transcript_has_segments(run: MediaRun) -> None:
    transcript = run.output["transcript"]
    assert transcript["language"] == "en"
    assert " ".join(part["text"] for part in transcript["segments"]) == transcript["text"]
    assert transcript["segments"][-1]["end"] == SPEECH_S
    assert [part.get("speaker") for part in transcript["segments"]] == [None] * len(transcript["segments"])
    assert "rest.fal.ai/storage/upload/initiate" in run.summary
