"""fal.ai: the OpenAPI documents of the models."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
from openapi_spec_validator import validate

from mock_fal.models.catalog import Catalog
from mock_fal.models.descriptions import MODELS
from tests.web.conftest import OURS, SCHNELL, Fal

ADDRESS = "https://fal.ai/api/openapi/queue/openapi.json"
PICTURE = "https://a.example/a.png"


def fetch(fal: Fal, endpoint: str) -> httpx.Response:
    return fal.request("GET", f"{ADDRESS}?endpoint_id={endpoint}", key=None)


def document(fal: Fal, endpoint: str = SCHNELL) -> dict[str, Any]:
    response = fetch(fal, endpoint)
    assert response.status_code == 200
    return dict(response.json())


def schemas(fal: Fal, endpoint: str = SCHNELL) -> dict[str, Any]:
    return dict(document(fal, endpoint)["components"]["schemas"])


@pytest.mark.parametrize("endpoint", MODELS)
def test_every_document_is_valid_openapi(fal: Fal, endpoint: str) -> None:
    validate(document(fal, endpoint))


def test_the_document_has_the_published_order(fal: Fal) -> None:
    root = document(fal)
    assert list(root) == ["openapi", "info", "components", "paths", "servers", "security"]
    assert list(root["info"]) == ["title", "version", "description", "x-fal-metadata", "x-mock-fal"]
    assert list(root["components"]["schemas"]) == [
        "QueueStatus",
        "FluxSchnellInput",
        "ImageSize",
        "FluxSchnellOutput",
        "Image",
    ]
    assert list(root["paths"]) == [
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


def test_the_input_schema_is_that_of_the_model(fal: Fal) -> None:
    schema = schemas(fal)["FluxSchnellInput"]
    assert list(schema) == ["title", "type", "properties", "x-fal-order-properties", "required"]
    assert schema["title"] == "SchnellTextToImageInput"
    assert schema["required"] == ["prompt"]
    assert schema["x-fal-order-properties"] == [
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
    steps = schema["properties"]["num_inference_steps"]
    assert (steps["default"], steps["minimum"], steps["maximum"]) == (4, 1, 12)


def test_nullable_fields_follow_openapi_3_0(fal: Fal) -> None:
    properties = schemas(fal)["FluxSchnellInput"]["properties"]
    seed = properties["seed"]
    assert (seed["type"], seed["nullable"], "default" in seed) == ("integer", True, False)


def test_exclusive_bounds_follow_openapi_3_0(fal: Fal) -> None:
    width = schemas(fal)["ImageSize"]["properties"]["width"]
    assert (width["minimum"], width["exclusiveMinimum"], width["maximum"]) == (0, True, 14142)


@pytest.mark.parametrize("size", ["square", {"width": 64, "height": 64}, None])
def test_a_valid_input_fits_the_schema(fal: Fal, size: object) -> None:
    body = {"prompt": "a cat", "image_urls": [PICTURE], "image_size": size, "seed": None}
    validate_instance(fal, "fal-ai/flux-2/edit", "Flux2EditInput", body, OAS30WriteValidator)


@pytest.mark.parametrize(
    "bad", [{"image_size": "huge"}, {"num_images": 5}, {"seed": "one"}, {"prompt": None}]
)
def test_an_invalid_input_does_not_fit_the_schema(fal: Fal, bad: dict[str, object]) -> None:
    body = {"prompt": "a cat", "image_urls": [PICTURE], **bad}
    with pytest.raises(AssertionError, match=next(iter(bad))):
        validate_instance(fal, "fal-ai/flux-2/edit", "Flux2EditInput", body, OAS30WriteValidator)


# Realtime models accept no plain requests.
@pytest.mark.parametrize("endpoint", [name for name in MODELS if not name.endswith("/realtime")])
def test_every_output_fits_its_schema(fal: Fal, endpoint: str) -> None:
    values = {"prompt": "a cat", "image_url": PICTURE, "image_urls": [PICTURE]}
    [name] = [name for name in schemas(fal, endpoint) if name.endswith("Input")]
    accepted = schemas(fal, endpoint)[name]["properties"]
    body = {field: value for field, value in values.items() if field in accepted}
    handle = fal.submit(endpoint=endpoint, body=json.dumps(body).encode())
    fal.advance(100)
    response = handle.result()
    assert response.status_code == 200, response.text
    validate_instance(
        fal, endpoint, name.removesuffix("Input") + "Output", response.json(), OAS30ReadValidator
    )


def validate_instance(fal: Fal, endpoint: str, name: str, instance: object, validator: Any) -> None:
    """Validate an instance against a schema of a document."""
    root = document(fal, endpoint)
    schema = {"$ref": f"#/components/schemas/{name}", "components": root["components"]}
    errors = list(validator(schema).iter_errors(instance))
    assert not errors, [f"{list(error.path)}: {error.message}" for error in errors]


def test_an_unknown_endpoint_has_no_document(fal: Fal) -> None:
    response = fetch(fal, "fal-ai/unheard-of")
    assert (response.status_code, response.text) == (404, "null")
    assert fal.request("GET", ADDRESS, key=None).status_code == 404


def test_other_methods_are_rejected(fal: Fal) -> None:
    response = fal.request("POST", f"{ADDRESS}?endpoint_id={SCHNELL}", key=None)
    assert (response.status_code, response.headers["allow"]) == (405, "GET,HEAD")


def test_other_pages_get_a_501(fal: Fal) -> None:
    response = fal.request("GET", "https://fal.ai/models")
    assert response.status_code == 501
    assert "mock-fal does not emulate https://fal.ai/models" in response.json()["detail"]


def test_the_site_is_available_by_path_too(fal: Fal) -> None:
    path = f"/fal.ai/api/openapi/queue/openapi.json?endpoint_id={SCHNELL}"
    assert fal.request("GET", OURS + path).json() == document(fal)


def test_an_endpoint_path_is_not_the_site(fal: Fal) -> None:
    assert fal.request("GET", f"{OURS}/fal-ai/flux/schnell").status_code == 404


def test_a_model_has_a_page_of_text(fal: Fal) -> None:
    response = fal.request("GET", f"https://fal.ai/models/{SCHNELL}/llms.txt", key=None)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert "- **Endpoint**: `https://fal.run/fal-ai/flux/schnell`\n" in response.text


def test_the_text_of_the_site_lists_all_models(fal: Fal) -> None:
    text = fal.request("GET", "https://fal.ai/llms.txt", key=None).text
    assert f"`{SCHNELL}`" in text
    assert text.count("\n- ") == len(Catalog().ids())


def test_an_unknown_model_has_no_page(fal: Fal) -> None:
    assert fal.request("GET", "https://fal.ai/models/a/b/llms.txt", key=None).status_code == 404


# -- the list of models


def listing(fal: Fal, query: str = "") -> dict[str, Any]:
    response = fal.request("GET", f"https://fal.ai/api/models?{query}", key=None)
    assert response.status_code == 200
    return dict(response.json())


def test_the_list_has_pages_of_40_and_page_0_is_empty(fal: Fal) -> None:
    first = listing(fal)
    assert (first["page"], first["size"], len(first["items"])) == (1, 40, 40)
    assert first["pages"] == -(-first["total"] // 40)
    assert listing(fal, "page=2")["items"][0] not in first["items"]
    assert listing(fal, "page=0")["items"] == listing(fal, "page=99999")["items"] == []


def test_the_list_is_searched_by_keywords_and_categories(fal: Fal) -> None:
    found = [item["id"] for item in listing(fal, "keywords=flux+schnell&total=200")["items"]]
    assert SCHNELL in found
    assert all("flux" in endpoint and "schnell" in endpoint for endpoint in found)
    categories = {item["category"] for item in listing(fal, "categories=text-to-speech")["items"]}
    assert categories == {"text-to-speech"}


@pytest.mark.parametrize(
    ("query", "size"), [("total=3", 3), ("total=0", 1), ("total=9999", 200), ("total=x", 40)]
)
def test_the_size_of_a_page_has_limits(fal: Fal, query: str, size: int) -> None:
    assert len(listing(fal, query)["items"]) == size


def test_a_model_of_the_list_has_the_members_that_programs_read(fal: Fal) -> None:
    root = listing(fal, "keywords=flux+schnell&total=200")
    assert list(root) == ["items", "page", "pages", "total", "size"]
    [item] = [item for item in root["items"] if item["id"] == SCHNELL]
    assert item == {
        "id": SCHNELL,
        "modelId": SCHNELL,
        "title": "FLUX.1 [schnell]",
        "category": "text-to-image",
        "tags": ["turbo"],
        "shortDescription": "Pictures from text in one to four steps.",
        "thumbnailUrl": item["thumbnailUrl"],
        "modelUrl": "https://fal.run/fal-ai/flux/schnell",
        "licenseType": "commercial",
        "date": "2024-08-01T00:00:00.000Z",
        "group": {"key": "flux-1", "label": "FLUX.1"},
        "status": "active",
        "deprecated": False,
        "removed": False,
        "pricingInfoOverride": None,
        "streamUrl": "https://fal.run/fal-ai/flux/schnell/stream",
    }


def test_categories_of_the_list_are_repeated(fal: Fal) -> None:
    query = "categories=text-to-speech&categories=training&total=200"
    assert {item["category"] for item in listing(fal, query)["items"]} == {"text-to-speech", "training"}
