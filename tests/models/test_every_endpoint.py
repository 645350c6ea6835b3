"""Every endpoint with its smallest valid input: the output is valid and the same twice, and its files open."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import trimesh
from jsonschema import Draft202012Validator
from PIL import Image

from mock_fal.ids import Ids
from mock_fal.media.recipe import Document, Model3D, Sound, Video
from mock_fal.media.render import render
from mock_fal.media.timing import video_size
from mock_fal.models.engine import OPENAI, run
from mock_fal.models.job import Job
from mock_fal.models.runner import file_adder
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile, MediaSize, media_files
from tests.media.decoding import opened
from tests.models.runs import CATALOG, model
from tests.models.smallest import smallest

# The endpoints are tested in groups: a test for each would take longer to report than to run.
GROUPS = 64

# The endpoints that take what OpenAI's clients send: their schemas are empty, and an empty input is an error there.
# tests/clients/test_openai.py calls them.
WITHOUT_SCHEMA = [id for id in CATALOG.ids() if id.startswith(OPENAI)]
ENDPOINTS = [id for id in CATALOG.ids() if id not in WITHOUT_SCHEMA]
every_group = pytest.mark.parametrize("group", range(GROUPS))


def output_of(endpoint: str, tenant: str = "ana") -> Any:
    """The output for the smallest valid input, with a MediaFile for each file."""
    ids = Ids(0, tenant)
    body = json.dumps(smallest(model(endpoint).input)).encode()
    response = run(model(endpoint), Job(body, ids.seed_for, file_adder(ids, []), 0.8)).response
    assert response.status == 200, (endpoint, response.body)
    return response.body


def as_sent(body: Any) -> Any:
    """The output as JSON: a URL for each file."""
    match body:
        case MediaFile():
            return f"https://v3b.fal.media{body.path}"
        case MediaSize():
            return len(render(body.file.recipe))
        case dict():
            return {name: as_sent(value) for name, value in body.items()}
        case list():
            return [as_sent(value) for value in body]
    return body


def test_the_catalogue_is_large() -> None:
    assert len(ENDPOINTS) > 1_700
    assert WITHOUT_SCHEMA == [f"{OPENAI}{name}" for name in ("chat/completions", "embeddings", "responses")]


@every_group
def test_the_output_is_valid_for_its_schema_and_the_same_twice(group: int) -> None:
    for endpoint in ENDPOINTS[group::GROUPS]:
        body = as_sent(output_of(endpoint))
        errors = [
            f"{endpoint} {error.json_path}: {error.message}"
            for error in Draft202012Validator(model(endpoint).output).iter_errors(body)
        ]
        assert not errors
        assert body == as_sent(output_of(endpoint)), endpoint


@every_group
def test_each_file_opens_as_what_it_claims_to_be(group: int) -> None:
    for endpoint in ENDPOINTS[group::GROUPS]:
        for file in file_objects(output_of(endpoint)):
            check(file, endpoint)


def file_objects(body: Any) -> list[dict[str, Any]]:
    """The objects of an output that hold a file; a file by itself counts as one."""
    if isinstance(body, MediaFile):
        return [{"url": body}]
    if isinstance(body, list):
        return [file for part in body for file in file_objects(part)]
    if not isinstance(body, dict):
        return []
    own = [body] if any(isinstance(value, MediaFile) for value in body.values()) else []
    return own + [
        file for part in body.values() if not isinstance(part, MediaFile) for file in file_objects(part)
    ]


def check(file: dict[str, Any], endpoint: str) -> None:
    """Open a file with a decoder that is not ours, and compare it with what its object and its recipe say."""
    recipe = next(media_files(file)).recipe
    data = render(recipe)
    assert file.get("content_type") in (None, recipe.content_type), endpoint
    match recipe:
        case Recipe():
            with Image.open(io.BytesIO(data)) as picture:
                assert picture.size == (recipe.width, recipe.height), endpoint
                assert picture.get_format_mimetype() == recipe.content_type, endpoint
                assert {file.get("width"), file.get("height")} <= {None, *picture.size}, endpoint
        case Video():
            with opened(data) as container:
                [video] = container.streams.video
                size = video.width, video.height
                assert size == video_size(recipe), endpoint
                assert {file.get("width"), file.get("height")} <= {None, *size}, endpoint
                assert_long(container.duration, recipe.duration_s, file, endpoint)
                assert bool(container.streams.audio) == (recipe.sound is not None), endpoint
        case Sound():
            with opened(data) as container:
                assert_long(container.duration, recipe.duration_s, file, endpoint)
        case Model3D(format="usdz" | "obj.zip"):
            open_zip(data)
        case Model3D():
            assert trimesh.load(io.BytesIO(data), file_type=recipe.format).bounds is not None, endpoint
        case Document():
            OPENERS[recipe.format](data)


def assert_long(microseconds: int | None, expected: float, file: dict[str, Any], endpoint: str) -> None:
    assert microseconds is not None
    seconds = microseconds / 1e6
    assert abs(seconds - expected) < 0.15, (endpoint, seconds, expected)
    assert file.get("duration") is None or abs(file["duration"] - seconds) < 0.15, (
        endpoint,
        file["duration"],
        seconds,
    )


def open_zip(data: bytes) -> None:
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None


def open_safetensors(data: bytes) -> None:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    assert max(ends) == len(data) - 8 - length


OPENERS: dict[str, Callable[[bytes], object]] = {
    "json": json.loads,
    "svg": ElementTree.fromstring,
    "zip": open_zip,
    "safetensors": open_safetensors,
    "srt": lambda data: data.decode().index(" --> "),
    "vtt": lambda data: data.decode().index("WEBVTT"),
    "csv": lambda data: list(csv.reader(io.StringIO(data.decode()))),
    "txt": bytes.decode,
}
