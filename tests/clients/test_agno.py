"""Agno's toolkit of fal, unmodified: a video, a picture and an edited picture."""

from __future__ import annotations

import pytest

from tests.clients.media_run import PICTURE, MediaRun, shared_run
from tests.clients.programs import FOLDER, client_python


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> MediaRun:
    program = FOLDER.parent / "python/agno_tools.py"
    return shared_run(tmp_path_factory, "agno", [client_python(), str(program), "."])


def test_a_video_has_the_length_of_its_frames(run: MediaRun) -> None:
    assert run.output["video.mp4"].startswith("Video generated successfully at https://v3b.fal.media/")
    video = run.video("video.mp4")
    assert (video.width, video.height, len(video.frames)) == (1280, 720, 129)  # the defaults of hunyuan-video


def test_a_picture_is_made_and_another_edited(run: MediaRun) -> None:
    assert run.output["image"].startswith("Generated 1 image(s) successfully: https://v3b.fal.media/")
    assert run.picture("image") == ("JPEG", (1024, 768))
    assert run.output["edited"].startswith("Image generated successfully at https://v3b.fal.media/")
    assert run.picture("edited")[1] == PICTURE
