"""The Platform API and the models' OpenAPI documents at their real URLs, through the gateway."""

from __future__ import annotations

import os
from typing import Any

import fal_client
import httpx
import pytest
from openapi_spec_validator import validate

from mock_fal import Account

API = "https://api.fal.ai/v1"
SCHNELL = "fal-ai/flux/schnell"


def request(method: str, path: str, **params: str) -> Any:
    key = {"authorization": f"Key {os.environ['FAL_KEY']}"}
    response = httpx.request(method, f"{API}/{path}", params=params, headers=key)
    assert response.status_code == 200, response.text
    return response.json()


def test_requests_of_the_client_are_billed_listed_and_deleted(mock_fal: Account) -> None:
    result = fal_client.subscribe(SCHNELL, {"prompt": "a cat", "num_images": 2})
    [row] = request("GET", "models/usage", expand="summary")["summary"]
    assert (row["quantity"], row["cost_total"]) == (2, 0.006) == (2, mock_fal.usage.cost)

    [item] = request("GET", "models/requests/by-endpoint", endpoint_id=SCHNELL, expand="payloads")["items"]
    assert item["json_output"] == result

    deleted = request("DELETE", f"models/requests/{item['request_id']}/payloads")["cdn_delete_results"]
    urls = [image["url"] for image in result["images"]]
    assert [result["link"] for result in deleted] == urls
    assert [httpx.get(url).status_code for url in urls] == [404, 404]


def test_a_model_is_listed_and_its_document_is_at_its_published_url(mock_fal: Account) -> None:
    [model] = request("GET", "models", endpoint_id=SCHNELL, expand="openapi-3.0")["models"]
    published = httpx.get("https://fal.ai/api/openapi/queue/openapi.json", params={"endpoint_id": SCHNELL})
    assert published.json() == model["openapi"]
    validate(published.json())


def test_a_created_key_may_do_what_its_scope_says(mock_fal: Account) -> None:
    admin = {"authorization": f"Key {os.environ['FAL_KEY']}"}

    def run(scope: str) -> Any:
        key = httpx.post(f"{API}/keys", headers=admin, json={"alias": "CI", "scope": scope}).json()["key"]
        client = fal_client.SyncClient(key=key)
        with client._client:  # it has no method to close its connections
            return client.run(SCHNELL, {"prompt": "a cat"})

    assert run("API")["images"]
    with pytest.raises(fal_client.FalClientHTTPError, match="Insufficient permissions"):
        run("READONLY")


def test_a_saved_workflow_runs_with_the_client(mock_fal: Account) -> None:
    node = {"type": "run", "app": SCHNELL, "input": {"prompt": "$input.prompt"}}
    contents = {"nodes": {"node_1": node}, "output": {"images": "$node_1.images"}}
    admin = {"authorization": f"Key {os.environ['FAL_KEY']}"}
    body = {"name": "posters", "title": "Posters", "contents": contents}
    saved = httpx.post(f"{API}/workflows", headers=admin, json=body).json()["workflow"]
    endpoint = f"workflows/{saved['user_nickname']}/{saved['name']}"
    result = fal_client.subscribe(endpoint, {"prompt": "a cat"})
    assert httpx.get(result["images"][0]["url"]).status_code == 200


def test_the_client_gets_the_error_of_fal_for_a_file_on_this_machine(mock_fal: Account) -> None:
    body = {"prompt": "a cat", "image_urls": ["http://localhost:3000/a.png"]}
    with pytest.raises(fal_client.FalClientHTTPError, match="Failed to download the file"):
        fal_client.subscribe("fal-ai/flux-2/edit", body)
