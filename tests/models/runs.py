"""Helpers for the tests of models: run an endpoint, and read its first image."""

from __future__ import annotations

import base64
import io
import json
from typing import Any, cast

from PIL import Image

from mock_fal.clock import ManualClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.models.catalog import Catalog, Model
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import RunnerResponse, media_files
from mock_fal.settings import Settings

FOUR = ["url", "width", "height", "content_type"]
SIX = ["url", "content_type", "file_name", "file_size", "width", "height"]
RAW = ["content", "content_type", "height", "width"]

EXTERNAL_URL = "https://example.com/cat.png"


CATALOG = Catalog()


def model(endpoint: str) -> Model:
    """An endpoint of the catalogue."""
    found = CATALOG.find(endpoint)
    assert found is not None, endpoint
    return found


def picture(width: int = 320, height: int = 240, color: str = "red") -> str:
    """A picture of one colour as a data URI."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def run(endpoint: str, **arguments: object) -> RunnerResponse:
    """The response to the prompt "a cat" and, where a picture is required, a small red one, unless given."""
    schema = model(endpoint).input
    fields = schema["properties"]
    defaults: dict[str, object] = {"prompt": "a cat"}
    if "image_urls" in fields:
        defaults["image_urls"] = [picture()]
    elif "image_url" in schema["required"]:
        defaults["image_url"] = picture()
    emulator = Emulator(Settings(), ManualClock())
    try:
        body = json.dumps({**defaults, **arguments}).encode()
        outcome = emulator.run(EndpointId.parse(endpoint), body, "ana").outcome
    finally:
        emulator.close()
    assert isinstance(outcome, RunnerResponse)
    return outcome


def pictures(body: Any) -> list[Recipe]:
    """The recipes of the pictures in a body, which has no other files."""
    recipes = [file.recipe for file in media_files(body)]
    assert all(isinstance(recipe, Recipe) for recipe in recipes)
    return cast(list[Recipe], recipes)


def first(response: RunnerResponse) -> dict[str, Any]:
    """The first image."""
    image: dict[str, Any] = response.body["images"][0]
    return image


def size(response: RunnerResponse) -> tuple[int, int]:
    """Width and height of the first image."""
    image = first(response)
    return image["width"], image["height"]
