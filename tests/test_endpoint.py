from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.endpoint import EndpointId
from tests.strategies import endpoint_ids


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("fal-ai/flux/schnell", EndpointId("fal-ai", "flux", "schnell")),
        ("fal-ai/flux", EndpointId("fal-ai", "flux")),
        ("fal-ai/flux/dev/image-to-image", EndpointId("fal-ai", "flux", "dev/image-to-image")),
        ("workflows/ana/posters", EndpointId("ana", "posters", namespace="workflows")),
        ("comfy/ana/posters/v2/fast", EndpointId("ana", "posters", "v2/fast", "comfy")),
        ("110602490-lora", EndpointId("110602490", "lora")),
        ("110602490-fast-sdxl", EndpointId("110602490", "fast-sdxl")),
        ("/fal-ai//flux/schnell/", EndpointId("fal-ai", "flux", "schnell")),
        ("https://fal.run/fal-ai/flux/schnell", EndpointId("fal-ai", "flux", "schnell")),
        ("https://queue.fal.run/fal-ai/flux/dev", EndpointId("fal-ai", "flux", "dev")),
        ("https://fal.ai/fal-ai/flux?x=1", EndpointId("fal-ai", "flux")),
    ],
)
def test_every_form_of_an_id_is_read(text: str, endpoint: EndpointId) -> None:
    assert EndpointId.parse(text) == endpoint


@pytest.mark.parametrize(
    ("text", "app_id"),
    [
        ("fal-ai/flux/schnell", "fal-ai/flux"),
        ("workflows/ana/posters/v2", "workflows/ana/posters"),
        ("comfy/ana/posters", "comfy/ana/posters"),
    ],
)
def test_requests_are_asked_after_at_the_app_and_its_namespace(text: str, app_id: str) -> None:
    assert EndpointId.parse(text).app_id == app_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "flux",
        "fal-ai/",
        "workflows",
        "workflows/ana",
        "comfy/ana/",
        "lora-110602490",
        "-lora",
        "12-",
    ],
)
def test_an_id_without_owner_and_app_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no endpoint id; expected owner/app") as refusal:
        EndpointId.parse(text)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://fal.run/fal-ai/flux",
        "https://example.com/fal-ai/flux",
        "https:///fal-ai/flux",
        "ftp://fal.run/a/b",
    ],
)
def test_an_address_elsewhere_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is no address of fal; expected https://fal.run/owner/app"):
        EndpointId.parse(address)


def test_an_address_of_fal_without_an_app_is_refused() -> None:
    with pytest.raises(ValueError, match="'/fal-ai' is no endpoint id"):
        EndpointId.parse("https://fal.run/fal-ai")


@given(endpoint_ids())
def test_writing_and_reading_an_id_gives_it_back(endpoint: EndpointId) -> None:
    assert EndpointId.parse(str(endpoint)) == endpoint


@given(endpoint_ids())
def test_an_id_and_its_address_are_the_same(endpoint: EndpointId) -> None:
    assert EndpointId.parse(f"https://queue.fal.run/{endpoint}") == endpoint


@given(endpoint_ids())
def test_an_id_begins_with_its_app(endpoint: EndpointId) -> None:
    assert EndpointId.parse(endpoint.app_id).app_id == endpoint.app_id
    assert str(endpoint).startswith(endpoint.app_id)


@given(st.text() | st.text("/-:abhlopstw.0123").map("https://".__add__))
def test_any_text_is_an_id_or_a_value_error(text: str) -> None:
    try:
        endpoint = EndpointId.parse(text)
    except ValueError:
        return
    assert endpoint.owner and endpoint.app
    assert EndpointId.parse(str(endpoint)) == endpoint
