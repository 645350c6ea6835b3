from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import (
    MediaFile,
    RequestFailure,
    RunnerResponse,
    media_files,
    media_urls,
    model_error,
    rejected,
)


def picture(index: int) -> MediaFile:
    return MediaFile(Recipe("fal-ai/flux/dev", "a cat", 7, 512, 512, index), f"/files/b/{index}.jpg")


FIRST, SECOND = picture(0), picture(1)


@pytest.mark.parametrize(
    "body",
    [
        [FIRST, SECOND],
        {"images": [{"url": FIRST, "width": 512}, {"url": SECOND}], "seed": 7},
        {"image": FIRST, "more": {"mask": [[SECOND]]}},
    ],
)
def test_the_pictures_of_a_body_are_found_in_order(body: JSON) -> None:
    assert list(media_files(body)) == [FIRST, SECOND]


@pytest.mark.parametrize("body", [None, "text", 5, [], {}, {"detail": [{"loc": ["body"]}]}])
def test_a_body_may_have_no_pictures(body: JSON) -> None:
    assert list(media_files(body)) == []


def test_a_body_may_be_a_picture() -> None:
    assert list(media_files(FIRST)) == [FIRST]


def test_a_picture_is_replaced_by_its_url_or_data_uri() -> None:
    inline = replace(SECOND, inline=True)
    body = {"images": [{"url": FIRST}, {"url": inline}], "seed": 7}
    write = media_urls("https://v3b.fal.media", {inline: "data:image/jpeg;base64,"})
    assert json.loads(json.dumps(body, default=write)) == {
        "images": [{"url": "https://v3b.fal.media/files/b/0.jpg"}, {"url": "data:image/jpeg;base64,"}],
        "seed": 7,
    }
    assert body["images"] == [{"url": FIRST}, {"url": inline}]


def test_a_body_may_be_a_list_of_pictures() -> None:
    inline = replace(SECOND, inline=True)
    write = media_urls("https://v3b.fal.media", {inline: "data:image/jpeg;base64,"})
    assert json.dumps([FIRST, inline], default=write) == json.dumps(
        ["https://v3b.fal.media/files/b/0.jpg", "data:image/jpeg;base64,"]
    )


def test_a_value_that_is_not_json_is_rejected() -> None:
    with pytest.raises(TypeError, match="is not JSON"):
        json.dumps([object()], default=media_urls("", {}))


def test_a_rejected_input_costs_nothing() -> None:
    assert rejected([{"type": "missing"}]) == RunnerResponse(
        422, {"detail": [{"type": "missing"}]}, billable_units=0
    )


def test_a_model_error_has_the_keys_of_fal_in_order() -> None:
    [item] = model_error("image_too_small", {"width": 1}).body["detail"]
    assert list(item.items()) == [
        ("loc", ["body"]),
        ("msg", "Image too small"),
        ("type", "image_too_small"),
        ("url", "https://docs.fal.ai/errors#image_too_small"),
        ("ctx", {"min_height": 64, "min_width": 64}),
        ("input", {"width": 1}),
    ]


def test_a_model_error_without_ctx_omits_the_key() -> None:
    [item] = model_error("content_policy_violation", "a cat").body["detail"]
    assert list(item.items()) == [
        ("loc", ["body", "prompt"]),
        (
            "msg",
            "The content could not be processed because it contained material flagged by a content checker.",
        ),
        ("type", "content_policy_violation"),
        ("url", "https://docs.fal.ai/errors#content_policy_violation"),
        ("input", "a cat"),
    ]


@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_every_model_error_is_a_response_that_costs_nothing(error_type: str) -> None:
    response = model_error(error_type)
    assert response.status == MODEL_ERRORS[error_type].status
    assert response.needs_retry is (response.status != 422)
    assert response.billable_units == 0


def test_changing_a_response_does_not_change_the_next_one() -> None:
    model_error("image_too_small").body["detail"][0]["ctx"].clear()
    model_error("image_too_small").body["detail"][0]["loc"].clear()
    [item] = model_error("image_too_small").body["detail"]
    assert (item["loc"], item["ctx"]) == (["body"], {"min_height": 64, "min_width": 64})


@pytest.mark.parametrize("error_type", REQUEST_ERRORS)
def test_every_request_failure_has_its_documented_kind(error_type: str) -> None:
    assert RequestFailure(error_type).kind is REQUEST_ERRORS[error_type]
