"""Endpoints that the catalogue does not have: fal's 404, and who says that it is not fal that does not know them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from mock_fal.journal.exchanges import Exchange
from mock_fal.models.catalog import WAYS_ON
from tests.models.test_documents import ID, document
from tests.web.conftest import OURS, QUEUE, RUN, SCHNELL, Fal, Serve

BODY = b'{"prompt": "a cat"}'


def post(fal: Fal, url: str) -> int:
    return fal.request("POST", url, body=BODY).status_code


def test_an_unknown_app_is_named_in_the_journal(fal: Fal) -> None:
    assert post(fal, f"{QUEUE}/fal-ai/fluxx") == 404
    assert fal.journal[-1].unknown_endpoint.startswith("fal-ai/fluxx; did you mean fal-ai/flux")


def test_an_unknown_path_is_named_though_the_queue_accepts_it(fal: Fal) -> None:
    assert post(fal, f"{QUEUE}/fal-ai/flux/schnel") == 200
    assert "did you mean fal-ai/flux/schnell" in fal.journal[-1].unknown_endpoint


def run(fal: Fal, endpoint: str) -> Exchange:
    """The exchange of a direct request, which takes as long as the model runs."""
    fal.start_request("POST", f"{RUN}/{endpoint}", body=BODY)
    fal.run_until_idle()
    fal.advance(10)
    [exchange] = fal.journal
    return exchange


def test_a_direct_request_for_an_unknown_path_is_named(fal: Fal) -> None:
    exchange = run(fal, "fal-ai/flux/schnel")
    assert exchange.status == 404
    assert exchange.unknown_endpoint.startswith("fal-ai/flux/schnel; ")


@pytest.mark.parametrize("path", [f"{SCHNELL}/stream", SCHNELL])
def test_a_known_endpoint_is_not_named(fal: Fal, path: str) -> None:
    exchange = run(fal, path)
    assert (exchange.status, exchange.unknown_endpoint) == (200, "")


def test_an_injected_404_is_not_an_unknown_endpoint(fal: Fal) -> None:
    body = b'{"prompt": "a cat [mock: status=404]"}'
    assert fal.request("POST", f"{QUEUE}/{SCHNELL}", body=body).status_code == 404
    assert fal.journal[-1].unknown_endpoint == ""


def test_the_log_names_an_unknown_endpoint_once(fal: Fal, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mock_fal"):
        post(fal, f"{QUEUE}/me/my-app")
        post(fal, f"{QUEUE}/me/my-app")
    assert [record.getMessage() for record in caplog.records] == [
        f"mock-fal: not emulated: me/my-app; {WAYS_ON}"
    ]


def test_the_list_of_calls_names_an_unknown_endpoint(fal: Fal) -> None:
    post(fal, f"{QUEUE}/me/<b>app")
    [call] = fal.request("GET", f"{OURS}/_mock/calls", key=None).json()["calls"]
    assert (call["accepted"], call["warning"]) == (False, "me/<b>app")


def test_a_guessed_endpoint_responds(serve: Serve) -> None:
    fal = serve(guess_models=True)
    response = fal.request("POST", f"{QUEUE}/acme/new/text-to-video", body=BODY)
    assert response.status_code == 200
    assert fal.journal[-1].unknown_endpoint == ""


def test_an_endpoint_of_a_file_is_validated_and_listed(serve: Serve, tmp_path: Path) -> None:
    image = {
        "title": "Image",
        "type": "object",
        "properties": {"url": {"type": "string"}},
        "required": ["url"],
    }
    file = tmp_path / "models.json"
    input = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}
    file.write_text(json.dumps(document(input, {"type": "object", "properties": {"image": image}})))
    fal = serve(models=(str(file),), run_duration=0.0)
    response = fal.request("POST", f"{RUN}/{ID}", body=BODY)
    assert response.status_code == 200
    assert response.json()["image"]["url"].startswith("https://")
    assert fal.request("POST", f"{RUN}/{ID}", body=b"{}").status_code == 422
    listed = fal.request("GET", f"https://api.fal.ai/v1/models?endpoint_id={ID}").json()
    assert [model["endpoint_id"] for model in listed["models"]] == [ID]
