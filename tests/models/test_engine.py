from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_fal.errors import JSON
from mock_fal.models import engine, validation
from mock_fal.models.job import Job, RunnerOutput
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile, media_files
from tests.models.runs import model, pictures
from tests.strategies import bodies, documents, inputs

# Golden files in pairs: NAME.body is the exact request body, NAME.json the exact body of the 422 response of the
# endpoint that the folder is named after, or of flux/schnell.
VALIDATION = Path(__file__).parent / "data" / "validation"
REJECTIONS = sorted(VALIDATION.rglob("*.json"))

SEED = 4294967295
ENDPOINTS = ["fal-ai/flux/schnell", "fal-ai/flux/dev", "fal-ai/flux-1/schnell", "fal-ai/flux-1/dev"]
# One endpoint of each kind.
SAMPLE = [
    "fal-ai/flux/schnell",
    "fal-ai/flux-2/edit",
    "fal-ai/kling-video/v2.1/master/image-to-video",
    "fal-ai/elevenlabs/tts/multilingual-v2",
    "fal-ai/stable-audio",
    "fal-ai/whisper",
    "fal-ai/trellis",
    "fal-ai/flux-lora-fast-training",
    "fal-ai/any-llm",
    "fal-ai/florence-2-large/object-detection",
]
every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS)


def run(
    body: bytes | JSON,
    endpoint: str = "fal-ai/flux/schnell",
    *,
    run_duration: float = 0.5,
    nsfw: bool = False,
    derive_seed: Callable[[bytes], int] = lambda seed_input: SEED,
) -> RunnerOutput:
    """The output of an endpoint's runner for a body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    job = Job(
        data, derive_seed, lambda recipe, inline: MediaFile(recipe, "/a.jpg", inline), run_duration, nsfw
    )
    return engine.run(model(endpoint), job)


def recording(seed_inputs: list[bytes]) -> Callable[[bytes], int]:
    """A `derive_seed` that always returns SEED and records its argument."""

    def derive_seed(seed_input: bytes) -> int:
        seed_inputs.append(seed_input)
        return SEED

    return derive_seed


def error_items(field: str, value: JSON, endpoint: str = "fal-ai/flux/schnell") -> JSON:
    """The error items for the prompt "a cat" and one more field."""
    return run({"prompt": "a cat", field: value}, endpoint).response.body["detail"]


def recipes(body: JSON, endpoint: str = "fal-ai/flux/schnell") -> list[Recipe]:
    return pictures(run(body, endpoint).response.body)


# -- rejected inputs and their errors


def test_the_golden_files_exist() -> None:
    assert len(REJECTIONS) >= 60
    assert {path.with_suffix(".body") for path in REJECTIONS} == set(VALIDATION.rglob("*.body"))


@pytest.mark.parametrize(
    "path", REJECTIONS, ids=lambda path: str(path.relative_to(VALIDATION).with_suffix(""))
)
def test_an_invalid_input_gets_exactly_the_golden_response(path: Path) -> None:
    folder = path.parent.relative_to(VALIDATION).as_posix()
    endpoint = "fal-ai/flux/schnell" if folder == "." else folder
    rejection = run(path.with_suffix(".body").read_bytes(), endpoint)
    assert json.dumps(rejection.response.body) == json.dumps(json.loads(path.read_text("utf-8")))
    assert (rejection.response.status, rejection.response.billable_units, rejection.steps) == (422, 0, 0)


@every_endpoint
def test_every_endpoint_requires_a_prompt(endpoint: str) -> None:
    [item] = run({}, endpoint).response.body["detail"]
    assert item == {"type": "missing", "loc": ["body", "prompt"], "msg": "Field required", "input": {}}


@pytest.mark.parametrize(
    ("endpoint", "maximum"),
    [
        ("fal-ai/flux/schnell", 12),
        ("fal-ai/flux/dev", 50),
        ("fal-ai/flux-1/schnell", 12),
        ("fal-ai/flux-1/dev", 50),
    ],
)
def test_the_number_of_steps_is_limited_by_the_schema(endpoint: str, maximum: int) -> None:
    assert run({"prompt": "a cat", "num_inference_steps": maximum}, endpoint).steps == maximum
    [item] = error_items("num_inference_steps", maximum + 1, endpoint)
    assert (item["type"], item["input"], item["ctx"]) == ("less_than_equal", maximum + 1, {"le": maximum})


@pytest.mark.parametrize(
    ("message", "position", "expected"),
    [
        (
            "Illegal trailing comma before end of object",
            7,
            "Expecting property name enclosed in double quotes",
        ),
        ("Illegal trailing comma before end of array", 7, "Expecting value"),
        ("Expecting value", 4, "Expecting value"),
    ],
)
def test_the_error_of_a_trailing_comma_is_the_same_in_every_python(
    message: str, position: int, expected: str
) -> None:
    error = json.JSONDecodeError(message, "[12 ,  ]" if position == 7 else "[12 x", 4)
    assert validation._older_message(error) == (position, expected)


def test_the_position_of_a_json_error_counts_characters() -> None:
    [item] = run('{"prompt": "äöü",}'.encode()).response.body["detail"]
    assert item["loc"] == ["body", 17]


@pytest.mark.parametrize(
    "body",
    [b'{"prompt": "\xff"}', b'{"seed": ' + b"9" * 5000 + b"}", b"[" * 100_000, b'{"prompt":' * 100_000],
    ids=["invalid Unicode", "5000 digits", "deep lists", "deep objects"],
)
def test_a_body_that_python_can_not_parse_is_a_bad_request(body: bytes) -> None:
    response = run(body).response
    assert (response.status, response.body) == (400, {"detail": "There was an error parsing the body"})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["num_inference_steps", "seed", "guidance_scale", "num_images"])
def test_numbers_that_json_does_not_have_are_rejected(field: str, text: str) -> None:
    assert run(f'{{"prompt":"a cat","{field}":{text}}}'.encode()).response.status == 422


@pytest.mark.parametrize("depth", [10, 500, 900])
def test_a_deeply_nested_input_is_rejected_like_a_flat_one(depth: int) -> None:
    body = b'{"prompt":' + b"[" * depth + b"]" * depth + b"}"
    assert run(body).response.body["detail"][0]["type"] == "string_type"


@pytest.mark.parametrize("endpoint", SAMPLE)
@given(body=bodies())
@settings(max_examples=50)
def test_any_body_gets_a_response(endpoint: str, body: bytes) -> None:
    response = run(body, endpoint).response
    assert response.status in (200, 400, 422)
    expected = ["detail"] if response.status != 200 else list(model(endpoint).output["properties"])
    assert list(response.body) == expected


@given(documents())
def test_every_error_item_has_its_keys_in_order(document: JSON) -> None:
    items = error_items("image_size", document) if not isinstance(document, dict) else []
    assert {tuple(item) for item in items} <= {
        ("type", "loc", "msg", "input"),
        ("type", "loc", "msg", "input", "ctx"),
    }


# -- accepted inputs


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": ""},
        {"num_inference_steps": "4"},
        {"num_inference_steps": 4.0},
        {"seed": None},
        {"seed": 2**80},
        {"seed": -1},
        {"sync_mode": "yes"},
        {"image_size": {}},
        {"image_size": {"width": 1, "height": 14142}},
        {"style": "oil", "num_inference_step": 99},
        {"enable_safety_checker": False},
    ],
)
def test_an_input_that_matches_the_schema_is_accepted(fields: dict[str, JSON]) -> None:
    assert run({"prompt": "a cat"} | fields).response.status == 200


@pytest.mark.parametrize(
    "body",
    [
        '{"prompt":"a cat"}'.encode("utf-8-sig"),
        '{"prompt":"a cat"}'.encode("utf-16"),
        b' \n{"prompt":"a dog","prompt":"a cat"}\n',
    ],
    ids=["with a byte order mark", "UTF-16", "duplicate key and white space"],
)
def test_any_body_that_python_parses_as_json_is_accepted(body: bytes) -> None:
    assert run(body).response.body["prompt"] == "a cat"


@pytest.mark.parametrize(
    ("endpoint", "steps", "acceleration"),
    [
        ("fal-ai/flux/schnell", 4, "none"),
        ("fal-ai/flux/dev", 28, "none"),
        ("fal-ai/flux-1/schnell", 4, "none"),
        ("fal-ai/flux-1/dev", 28, "none"),
    ],
)
def test_an_endpoint_has_its_own_defaults(endpoint: str, steps: int, acceleration: str) -> None:
    seed_inputs: list[bytes] = []
    cat = {"prompt": "a cat"}
    bodies = [cat, cat | {"num_inference_steps": steps, "acceleration": acceleration}]
    assert [run(body, endpoint, derive_seed=recording(seed_inputs)).steps for body in bodies] == [
        steps,
        steps,
    ]
    assert len(set(seed_inputs)) == 1


@pytest.mark.parametrize(
    ("size", "width", "height"),
    [
        ("square_hd", 1024, 1024),
        ("square", 512, 512),
        ("portrait_4_3", 768, 1024),
        ("portrait_16_9", 576, 1024),
        ("landscape_4_3", 1024, 768),
        ("landscape_16_9", 1024, 576),
        ({"width": 1296, "height": 2304}, 1296, 2304),
        ({"width": 100}, 100, 512),
        ({}, 512, 512),
    ],
)
def test_a_size_is_a_preset_or_width_and_height(size: JSON, width: int, height: int) -> None:
    [recipe] = recipes({"prompt": "a cat", "image_size": size})
    assert (recipe.width, recipe.height) == (width, height)


def test_a_lone_surrogate_is_returned_unchanged() -> None:
    assert run(rb'{"prompt": "\ud800"}').response.body["prompt"] == "\ud800"


# -- outputs


def flux_output(**body: JSON) -> dict[str, JSON]:
    output: dict[str, JSON] = run({"prompt": "a cat"} | body).response.body
    return output


def test_the_output_has_fals_keys_in_fals_order() -> None:
    assert flux_output(seed=7, image_size="square") == {
        "images": [
            {
                "url": MediaFile(Recipe("fal-ai/flux/schnell", "a cat", 7, 512, 512), "/a.jpg"),
                "width": 512,
                "height": 512,
                "content_type": "image/jpeg",
            }
        ],
        "timings": {"inference": 0.48},
        "seed": 7,
        "has_nsfw_concepts": [False],
        "prompt": "a cat",
    }
    assert list(flux_output()) == ["images", "timings", "seed", "has_nsfw_concepts", "prompt"]
    assert list(flux_output()["images"][0]) == ["url", "width", "height", "content_type"]


def test_a_seed_is_derived_only_if_none_is_given() -> None:
    assert flux_output()["seed"] == flux_output(seed=None)["seed"] == SEED
    assert flux_output(seed=0)["seed"] == 0


def test_the_seed_is_derived_from_the_whole_input() -> None:
    seed_inputs: list[bytes] = []
    bodies: list[JSON] = [
        {"prompt": "a cat"},
        {"prompt": "a dog"},
        {"prompt": "a cat", "image_size": "square"},
        {"prompt": "a cat", "num_inference_steps": 5},
        {"prompt": "a cat", "acceleration": "none"},  # the default: equal to the first
    ]
    assert [run(body, derive_seed=recording(seed_inputs)).response.status for body in bodies] == [200] * 5
    assert len(set(seed_inputs)) == 4


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_each_image_has_its_index_and_its_nsfw_flag(number: int) -> None:
    body = flux_output(num_images=number)
    assert [picture.index for picture in pictures(body)] == list(range(number))
    assert body["has_nsfw_concepts"] == [False] * number


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_an_image_has_the_requested_type(format: str) -> None:
    [image] = flux_output(output_format=format)["images"]
    assert image["content_type"] == image["url"].recipe.content_type == f"image/{format}"


@pytest.mark.parametrize("inline", [True, False])
def test_sync_mode_requests_inline_images(inline: bool) -> None:
    assert [picture.inline for picture in media_files(flux_output(sync_mode=inline))] == [inline]


@pytest.mark.parametrize(
    ("size", "number", "units"),
    [
        ("square", 1, 1),
        ({"width": 1000, "height": 1000}, 1, 1),
        ({"width": 1001, "height": 1000}, 1, 2),
        ("square_hd", 1, 2),
        ("square_hd", 4, 8),
        ({"width": 1, "height": 1}, 4, 4),
    ],
)
def test_each_image_is_billed_in_whole_megapixels(size: JSON, number: int, units: int) -> None:
    body = {"prompt": "a cat", "image_size": size, "num_images": number}
    assert run(body).response.billable_units == units


def test_an_nsfw_picture_is_flagged_and_black() -> None:
    body = run({"prompt": "a cat", "num_images": 2}, nsfw=True).response.body
    assert body["has_nsfw_concepts"] == [True, True]
    assert [picture.blank for picture in pictures(body)] == [True, True]


def test_without_the_safety_checker_no_picture_is_flagged() -> None:
    body = run({"prompt": "a cat", "enable_safety_checker": False}, nsfw=True).response.body
    assert body["has_nsfw_concepts"] == [False]
    assert [picture.blank for picture in pictures(body)] == [False]


@given(inputs())
def test_the_same_input_has_the_same_response(document: JSON) -> None:
    body = json.dumps(document).encode()
    assert json.dumps(run(body).response.body, default=repr) == json.dumps(
        run(body).response.body, default=repr
    )


@given(st.text())
def test_the_prompt_is_returned_unchanged(prompt: str) -> None:
    assert run({"prompt": prompt}).response.body["prompt"] == prompt
