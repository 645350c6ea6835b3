"""Results in a storage of the user's own, with a local S3 that checks every form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import fal_client
import httpx
import pytest
from PIL import Image

from mock_fal import Account, MockFal
from mock_fal.summary import summary
from tests.gateway.s3 import S3, serving
from tests.gateway.servers import Loop

SCHNELL = "fal-ai/flux/schnell"
CAT = {"prompt": "a cat", "image_size": {"width": 64, "height": 48}, "num_images": 2}


@pytest.fixture
def s3(loop: Loop) -> Iterator[S3]:
    with serving(loop) as s3:
        yield s3


def policy(text: Any) -> dict[str, str]:
    return {"x-app-fal-upload-policy": text if isinstance(text, str) else json.dumps(text)}


def run(fal: Account | MockFal, headers: dict[str, str], **fields: Any) -> httpx.Response:
    headers = {"authorization": "Key alice:secret", **headers}
    return httpx.post(f"{fal.url}/fal.run/{SCHNELL}", headers=headers, json={**CAT, **fields}, timeout=60)


@pytest.fixture(scope="module")
def server() -> Iterator[MockFal]:
    with MockFal(clock="auto-advance") as fal:
        yield fal


def test_the_files_of_a_result_are_in_the_bucket(mock_fal: Account, s3: S3) -> None:
    result = fal_client.subscribe(SCHNELL, CAT, headers=policy(s3.presigned()))
    urls = [image["url"] for image in result["images"]]
    assert [url.startswith(f"{s3.url}/outputs/") and url.endswith(".jpg") for url in urls] == [True, True]
    assert {f"{s3.url}/{key}" for key in s3.objects} == set(urls) and len(set(urls)) == 2
    assert s3.refused == []
    for content_type, content in s3.objects.values():
        assert content_type == "image/jpeg"
        assert Image.open(BytesIO(content)).size == (64, 48)
    assert mock_fal.files == []


def test_the_journal_has_the_policy_without_what_allows_to_write(server: MockFal, s3: S3) -> None:
    signed = s3.presigned()
    assert run(server, policy(signed)).status_code == 200
    for path in ("requests", "requests.har"):
        shown = httpx.get(f"{server.url}/_mock/{path}").text
        assert f"{s3.url}" in shown and "outputs/${filename}" in shown
        for name in ("policy", "x-amz-signature", "x-amz-credential"):
            assert signed["fields"][name] not in shown


def test_a_file_is_uploaded_once(server: MockFal, s3: S3) -> None:
    headers = {"authorization": "Key alice:secret", **policy(s3.presigned())}
    base = f"{server.url}/queue.fal.run"
    submitted = httpx.post(f"{base}/{SCHNELL}", headers=headers, json=CAT).json()
    url = f"{base}/fal-ai/flux/requests/{submitted['request_id']}"
    while httpx.get(f"{url}/status", headers=headers).json()["status"] != "COMPLETED":
        assert s3.objects == {}
    first = httpx.get(url, headers=headers)
    s3.objects.clear()
    assert httpx.get(url, headers=headers).content == first.content
    assert s3.objects == {}


def test_a_webhook_has_the_address_and_the_file_is_there(mock_fal: Account, s3: S3) -> None:
    receiver = mock_fal.webhooks
    fal_client.submit(SCHNELL, CAT, webhook_url=receiver.url, headers=policy(s3.presigned()))
    [webhook] = receiver.wait_for(1)
    urls = {image["url"] for image in webhook.json["payload"]["images"]}
    assert urls == {f"{s3.url}/{key}" for key in s3.objects}


@pytest.mark.parametrize(
    ("conditions", "fields"),
    [
        ([["content-length-range", 0, 10]], {}),
        ([["eq", "$Content-Type", "image/png"]], {}),
        ([["eq", "$key", "other"], ["starts-with", "$Content-Type", ""]], {}),
        ([["starts-with", "$Content-Type", ""]], {"x-amz-signature": "0" * 64}),
        ([["starts-with", "$acl", ""]], {}),  # the content type is an extra field
    ],
)
def test_an_upload_that_breaks_the_policy_is_reported(
    server: MockFal, s3: S3, conditions: list[Any], fields: dict[str, str]
) -> None:
    signed = s3.presigned("o/${filename}", *conditions)
    signed["fields"] |= fields
    response = run(server, policy(signed))
    assert response.status_code == 200
    assert response.json()["images"][0]["url"].startswith(f"{s3.url}/o/")
    assert s3.objects == {} and len(s3.refused) == 2
    exchange = server.requests[-1]
    assert exchange.warning.startswith(f"not uploaded to {s3.url}/o/") and "HTTP 403" in exchange.warning
    assert f"  output: {exchange.warning}" in summary(server.requests, [])


@pytest.mark.parametrize(("status", "is_reported"), [(201, False), (303, False), (500, True), (307, True)])
def test_what_counts_as_uploaded(server: MockFal, s3: S3, status: int, is_reported: bool) -> None:
    s3.status = status
    assert run(server, policy(s3.presigned())).status_code == 200
    assert bool(server.requests[-1].warning) == is_reported


def test_a_bucket_that_does_not_answer_is_reported(server: MockFal, s3: S3) -> None:
    signed = s3.presigned() | {"url": "http://127.0.0.1:9/bucket"}
    assert run(server, policy(signed)).status_code == 200
    assert "http://127.0.0.1:9/bucket/outputs/" in server.requests[-1].warning


def test_without_egress_nothing_goes_to_amazon_and_all_say_so(
    server: MockFal, s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    url = "https://my-bucket.s3.eu-central-1.amazonaws.com/"
    response = run(server, policy(s3.presigned() | {"url": url}))
    assert response.json()["images"][0]["url"].startswith(f"{url}outputs/")
    note = f"{url} is not on this machine; start with --allow-egress to upload the files of results there"
    assert server.requests[-1].warning == note
    shown = httpx.get(f"{server.url}/_mock/requests").json()["requests"][-1]
    assert shown["warning"] == note
    assert f"mock-fal:   output: {note}" in summary(server.requests, [])
    assert note in caplog.text


def test_with_egress_the_address_is_looked_up_and_tried(s3: S3) -> None:
    with MockFal(clock="auto-advance", allow_egress=True) as fal:
        url = "https://no-such-bucket.s3.invalid-region.amazonaws.com"
        assert run(fal, policy(s3.presigned() | {"url": url})).status_code == 200
        warning = fal.requests[-1].warning
    assert warning.startswith(f"not uploaded to {url}/outputs/")


def test_the_content_type_of_a_policy_is_that_of_the_file(server: MockFal, s3: S3) -> None:
    signed = s3.presigned("o/${filename}", {"Content-Type": "image/png"}, **{"Content-Type": "image/png"})
    refused = run(server, policy(signed))
    assert refused.status_code == 422
    assert "is 'image/png' but the file being uploaded is 'image/jpeg'" in refused.json()["detail"]
    assert float(refused.headers["x-fal-billable-units"]) > 0
    assert run(server, policy(signed), output_format="png").status_code == 200
    assert {content_type for content_type, _ in s3.objects.values()} == {"image/png"}


def test_pictures_in_the_result_itself_are_not_uploaded(server: MockFal, s3: S3) -> None:
    response = run(server, policy(s3.presigned()), sync_mode=True)
    assert response.json()["images"][0]["url"].startswith("data:image/jpeg;base64,")
    assert s3.objects == {}


def test_a_page_of_another_machine_sends_nothing_to_this_one(server: MockFal, s3: S3) -> None:
    response = run(server, {**policy(s3.presigned()), "origin": "https://evil.example"})
    assert response.status_code == 200
    assert s3.objects == {} and s3.refused == []
    assert "web page of https://evil.example" in server.requests[-1].warning


def test_an_app_of_ones_own_ignores_the_policy(s3: S3) -> None:
    with MockFal(clock="auto-advance") as fal:
        fal.scenario.add(endpoint="me/app", output={"text": "hello"})
        headers = {"authorization": "Key alice:secret", **policy("nonsense")}
        response = httpx.post(f"{fal.url}/fal.run/me/app", headers=headers, json={})
    assert (response.status_code, response.json()) == (200, {"text": "hello"})
