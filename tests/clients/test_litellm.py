"""LiteLLM's provider fal_ai, unmodified: pictures, an edited picture and a video, in the forms of OpenAI's API."""

from __future__ import annotations

import pytest

from tests.clients.media_run import MediaRun, shared_run
from tests.clients.programs import FOLDER, client_python


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> MediaRun:
    program = FOLDER.parent / "python/litellm_media.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAL_AI_API_KEY", "the users:own")  # the only variable that it reads
        return shared_run(tmp_path_factory, "litellm", [client_python(), str(program), "."])


def test_pictures_have_their_number_and_size(run: MediaRun) -> None:
    stated = [(image["content_type"], image["width"], image["height"]) for image in run.output["pictures"]]
    assert stated == 2 * [("image/jpeg", 512, 512)]
    assert run.picture("image0") == run.picture("image1") == ("JPEG", (512, 512))


def test_a_picture_is_edited(run: MediaRun) -> None:
    assert run.picture("image2")[0] == "PNG"


def test_a_video_has_its_length_and_size(run: MediaRun) -> None:
    assert run.output["video"]["seconds"] == "4"
    assert run.output["video"]["states"][0] == "queued"
    assert run.output["video"]["states"][-1] == "completed"
    video = run.video("video.mp4")
    assert (video.width, video.height, round(video.duration_s)) == (1280, 720, 4)
