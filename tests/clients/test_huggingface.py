"""Hugging Face's clients with the provider fal-ai and a key of fal: pictures, videos, speech and transcripts.

Which endpoint of fal runs a model is known to huggingface.co: the programs answer that themselves.
"""

from __future__ import annotations

import os

import pytest

from tests.clients.media_run import PICTURE, SPEECH_S, MediaRun, shared_run
from tests.clients.programs import FOLDER, NODES, Node, client_python

PROGRAM = FOLDER.parent / "python/huggingface.py"

# huggingface_hub 2 uses httpx, 0.36 requests.
CLIENTS = ("huggingface_hub 2", "huggingface_hub 0.36", "@huggingface/inference")


@pytest.fixture(params=CLIENTS, scope="module")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MediaRun:
    if request.param == "@huggingface/inference":
        if os.name == "nt":
            pytest.skip("Node on Windows needs more environment variables")
        command = [str(Node(NODES[-1]).binary), str(FOLDER / "huggingface.mjs"), "."]
    else:
        name = "current" if request.param == "huggingface_hub 2" else "older"
        command = [client_python(name), str(PROGRAM), "."]
    return shared_run(tmp_path_factory, request.param.replace("/", "-"), command)


def test_a_picture_has_its_size(run: MediaRun) -> None:
    _, size = run.picture("image")
    assert size == (512, 384)


def test_an_edited_picture_has_the_size_of_the_picture(run: MediaRun) -> None:
    _, size = run.picture("edited")
    assert size == PICTURE


def test_a_video_decodes(run: MediaRun) -> None:
    video = run.video("video")
    assert len(video.frames) > 1
    assert min(video.width, video.height, video.duration_s) > 0


def test_speech_is_a_sound_that_decodes(run: MediaRun) -> None:
    assert 0.5 < run.sound_s("speech") < 30


def test_a_transcript_has_text(run: MediaRun) -> None:
    transcript = run.output["transcript"]
    assert len(transcript["text"].split()) > 3
    if "chunks" in transcript:  # the Node client passes them on
        times = [time for chunk in transcript["chunks"] for time in chunk["timestamp"]]
        assert times == sorted(times)
        assert 0 < times[-1] <= SPEECH_S


def test_the_key_of_fal_goes_to_fal(run: MediaRun) -> None:
    assert "queue.fal.run/fal-ai/ltx-video" in run.summary
    assert "fal.run/fal-ai/whisper" in run.summary
    assert "blocked" not in run.summary
