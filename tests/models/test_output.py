"""The output of runs of each kind of model."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

import pytest

from mock_fal.clock import ManualClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.media.recipe import Document, Model3D, Sound, Video
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import RunnerResponse, media_files
from mock_fal.settings import Settings
from tests.models.runs import model, picture
from tests.models.smallest import smallest


def body_of(endpoint: str, *, directive: str = "", **arguments: Any) -> Any:
    """The body of the response to the smallest input with other arguments."""
    emulator = Emulator(Settings(), ManualClock())
    document = {**smallest(model(endpoint).input), **arguments}
    if directive:
        document["prompt"] = f"{document['prompt']} [mock: {directive}]"
    try:
        outcome = emulator.run(EndpointId.parse(endpoint), json.dumps(document).encode(), "ana").outcome
    finally:
        emulator.close()
    assert isinstance(outcome, RunnerResponse) and outcome.status == 200, outcome
    return outcome.body


def recipes(body: Any) -> list[Any]:
    return [file.recipe for file in media_files(body)]


def sound(seconds: float) -> str:
    """A silent recording as a data URI."""
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(8000)
        recording.writeframes(bytes(round(16000 * seconds)))
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()


def test_a_video_shows_the_input_picture_for_the_requested_time() -> None:
    body = body_of(
        "fal-ai/kling-video/v2.1/master/image-to-video", image_url=picture(400, 300), duration="10"
    )
    [video] = recipes(body)
    assert isinstance(video, Video)
    assert (video.duration_s, video.picture.width, video.picture.height) == (10, 960, 720)
    assert video.picture.source is not None
    assert body["video"]["content_type"] == "video/mp4"
    assert body["video"]["file_name"].endswith(".mp4")


@pytest.mark.parametrize(
    ("asked", "content_type"), [("VP9 (.webm)", "video/webm"), ("GIF (.gif)", "image/gif")]
)
def test_a_video_has_the_requested_format(asked: str, content_type: str) -> None:
    body = body_of("fal-ai/ltx-2-19b/text-to-video", video_output_type=asked)
    assert body["video"]["content_type"] == content_type
    assert recipes(body)[0].content_type == content_type


def test_the_properties_of_a_video_are_those_of_the_file() -> None:
    body = body_of(
        "fal-ai/ltx-2-19b/text-to-video", num_frames=49, fps=24, video_size={"width": 512, "height": 320}
    )
    video = body["video"]
    assert (video["width"], video["height"], video["num_frames"]) == (512, 320, 49)
    assert video["duration"] == pytest.approx(49 / video["fps"], abs=0.001)


def test_speech_takes_as_long_as_its_text() -> None:
    [short] = recipes(body_of("fal-ai/elevenlabs/tts/multilingual-v2", text="Hello"))
    [long] = recipes(body_of("fal-ai/elevenlabs/tts/multilingual-v2", text="Hello " * 50))
    assert isinstance(short, Sound) and short.style == "speech"
    assert long.duration_s > 10 * short.duration_s


def test_the_times_of_a_transcript_fit_the_recording() -> None:
    body = body_of("fal-ai/whisper", audio_url=sound(6.5))
    assert body["chunks"][0]["timestamp"][0] == 0
    assert body["chunks"][-1]["timestamp"][1] == pytest.approx(6.5, abs=0.01)
    assert body["text"] == " ".join(chunk["text"] for chunk in body["chunks"])
    assert body["inferred_languages"] == ["en"]


@pytest.mark.parametrize("diarize", [True, False])
def test_speakers_are_told_apart_on_request(diarize: bool) -> None:
    body = body_of("fal-ai/whisper", audio_url=sound(6.5), diarize=diarize, num_speakers=2)
    assert [chunk.get("speaker") for chunk in body["chunks"]] == (
        ["speaker_0", "speaker_1"] if diarize else [None, None]
    )
    assert bool(body["diarization_segments"]) is diarize


def test_a_transcript_can_be_of_words() -> None:
    words = body_of("fal-ai/elevenlabs/speech-to-text", audio_url=sound(4))["words"]
    assert [word["text"] for word in words][:3] == ["This", "is", "a"]
    assert all(word["start"] < word["end"] <= 4 for word in words)


def test_a_transcript_names_the_requested_language() -> None:
    assert body_of("fal-ai/whisper", audio_url=sound(1), language="de")["inferred_languages"] == ["de"]


def test_boxes_are_inside_the_picture() -> None:
    body = body_of("fal-ai/florence-2-large/object-detection", image_url=picture(400, 300))
    boxes = body["results"]["bboxes"]
    assert len(boxes) > 1
    for box in boxes:
        assert 0 <= box["x"] < box["x"] + box["w"] <= 400
        assert 0 <= box["y"] < box["y"] + box["h"] <= 300


def test_the_files_of_a_3d_model_have_the_formats_of_their_names() -> None:
    body = body_of("fal-ai/meshy/v6/text-to-3d")
    assert body["model_glb"]["content_type"] == "model/gltf-binary"
    assert body["model_urls"]["obj"]["content_type"] == "model/obj"
    assert body["model_urls"]["fbx"] is None
    assert any(isinstance(recipe, Model3D) for recipe in recipes(body))


def test_training_returns_weights_and_a_configuration() -> None:
    weights, configuration = recipes(body_of("fal-ai/flux-lora-fast-training"))
    assert isinstance(weights, Document) and weights.format == "safetensors"
    assert json.loads(configuration.data)["model"] == "fal-ai/flux-lora-fast-training"


def test_each_stem_of_a_song_is_another_file() -> None:
    stems = recipes(body_of("fal-ai/demucs"))
    assert len({stem.text for stem in stems}) == len(stems) > 3


def test_a_vector_model_returns_svg() -> None:
    [drawing] = recipes(body_of("fal-ai/recraft/vectorize"))
    assert drawing.content_type == "image/svg+xml"


def test_the_usage_of_a_language_model_adds_up() -> None:
    usage = body_of("openrouter/router", model="google/gemini-2.5-flash")["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert usage["cost"] > 0


def test_an_optional_file_is_returned_if_the_input_asks_for_it() -> None:
    assert (
        body_of("fal-ai/wan-vace-14b", return_frames_zip=True)["frames_zip"]["content_type"]
        == "application/zip"
    )
    assert body_of("fal-ai/wan-vace-14b", return_frames_zip=False)["frames_zip"] is None


def test_a_model_whose_document_says_nothing_answers_as_its_kind_does() -> None:
    [video] = recipes(body_of("fal-ai/bytedance/video-stylize"))
    assert isinstance(video, Video)


def test_a_flagged_result_is_black_and_says_so() -> None:
    body = body_of("fal-ai/flux/dev", directive="nsfw", prompt="a cat", num_images=2)
    assert body["has_nsfw_concepts"] == [True, True]
    assert all(isinstance(recipe, Recipe) and recipe.blank for recipe in recipes(body))


def test_another_input_file_gives_another_seed() -> None:
    bodies = [
        body_of("fal-ai/flux/dev/image-to-image", image_url=picture(color=color)) for color in ("red", "blue")
    ]
    assert bodies[0]["seed"] != bodies[1]["seed"]
