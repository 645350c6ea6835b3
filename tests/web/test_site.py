"""fal.ai: the OpenAPI documents of the models."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
from openapi_spec_validator import validate

from mock_fal.models.catalog import FAMILIES
from mock_fal.models.descriptions import MODELS
from tests.web.conftest import OURS, SCHNELL, Fal

ADDRESS = "https://fal.ai/api/openapi/queue/openapi.json"
PICTURE = "https://a.example/a.png"


def ask(fal: Fal, endpoint: str) -> httpx.Response:
    return fal.ask("GET", f"{ADDRESS}?endpoint_id={endpoint}", key=None)


def document(fal: Fal, endpoint: str = SCHNELL) -> dict[str, Any]:
    response = ask(fal, endpoint)
    assert response.status_code == 200
    return dict(response.json())


def schemas(fal: Fal, endpoint: str = SCHNELL) -> dict[str, Any]:
    return dict(document(fal, endpoint)["components"]["schemas"])


@pytest.mark.parametrize("endpoint", FAMILIES)
def test_every_document_is_valid_openapi(fal: Fal, endpoint: str) -> None:
    validate(document(fal, endpoint))


@pytest.mark.parametrize("endpoint", FAMILIES)
def test_every_model_has_a_row(endpoint: str) -> None:
    assert MODELS[endpoint].description


@pytest.mark.parametrize("endpoint", MODELS)
def test_every_row_is_of_a_model(endpoint: str) -> None:
    assert endpoint in FAMILIES


def test_the_document_has_the_published_order(fal: Fal) -> None:
    whole = document(fal)
    assert list(whole) == ["openapi", "info", "components", "paths", "servers", "security"]
    assert list(whole["info"]) == ["title", "version", "description", "x-fal-metadata"]
    assert list(whole["components"]["schemas"]) == [
        "QueueStatus",
        "FluxSchnellInput",
        "ImageSize",
        "FluxSchnellOutput",
        "Image",
    ]
    assert list(whole["paths"]) == [
        "/fal-ai/flux/schnell/requests/{request_id}/status",
        "/fal-ai/flux/schnell/requests/{request_id}/cancel",
        "/fal-ai/flux/schnell",
        "/fal-ai/flux/schnell/requests/{request_id}",
    ]


def test_the_metadata_names_the_model(fal: Fal) -> None:
    info = document(fal)["info"]
    assert info["title"] == "Queue OpenAPI for fal-ai/flux/schnell"
    assert info["description"] == "The OpenAPI schema for the fal-ai/flux/schnell queue."
    metadata = info["x-fal-metadata"]
    assert list(metadata) == ["endpointId", "category", "thumbnailUrl", "playgroundUrl", "documentationUrl"]
    assert metadata["playgroundUrl"] == "https://fal.ai/models/fal-ai/flux/schnell"


def test_the_input_is_that_of_the_model(fal: Fal) -> None:
    its = schemas(fal)["FluxSchnellInput"]
    assert list(its) == ["title", "type", "properties", "x-fal-order-properties", "required"]
    assert its["title"] == "SchnellTextToImageInput"
    assert its["required"] == ["prompt"]
    assert its["x-fal-order-properties"] == [
        "num_inference_steps",
        "prompt",
        "image_size",
        "seed",
        "guidance_scale",
        "sync_mode",
        "num_images",
        "enable_safety_checker",
        "output_format",
        "acceleration",
    ]
    steps = its["properties"]["num_inference_steps"]
    assert (steps["default"], steps["minimum"], steps["maximum"]) == (4, 1, 12)


def test_what_may_be_null_says_so_in_the_words_of_3_0(fal: Fal) -> None:
    properties = schemas(fal)["FluxSchnellInput"]["properties"]
    seed = properties["seed"]
    assert (seed["type"], seed["nullable"], "default" in seed) == ("integer", True, False)


def test_a_bound_that_is_left_out_is_one_in_the_words_of_3_0(fal: Fal) -> None:
    width = schemas(fal)["ImageSize"]["properties"]["width"]
    assert (width["minimum"], width["exclusiveMinimum"], width["maximum"]) == (0, True, 14142)


@pytest.mark.parametrize("size", ["square", {"width": 64, "height": 64}, None])
def test_an_input_that_is_accepted_fits(fal: Fal, size: object) -> None:
    body = {"prompt": "a cat", "image_urls": [PICTURE], "image_size": size, "seed": None}
    problems(fal, "fal-ai/flux-2/edit", "Flux2EditInput", body, OAS30WriteValidator)


@pytest.mark.parametrize(
    "bad", [{"image_size": "huge"}, {"num_images": 5}, {"seed": "one"}, {"prompt": None}]
)
def test_an_input_that_is_refused_does_not_fit(fal: Fal, bad: dict[str, object]) -> None:
    body = {"prompt": "a cat", "image_urls": [PICTURE], **bad}
    with pytest.raises(AssertionError, match=next(iter(bad))):
        problems(fal, "fal-ai/flux-2/edit", "Flux2EditInput", body, OAS30WriteValidator)


# Where an endpoint can't be asked with a prompt and a picture alone; realtime models answer no plain request.
@pytest.mark.parametrize("endpoint", [name for name in FAMILIES if not name.endswith("/realtime")])
def test_every_answer_fits_its_own_schema(fal: Fal, endpoint: str) -> None:
    given = {"prompt": "a cat", "image_url": PICTURE, "image_urls": [PICTURE]}
    [name] = [name for name in schemas(fal, endpoint) if name.endswith("Input")]
    accepted = schemas(fal, endpoint)[name]["properties"]
    body = {field: value for field, value in given.items() if field in accepted}
    handle = fal.submit(endpoint=endpoint, body=json.dumps(body).encode())
    fal.advance(100)
    response = handle.result()
    assert response.status_code == 200, response.text
    problems(fal, endpoint, name.removesuffix("Input") + "Output", response.json(), OAS30ReadValidator)


def problems(fal: Fal, endpoint: str, name: str, instance: object, validator: Any) -> None:
    """Holds an instance against a schema of a document, which may refer to others in it."""
    whole = document(fal, endpoint)
    schema = {"$ref": f"#/components/schemas/{name}", "components": whole["components"]}
    found = list(validator(schema).iter_errors(instance))
    assert not found, [f"{list(error.path)}: {error.message}" for error in found]


def test_an_unknown_endpoint_has_no_document(fal: Fal) -> None:
    response = ask(fal, "fal-ai/unheard-of")
    assert (response.status_code, response.text) == (404, "null")
    assert fal.ask("GET", ADDRESS, key=None).status_code == 404


def test_a_document_is_read_and_not_written(fal: Fal) -> None:
    response = fal.ask("POST", f"{ADDRESS}?endpoint_id={SCHNELL}", key=None)
    assert (response.status_code, response.headers["allow"]) == (405, "GET,HEAD")


def test_other_pages_say_that_they_are_not_emulated(fal: Fal) -> None:
    response = fal.ask("GET", "https://fal.ai/models")
    assert response.status_code == 501
    assert "mock-fal does not emulate https://fal.ai/models" in response.json()["detail"]


def test_the_site_is_reached_by_path_too(fal: Fal) -> None:
    path = f"/fal.ai/api/openapi/queue/openapi.json?endpoint_id={SCHNELL}"
    assert fal.ask("GET", OURS + path).json() == document(fal)


def test_an_owner_is_not_the_site(fal: Fal) -> None:
    assert fal.ask("GET", f"{OURS}/fal-ai/flux/schnell").status_code == 404
