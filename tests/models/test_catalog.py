from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON
from mock_fal.models import catalog
from mock_fal.models import validation as framework
from mock_fal.models.catalog import FAMILIES, REALTIME, STREAMING, Job, RunnerOutput
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import Picture, pictures_in
from tests.strategies import bodies, documents, inputs

# Pairs: what is sent, NAME.body, to the byte; and what is answered with 422, NAME.json, to the letter: by
# flux/schnell, or by the endpoint whose id the folder has.
VALIDATION = Path(__file__).parent / "data" / "validation"
REFUSALS = sorted(VALIDATION.rglob("*.json"))

SEED = 4294967295
ENDPOINTS = ["fal-ai/flux/schnell", "fal-ai/flux/dev", "fal-ai/flux-1/schnell", "fal-ai/flux-1/dev"]
every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS)


def work(
    body: bytes | JSON,
    endpoint: str = "fal-ai/flux/schnell",
    *,
    run_duration: float = 0.5,
    unsafe: bool = False,
    draw_seed: Callable[[bytes], int] = lambda of: SEED,
) -> RunnerOutput:
    """What the runner of an endpoint makes of a body."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    job = Job(sent, draw_seed, lambda recipe, inline: Picture(recipe, "/a.jpg", inline), run_duration, unsafe)
    return catalog.runner(EndpointId.parse(endpoint))(job)


def noting(seen: list[bytes]) -> Callable[[bytes], int]:
    """Draws the same seed always, and notes from what."""

    def draw(of: bytes) -> int:
        seen.append(of)
        return SEED

    return draw


def its(field: str, value: JSON, endpoint: str = "fal-ai/flux/schnell") -> JSON:
    """The items of the answer to a cat with one more field."""
    return work({"prompt": "a cat", field: value}, endpoint).response.body["detail"]


def recipes(body: JSON, endpoint: str = "fal-ai/flux/schnell") -> list[Recipe]:
    return [picture.recipe for picture in pictures_in(work(body, endpoint).response.body)]


# -- which endpoints there are


@pytest.mark.parametrize(
    "text", ["fal-ai/flux/schnell", "fal-ai/flux", "fal-ai/flux/nope", "fal-ai/flux-1/dev"]
)
def test_an_app_is_known_whatever_the_path(text: str) -> None:
    assert catalog.knows(EndpointId.parse(text))


@pytest.mark.parametrize(
    "text", ["fal-ai/fluxx/schnell", "other/flux/schnell", "workflows/fal-ai/flux/schnell"]
)
def test_another_app_is_not(text: str) -> None:
    assert not catalog.knows(EndpointId.parse(text))


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [("fal-ai/flux/nope", "/nope"), ("fal-ai/flux/dev/x", "/dev/x"), ("fal-ai/flux", "/")],
)
def test_a_path_that_an_app_does_not_have_is_not_found_by_its_runner(endpoint: str, path: str) -> None:
    refusal = work({"prompt": "a cat"}, endpoint)
    assert (refusal.response.status, refusal.response.body) == (404, {"detail": f"Path {path} not found"})
    assert (refusal.response.billable_units, refusal.steps) == (0, 0)


@pytest.mark.parametrize("family", sorted(set(FAMILIES.values())))
def test_a_family_has_the_endpoints_that_are_said_to_be_its(family: str) -> None:
    module = import_module(f"mock_fal.models.{family}")
    its = {id for id, name in FAMILIES.items() if name == family}
    assert set(module.RUNNERS) == set(module.SCHEMAS) == its


def test_what_streams_and_what_is_realtime_is_known() -> None:
    assert STREAMING <= set(FAMILIES)
    sockets = [catalog.realtime(EndpointId.parse(f"{model}/realtime")) for model in REALTIME]
    assert {str(endpoint) for endpoint in sockets} <= set(FAMILIES)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("fal-ai/flux/dev/stream", "fal-ai/flux/dev"),
        ("fal-ai/any-llm/stream", "fal-ai/any-llm"),
        ("fal-ai/flux-1/dev/stream", None),
        ("fal-ai/flux/dev", None),
        ("fal-ai/flux/stream", None),
        ("fal-ai/flux/dev/stream/stream", None),
    ],
)
def test_a_path_named_stream_is_that_of_a_model_which_has_one(path: str, model: str | None) -> None:
    streamed = catalog.streamed(EndpointId.parse(path))
    assert streamed == (EndpointId.parse(model) if model else None)
    assert catalog.has_path(EndpointId.parse(path)) is (model is not None or path in FAMILIES)


# -- what is refused, and in which words


def test_there_are_refusals() -> None:
    assert len(REFUSALS) >= 60
    assert {path.with_suffix(".body") for path in REFUSALS} == set(VALIDATION.rglob("*.body"))


@pytest.mark.parametrize("path", REFUSALS, ids=lambda path: str(path.relative_to(VALIDATION).with_suffix("")))
def test_a_wrong_input_is_refused_to_the_letter(path: Path) -> None:
    folder = path.parent.relative_to(VALIDATION).as_posix()
    endpoint = "fal-ai/flux/schnell" if folder == "." else folder
    refusal = work(path.with_suffix(".body").read_bytes(), endpoint)
    assert json.dumps(refusal.response.body) == json.dumps(json.loads(path.read_text("utf-8")))
    assert (refusal.response.status, refusal.response.billable_units, refusal.steps) == (422, 0, 0)


@every_endpoint
def test_every_endpoint_needs_a_prompt(endpoint: str) -> None:
    [item] = work({}, endpoint).response.body["detail"]
    assert item == {"type": "missing", "loc": ["body", "prompt"], "msg": "Field required", "input": {}}


@pytest.mark.parametrize(
    ("endpoint", "most"),
    [
        ("fal-ai/flux/schnell", 12),
        ("fal-ai/flux/dev", 50),
        ("fal-ai/flux-1/schnell", 12),
        ("fal-ai/flux-1/dev", 50),
    ],
)
def test_an_endpoint_takes_as_many_steps_as_its_schema_says(endpoint: str, most: int) -> None:
    assert work({"prompt": "a cat", "num_inference_steps": most}, endpoint).steps == most
    [item] = its("num_inference_steps", most + 1, endpoint)
    assert (item["type"], item["input"], item["ctx"]) == ("less_than_equal", most + 1, {"le": most})


@pytest.mark.parametrize(
    ("words", "place", "older"),
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
def test_every_python_speaks_of_a_trailing_comma_as_the_older_ones_do(
    words: str, place: int, older: str
) -> None:
    error = json.JSONDecodeError(words, "[12 ,  ]" if place == 7 else "[12 x", 4)
    assert framework._older_words(error) == (place, older)


def test_the_place_of_a_json_error_counts_characters() -> None:
    [item] = work('{"prompt": "äöü",}'.encode()).response.body["detail"]
    assert item["loc"] == ["body", 17]


@pytest.mark.parametrize(
    "body",
    [b'{"prompt": "\xff"}', b'{"seed": ' + b"9" * 5000 + b"}", b"[" * 100_000, b'{"prompt":' * 100_000],
    ids=["no Unicode", "5000 digits", "brackets without end", "objects without end"],
)
def test_what_python_cannot_read_at_all_is_a_bad_request(body: bytes) -> None:
    response = work(body).response
    assert (response.status, response.body) == (400, {"detail": "There was an error parsing the body"})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["num_inference_steps", "seed", "guidance_scale", "num_images"])
def test_what_is_no_number_of_json_is_refused(field: str, text: str) -> None:
    assert work(f'{{"prompt":"a cat","{field}":{text}}}'.encode()).response.status == 422


@pytest.mark.parametrize("depth", [10, 500, 900])
def test_a_deep_input_is_refused_like_a_flat_one(depth: int) -> None:
    body = b'{"prompt":' + b"[" * depth + b"]" * depth + b"}"
    assert work(body).response.body["detail"][0]["type"] == "string_type"


@pytest.mark.parametrize("endpoint", FAMILIES)
@given(body=bodies())
@settings(max_examples=50)
def test_any_body_gets_an_answer(endpoint: str, body: bytes) -> None:
    response = work(body, endpoint).response
    assert response.status in (200, 400, 422)
    shown = ["detail"] if response.status != 200 else list(catalog.schema(endpoint).output.model_fields)
    assert list(response.body) == shown


@given(documents())
def test_every_item_of_a_refusal_has_its_keys_in_order(document: JSON) -> None:
    items = its("image_size", document) if not isinstance(document, dict) else []
    assert {tuple(item) for item in items} <= {
        ("type", "loc", "msg", "input"),
        ("type", "loc", "msg", "input", "ctx"),
    }


# -- what is accepted


@pytest.mark.parametrize(
    "more",
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
def test_what_the_schema_allows_is_accepted(more: dict[str, JSON]) -> None:
    assert work({"prompt": "a cat"} | more).response.status == 200


@pytest.mark.parametrize(
    "body",
    [
        '{"prompt":"a cat"}'.encode("utf-8-sig"),
        '{"prompt":"a cat"}'.encode("utf-16"),
        b' \n{"prompt":"a dog","prompt":"a cat"}\n',
    ],
    ids=["with a byte order mark", "UTF-16", "a key twice, and white space"],
)
def test_what_python_reads_as_json_is_json(body: bytes) -> None:
    assert work(body).response.body["prompt"] == "a cat"


@pytest.mark.parametrize(
    ("endpoint", "steps", "acceleration"),
    [
        ("fal-ai/flux/schnell", 4, "none"),
        ("fal-ai/flux/dev", 28, "none"),
        ("fal-ai/flux-1/schnell", 4, "regular"),
        ("fal-ai/flux-1/dev", 28, "regular"),
    ],
)
def test_an_endpoint_has_its_own_defaults(endpoint: str, steps: int, acceleration: str) -> None:
    seen: list[bytes] = []
    cat = {"prompt": "a cat"}
    asked = [cat, cat | {"num_inference_steps": steps, "acceleration": acceleration}]
    assert [work(body, endpoint, draw_seed=noting(seen)).steps for body in asked] == [steps, steps]
    assert len(set(seen)) == 1


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
def test_a_size_is_a_name_or_a_pair_of_numbers(size: JSON, width: int, height: int) -> None:
    [recipe] = recipes({"prompt": "a cat", "image_size": size})
    assert (recipe.width, recipe.height) == (width, height)


def test_half_a_surrogate_pair_comes_back_as_it_was() -> None:
    assert work(rb'{"prompt": "\ud800"}').response.body["prompt"] == "\ud800"


# -- what comes out


def flux_output(**body: JSON) -> dict[str, JSON]:
    output: dict[str, JSON] = work({"prompt": "a cat"} | body).response.body
    return output


def test_the_output_has_fals_keys_in_fals_order() -> None:
    assert flux_output(seed=7, image_size="square") == {
        "images": [
            {
                "url": Picture(Recipe("fal-ai/flux/schnell", "a cat", 7, 512, 512), "/a.jpg"),
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


def test_a_seed_is_drawn_only_where_none_is_given() -> None:
    assert flux_output()["seed"] == flux_output(seed=None)["seed"] == SEED
    assert flux_output(seed=0)["seed"] == 0


def test_the_seed_is_drawn_from_all_that_was_asked_for() -> None:
    seen: list[bytes] = []
    asked: list[JSON] = [
        {"prompt": "a cat"},
        {"prompt": "a dog"},
        {"prompt": "a cat", "image_size": "square"},
        {"prompt": "a cat", "num_inference_steps": 5},
        {"prompt": "a cat", "acceleration": "none"},  # the default, and so the first again
    ]
    assert [work(body, draw_seed=noting(seen)).response.status for body in asked] == [200] * 5
    assert len(set(seen)) == 4


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_each_image_has_its_place_and_its_verdict(number: int) -> None:
    body = flux_output(num_images=number)
    assert [picture.recipe.index for picture in pictures_in(body)] == list(range(number))
    assert body["has_nsfw_concepts"] == [False] * number


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_an_image_is_of_the_type_asked_for(format: str) -> None:
    [image] = flux_output(output_format=format)["images"]
    assert image["content_type"] == image["url"].recipe.content_type == f"image/{format}"


@pytest.mark.parametrize("inline", [True, False])
def test_sync_mode_asks_for_the_image_itself(inline: bool) -> None:
    assert [picture.inline for picture in pictures_in(flux_output(sync_mode=inline))] == [inline]


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
def test_whole_megapixels_are_billed_for_each_image(size: JSON, number: int, units: int) -> None:
    body = {"prompt": "a cat", "image_size": size, "num_images": number}
    assert work(body).response.billable_units == units


def test_an_unsafe_picture_is_flagged_and_black() -> None:
    body = work({"prompt": "a cat", "num_images": 2}, unsafe=True).response.body
    assert body["has_nsfw_concepts"] == [True, True]
    assert [picture.recipe.blank for picture in pictures_in(body)] == [True, True]


def test_without_the_checker_nothing_is_unsafe() -> None:
    body = work({"prompt": "a cat", "enable_safety_checker": False}, unsafe=True).response.body
    assert body["has_nsfw_concepts"] == [False]
    assert [picture.recipe.blank for picture in pictures_in(body)] == [False]


@given(inputs())
def test_the_same_input_has_the_same_answer(document: JSON) -> None:
    body = json.dumps(document).encode()
    assert json.dumps(work(body).response.body, default=repr) == json.dumps(
        work(body).response.body, default=repr
    )


@given(st.text())
def test_the_prompt_comes_back_as_it_was(prompt: str) -> None:
    assert work({"prompt": prompt}).response.body["prompt"] == prompt
