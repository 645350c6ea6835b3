"""The endpoints that start from a picture."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from mock_fal.catalog.flux_edit import RUNNERS
from mock_fal.clock import ManualClock
from mock_fal.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.outcome import Answer, Picture
from mock_fal.settings import Settings

I2I, REDUX, KONTEXT = "fal-ai/flux/dev/image-to-image", "fal-ai/flux/schnell/redux", "fal-ai/flux-pro/kontext"
EDIT, SDXL = "fal-ai/flux-2/edit", "fal-ai/fast-sdxl/image-to-image"
ELSEWHERE = "https://example.com/cat.png"


def picture(width: int = 320, height: int = 240, color: str = "red") -> str:
    """A data URI."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(Settings(), ManualClock())
    yield emulator
    emulator.storage.vault.close()


def ask(emulator: Emulator, endpoint: str, **asked: object) -> Answer:
    """What comes out; the picture is a small red one unless told otherwise."""
    named = {"image_urls": [picture()]} if endpoint == EDIT else {"image_url": picture()}
    body = json.dumps({"prompt": "a cat", **named, **asked}).encode()
    outcome = emulator.run(EndpointId.parse(endpoint), body, "ana").outcome
    assert isinstance(outcome, Answer)
    return outcome


def first(answer: Answer) -> dict[str, Any]:
    image: dict[str, Any] = answer.body["images"][0]
    return image


def size(answer: Answer) -> tuple[int, int]:
    image = first(answer)
    return image["width"], image["height"]


@pytest.mark.parametrize("endpoint", RUNNERS)
def test_the_answer_has_five_fields_and_the_picture_shows(emulator: Emulator, endpoint: str) -> None:
    answer = ask(emulator, endpoint, seed=7)
    assert (answer.status, list(answer.body)) == (
        200,
        ["images", "timings", "seed", "has_nsfw_concepts", "prompt"],
    )
    assert (answer.body["seed"], answer.body["has_nsfw_concepts"]) == (7, [False])
    file = first(answer)["url"]
    assert isinstance(file, Picture) and file.recipe.source


FOUR = ["url", "width", "height", "content_type"]
SIX = ["url", "content_type", "file_name", "file_size", "width", "height"]


@pytest.mark.parametrize(
    ("endpoint", "keys"),
    [(I2I, FOUR), (REDUX, FOUR), (KONTEXT, SIX), (f"{KONTEXT}/max", SIX), (EDIT, SIX), (SDXL, FOUR)],
)
def test_an_image_has_the_keys_of_its_generation(emulator: Emulator, endpoint: str, keys: list[str]) -> None:
    image = first(ask(emulator, endpoint))
    assert list(image) == keys
    assert image.get("file_size") is None
    assert image["url"].path.endswith(image.get("file_name", ""))


def test_redux_has_no_prompt(emulator: Emulator) -> None:
    assert ask(emulator, REDUX, prompt="unread").body["prompt"] == ""


SIZES: list[tuple[str, dict[str, object], tuple[int, int]]] = [
    (I2I, {}, (320, 240)),
    (I2I, {"image_url": ELSEWHERE}, (1024, 768)),
    (I2I, {"image_url": picture(20_000, 4)}, (14142, 2)),
    (I2I, {"image_url": picture(1, 1)}, (1, 1)),
    (REDUX, {}, (1024, 768)),
    (REDUX, {"image_size": {"width": 64, "height": 32}}, (64, 32)),
    (KONTEXT, {}, (1184, 880)),
    (KONTEXT, {"aspect_ratio": "1:1"}, (1024, 1024)),
    (KONTEXT, {"aspect_ratio": "9:21"}, (672, 1568)),
    (KONTEXT, {"image_url": picture(1, 900)}, (672, 1568)),
    (EDIT, {}, (320, 240)),
    (EDIT, {"image_size": "square"}, (512, 512)),
    (EDIT, {"image_urls": [ELSEWHERE, picture(50, 60)]}, (50, 60)),
    (EDIT, {"image_urls": []}, (1024, 768)),
    (SDXL, {}, (1024, 1024)),
    (SDXL, {"image_size": None}, (320, 240)),
]


@pytest.mark.parametrize(("endpoint", "asked", "expected"), SIZES)
def test_the_size_is_the_one_asked_for_or_the_pictures(
    emulator: Emulator, endpoint: str, asked: dict[str, object], expected: tuple[int, int]
) -> None:
    assert size(ask(emulator, endpoint, **asked)) == expected


@pytest.mark.parametrize(
    ("endpoint", "asked", "content_type"),
    [
        (I2I, {}, "image/jpeg"),
        (EDIT, {}, "image/png"),
        (EDIT, {"output_format": "webp"}, "image/webp"),
        (SDXL, {"format": "png"}, "image/png"),
    ],
)
def test_the_format_is_the_one_asked_for(
    emulator: Emulator, endpoint: str, asked: dict[str, object], content_type: str
) -> None:
    assert first(ask(emulator, endpoint, **asked))["content_type"] == content_type


def test_as_many_pictures_come_as_are_asked_for(emulator: Emulator) -> None:
    answer = ask(emulator, SDXL, num_images=8)
    assert (len(answer.body["images"]), answer.billable_units) == (8, 16)


def test_the_same_picture_gives_the_same_seed_by_whatever_address() -> None:
    """Every upload has another address; a run repeats all the same."""
    first, second, other = (Emulator(Settings(), ManualClock()) for _ in range(3))
    spelled = picture().replace("data:image/png", "data:")
    seeds = [
        ask(first, I2I).body["seed"],
        ask(second, I2I, image_url=spelled).body["seed"],
        ask(other, I2I, image_url=picture(color="blue")).body["seed"],
    ]
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize(
    ("endpoint", "asked", "field"),
    [
        (I2I, {"image_url": "cat.png"}, "image_url"),
        (EDIT, {"image_urls": [picture(), "cat.png"]}, "image_urls"),
    ],
)
def test_a_file_that_is_not_there_is_the_models_error(
    emulator: Emulator, endpoint: str, asked: dict[str, object], field: str
) -> None:
    answer = ask(emulator, endpoint, **asked)
    assert (answer.status, answer.body["detail"]) == (
        422,
        [
            {
                "loc": ["body", field],
                "msg": "Failed to download the file. Please check if the URL is accessible and try again.",
                "type": "file_download_error",
                "url": "https://docs.fal.ai/errors#file_download_error",
                "input": "cat.png",
            }
        ],
    )


def test_an_error_does_not_repeat_a_whole_file(emulator: Emulator) -> None:
    (item,) = ask(emulator, I2I, image_url="data:," + "x" * 5000).body["detail"]
    assert (item["type"], len(item["input"])) == ("image_load_error", 1000)


@pytest.mark.parametrize(
    ("endpoint", "asked", "field", "kind"),
    [
        (I2I, {"image_url": None}, "image_url", "string_type"),
        (I2I, {"strength": 0}, "strength", "greater_than_equal"),
        (KONTEXT, {"image_url": ""}, "image_url", "string_too_short"),
        (KONTEXT, {"aspect_ratio": "5:4"}, "aspect_ratio", "literal_error"),
        (EDIT, {"image_urls": "x"}, "image_urls", "list_type"),
        (SDXL, {"num_images": 9}, "num_images", "less_than_equal"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(
    emulator: Emulator, endpoint: str, asked: dict[str, object], field: str, kind: str
) -> None:
    (item,) = ask(emulator, endpoint, **asked).body["detail"]
    assert (item["loc"], item["type"]) == (["body", field], kind)
