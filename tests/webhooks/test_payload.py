from __future__ import annotations

import json
import math
from typing import Any

import pytest

from mock_fal.errors import JSON
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile, RequestFailure, RunnerResponse, model_error, rejected
from mock_fal.webhooks.payload import MAX_PAYLOAD_BYTES, NOT_SERIALIZABLE, webhook_body

ID = "019f6b1b-49c3-7163-9866-2d7bdfec2232"
MEDIA = "https://v3b.fal.media"
CAT = MediaFile(
    Recipe("fal-ai/flux/dev", "a cat", 7, 1024, 768), "/files/b/0aa27c72/phb6VWYUMKND0-gyZN-ul.jpg"
)


def document(outcome: RunnerResponse | RequestFailure, media: str = MEDIA) -> Any:
    return json.loads(webhook_body(ID, outcome, media, {}))


def test_a_success_has_the_bytes_of_the_live_service() -> None:
    images = [{"url": CAT, "width": 1024, "height": 768, "content_type": "image/jpeg"}]
    response = {"images": images, "timings": {"inference": 0.31}, "seed": 7, "has_nsfw_concepts": [False]}
    assert webhook_body(ID, RunnerResponse(200, response | {"prompt": "a cät"}), MEDIA, {}) == (
        b'{"error": null, "gateway_request_id": "019f6b1b-49c3-7163-9866-2d7bdfec2232", "payload": '
        b'{"has_nsfw_concepts": [false], "images": [{"content_type": "image/jpeg", "height": 768, "url": '
        b'"https://v3b.fal.media/files/b/0aa27c72/phb6VWYUMKND0-gyZN-ul.jpg", "width": 1024}], "prompt": '
        b'"a c\\u00e4t", "seed": 7, "timings": {"inference": 0.31}}, "request_id": '
        b'"019f6b1b-49c3-7163-9866-2d7bdfec2232", "status": "OK"}'
    )


def test_a_picture_has_the_media_host_of_the_submission() -> None:
    local = "http://127.0.0.1:8325/v3b.fal.media"
    assert document(RunnerResponse(200, {"image": CAT}), local)["payload"]["image"] == local + CAT.path


def test_an_inline_picture_is_in_the_payload() -> None:
    inline = MediaFile(CAT.recipe, CAT.path, inline=True)
    sent = webhook_body(ID, RunnerResponse(200, [inline]), MEDIA, {inline: "data:image/jpeg;base64,AAAA"})
    assert json.loads(sent)["payload"] == ["data:image/jpeg;base64,AAAA"]


def test_a_rejected_input_is_an_error_with_its_details() -> None:
    items = [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing", "input": {}}]
    assert document(rejected(items)) == {
        "error": "Invalid status code: 422",
        "gateway_request_id": ID,
        "payload": {"detail": items},
        "request_id": ID,
        "status": "ERROR",
    }


def test_a_model_error_is_an_error_with_its_details() -> None:
    sent = document(model_error("downstream_service_error"))
    assert (sent["status"], sent["error"]) == ("ERROR", "Invalid status code: 400")
    assert sent["payload"]["detail"][0]["type"] == "downstream_service_error"


def test_a_request_failure_is_an_error() -> None:
    sent = document(RequestFailure("request_timeout"))
    assert (sent["status"], sent["error"]) == ("ERROR", "Invalid status code: 504")
    assert sent["payload"] == {"detail": "Request timed out", "error_type": "request_timeout"}


@pytest.mark.parametrize("payload", [{"seed": math.inf}, [math.nan], "x" * MAX_PAYLOAD_BYTES])
def test_a_payload_that_is_not_json_or_too_large_has_a_payload_error(payload: JSON) -> None:
    sent = document(RunnerResponse(200, payload))
    assert (sent["payload"], sent["payload_error"]) == (None, NOT_SERIALIZABLE)
    assert (sent["status"], sent["error"]) == ("OK", None)


def test_a_failure_may_have_a_payload_error() -> None:
    sent = document(RunnerResponse(404, {"seen": math.inf}))
    assert (sent["status"], sent["error"]) == ("ERROR", "Invalid status code: 404")
    assert sent["payload_error"] == NOT_SERIALIZABLE
