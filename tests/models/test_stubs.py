"""A user's own output in place of a model's: files, schema, price."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from mock_fal.endpoint import EndpointId
from mock_fal.ids import Ids
from mock_fal.media.recipe import Document, MediaRecipe, Model3D, OwnFile, Sound, Video
from mock_fal.media.render import render
from mock_fal.models.catalog import Catalog
from mock_fal.models.runner import RunResult, run_model
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile, RequestFailure, RunnerResponse, media_files
from mock_fal.scenario.directive import Directive, parse_rule
from mock_fal.scenario.output import File, failed_output, output_of

CATALOG = Catalog()
WHISPER = EndpointId.parse("fal-ai/whisper")
APP = EndpointId.parse("me/my-app")
A_SOUND = b'{"audio_url": "https://example.com/a.mp3"}'


def run(endpoint: EndpointId, body: bytes, directive: Directive) -> RunResult:
    model = CATALOG.find(endpoint)
    return run_model(
        endpoint, body, directive, Ids(1), 2.0, lambda url, media: None, streamed=False, model=model
    )


def stubbed(endpoint: EndpointId, output: Any, body: bytes = b"{}", **options: Any) -> RunResult:
    return run(endpoint, body, parse_rule("", {"output": output, **options}))


def response(run: RunResult) -> RunnerResponse:
    assert isinstance(run.outcome, RunnerResponse)
    return run.outcome


def recipes(output: Any, body: bytes = b"{}") -> list[MediaRecipe]:
    return [file.recipe for file in media_files(response(stubbed(APP, output, body)).body)]


# -- any endpoint


def test_an_unknown_endpoint_responds_with_the_output() -> None:
    result = stubbed(APP, {"text": "hello"})
    assert (response(result).status, response(result).body) == (200, {"text": "hello"})
    assert (result.steps, result.files, result.warning, response(result).billable_units) == (1, [], "", None)


def test_requests_share_an_output_without_files() -> None:
    output = output_of({"a": [1]})
    runs = [run(APP, b"{}", Directive(output=output)) for _ in range(2)]
    assert response(runs[0]).body is response(runs[1]).body is output.value


def test_an_unknown_endpoint_rejects_what_is_not_json() -> None:
    assert response(stubbed(APP, {}, b"{")).status == 422
    assert response(stubbed(APP, {}, b"\xff")).status == 400
    assert response(stubbed(APP, {}, b"")).status == 200


def test_an_error_takes_precedence_over_an_output() -> None:
    assert isinstance(stubbed(APP, {}, error="runner_disconnected").outcome, RequestFailure)


# -- an endpoint of the catalogue


def test_a_known_endpoint_validates_its_input_first() -> None:
    result = stubbed(WHISPER, {"text": "hello"}, b'{"task": "sing"}')
    assert response(result).status == 422
    assert [item["loc"] for item in response(result).body["detail"]] == [
        ["body", "audio_url"],
        ["body", "task"],
    ]
    assert result.steps == 0


def test_a_known_endpoint_keeps_its_steps_and_its_price() -> None:
    flux = EndpointId.parse("fal-ai/flux/dev")
    body = b'{"prompt": "a cat", "num_images": 2, "num_inference_steps": 9, "image_size": "square_hd"}'
    result = stubbed(flux, {"images": []}, body)
    assert (result.steps, response(result).billable_units, result.files) == (9, 4, [])
    assert response(stubbed(flux, {"images": []}, body, billed=2.5)).billable_units == 2.5


def test_billed_units_apply_without_an_output() -> None:
    flux = EndpointId.parse("fal-ai/flux/dev")
    result = run(flux, b'{"prompt": "a cat"}', Directive(billed=7))
    assert response(result).billable_units == 7


def test_an_output_that_does_not_match_the_schema_gives_a_warning() -> None:
    result = stubbed(WHISPER, {"text": 5, "chunks": "none"}, A_SOUND)
    assert response(result).body == {"text": 5, "chunks": "none"}
    assert result.warning.startswith(
        "fal-ai/whisper: the output of your own does not match the model's schema: "
        "text: Input should be a valid string; chunks: Input should be a valid list"
    )


def test_an_output_that_matches_the_schema_gives_none() -> None:
    output: Any = {"text": "hello", "chunks": [], "inferred_languages": ["en"], "diarization_segments": []}
    assert stubbed(WHISPER, output, A_SOUND).warning == ""
    image = EndpointId.parse("fal-ai/flux/dev")
    output = {
        "images": [File("image", width=64, height=64)],
        "timings": {},
        "seed": 1,
        "has_nsfw_concepts": [False],
        "prompt": "",
    }
    assert stubbed(image, output, b'{"prompt": "a cat"}').warning == ""


def test_an_output_is_compared_once_for_each_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = count()
    monkeypatch.setattr("mock_fal.models.stubs._compare", lambda document, model: f"number {next(compared)}")
    directive = parse_rule("", {"output": {"text": 5}})
    warnings = [run(WHISPER, A_SOUND, directive).warning for _ in range(3)]
    assert warnings == ["number 0"] * 3


def test_a_failed_callable_is_an_internal_error() -> None:
    result = run(APP, b"{}", Directive(output=failed_output("it raised KeyError: 'a'")))
    assert response(result).status == 500
    assert response(result).body["detail"][0]["type"] == "internal_server_error"
    assert result.warning == "me/my-app: it raised KeyError: 'a'"


# -- files


def test_a_file_becomes_a_file_object_of_fal() -> None:
    result = stubbed(
        APP, {"video": File("video"), "poster": File("image", width=64, height=48)}, b'{"prompt": "cat"}'
    )
    video, poster = result.files
    name, poster_name = (file.path.rpartition("/")[2] for file in result.files)
    assert response(result).body == {
        "video": {"url": video, "content_type": "video/mp4", "file_name": name, "file_size": None},
        "poster": {
            "url": poster,
            "content_type": "image/jpeg",
            "file_name": poster_name,
            "file_size": None,
            "width": 64,
            "height": 48,
        },
    }
    assert (name[-4:], poster_name[-4:]) == (".mp4", ".jpg")


def test_a_url_stands_alone() -> None:
    result = stubbed(APP, [File("audio").url])
    (file,) = result.files
    assert response(result).body == [file]


def test_the_options_of_a_file_are_those_of_its_media() -> None:
    body = b'{"prompt": "a cat"}'
    files = [
        File("image", width=65, height=48, format="png", text="a dog"),
        File("video", width=65, height=48, duration_s=2, fps=12, sound=True, format="webm"),
        File("audio", duration_s=3),
        File("speech", format="wav"),
        File("model", format="stl"),
        File("document", format="srt", text="hello"),
    ]
    picture, video, sound, speech, model, document = recipes(files, body)
    assert isinstance(picture, Recipe)
    assert (picture.prompt, picture.width, picture.height, picture.format) == ("a dog", 65, 48, "png")
    assert isinstance(video, Video)
    assert (video.picture.width, video.picture.prompt, video.duration_s, video.fps) == (64, "a cat", 2, 12)
    assert (video.sound, video.format) == ("melody", "webm")
    assert isinstance(sound, Sound) and (sound.text, sound.duration_s, sound.format) == ("a cat", 3, "mp3")
    assert isinstance(speech, Sound) and (speech.style, speech.format) == ("speech", "wav")
    assert isinstance(model, Model3D) and model.format == "stl"
    assert isinstance(document, Document) and (document.format, document.text) == ("srt", "hello")


def _small_files() -> Iterator[File]:
    yield from (
        File("image", width=16, height=16, format=name) for name in ("jpeg", "png", "webp", "avif", "gif")
    )
    sizes = {"width": 16, "height": 16, "duration_s": 0.1}
    yield from (File("video", **sizes, format=name) for name in ("mp4", "webm", "gif"))
    yield from (File("audio", duration_s=0.1, format=name) for name in ("mp3", "wav", "flac", "ogg"))
    yield from (File("model", format=name) for name in ("glb", "obj", "stl", "ply", "usdz"))
    names = ("txt", "srt", "vtt", "csv", "zip", "safetensors", "svg")
    yield from (File("document", format=name) for name in names)


@pytest.mark.parametrize("file", list(_small_files()), ids=repr)
def test_every_file_is_rendered(file: File) -> None:
    (recipe,) = recipes([file])
    assert render(recipe)


def test_two_files_of_one_output_differ() -> None:
    first, second = recipes([File("audio", duration_s=1), File("audio", duration_s=1)])
    assert first != second


def test_a_file_of_the_user_is_served_as_it_is() -> None:
    output = {"a": File(b"hello", content_type="text/plain", file_name="a.txt"), "b": File(b"\0").url}
    result = stubbed(APP, output)
    text, data = result.files
    assert response(result).body["a"] == {
        "url": text,
        "content_type": "text/plain",
        "file_name": "a.txt",
        "file_size": 5,
    }
    assert isinstance(text.recipe, OwnFile) and isinstance(data.recipe, OwnFile)
    assert (render(text.recipe), text.path[-4:], data.path[-4:]) == (b"hello", ".txt", ".bin")
    assert "hello" not in repr(text.recipe)


def test_an_odd_name_gives_no_odd_path() -> None:
    (file,) = stubbed(APP, File(b"x", file_name="a.p ng?")).files
    assert file.path.endswith(".bin")


def test_the_same_input_gives_the_same_files() -> None:
    runs = [stubbed(APP, [File("image")], b'{"prompt": "a cat"}') for _ in range(2)]
    assert runs[0].files == runs[1].files
    assert runs[0].files != stubbed(APP, [File("image")], b'{"prompt": "a dog"}').files


def test_the_placeholder_of_the_model_is_not_a_file() -> None:
    """The output of the model itself is dropped, with its files."""
    result = stubbed(
        EndpointId.parse("fal-ai/flux/dev"), {"images": []}, json.dumps({"prompt": "a"}).encode()
    )
    assert [file for file in result.files if isinstance(file, MediaFile)] == []
