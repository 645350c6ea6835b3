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
def test_every_form_of_an_id_is_parsed(text: str, endpoint: EndpointId) -> None:
    assert EndpointId.parse(text) == endpoint


@pytest.mark.parametrize(
    ("text", "app_id"),
    [
        ("fal-ai/flux/schnell", "fal-ai/flux"),
        ("workflows/ana/posters/v2", "workflows/ana/posters"),
        ("comfy/ana/posters", "comfy/ana/posters"),
    ],
)
def test_the_app_id_includes_the_namespace(text: str, app_id: str) -> None:
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
def test_an_id_without_owner_and_app_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not an endpoint id; expected owner/app") as error:
        EndpointId.parse(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://fal.run/fal-ai/flux",
        "https://example.com/fal-ai/flux",
        "https:///fal-ai/flux",
        "ftp://fal.run/a/b",
    ],
)
def test_a_url_of_another_host_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="is not a URL of fal; expected https://fal.run/owner/app"):
        EndpointId.parse(url)


def test_a_url_of_fal_without_an_app_is_rejected() -> None:
    with pytest.raises(ValueError, match="'/fal-ai' is not an endpoint id"):
        EndpointId.parse("https://fal.run/fal-ai")


@given(endpoint_ids())
def test_formatting_and_parsing_an_id_round_trips(endpoint: EndpointId) -> None:
    assert EndpointId.parse(str(endpoint)) == endpoint


@given(endpoint_ids())
def test_an_id_and_its_url_are_equal(endpoint: EndpointId) -> None:
    assert EndpointId.parse(f"https://queue.fal.run/{endpoint}") == endpoint


@given(endpoint_ids())
def test_an_id_starts_with_its_app_id(endpoint: EndpointId) -> None:
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
