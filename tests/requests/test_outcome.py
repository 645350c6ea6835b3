from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import (
    Picture,
    RequestFailure,
    RunnerResponse,
    addresses,
    model_error,
    pictures_in,
    rejected,
)


def picture(index: int) -> Picture:
    return Picture(Recipe("fal-ai/flux/dev", "a cat", 7, 512, 512, index), f"/files/b/{index}.jpg")


FIRST, SECOND = picture(0), picture(1)


@pytest.mark.parametrize(
    "body",
    [
        [FIRST, SECOND],
        {"images": [{"url": FIRST, "width": 512}, {"url": SECOND}], "seed": 7},
        {"image": FIRST, "more": {"mask": [[SECOND]]}},
    ],
)
def test_the_pictures_of_a_body_come_in_their_order(body: JSON) -> None:
    assert list(pictures_in(body)) == [FIRST, SECOND]


@pytest.mark.parametrize("body", [None, "text", 5, [], {}, {"detail": [{"loc": ["body"]}]}])
def test_a_body_may_be_without_pictures(body: JSON) -> None:
    assert list(pictures_in(body)) == []


def test_a_body_may_be_a_picture() -> None:
    assert list(pictures_in(FIRST)) == [FIRST]


def test_a_picture_gives_way_to_its_address_or_to_itself() -> None:
    inline = replace(SECOND, inline=True)
    body = {"images": [{"url": FIRST}, {"url": inline}], "seed": 7}
    write = addresses("https://v3b.fal.media", {inline: "data:image/jpeg;base64,"})
    assert json.loads(json.dumps(body, default=write)) == {
        "images": [{"url": "https://v3b.fal.media/files/b/0.jpg"}, {"url": "data:image/jpeg;base64,"}],
        "seed": 7,
    }
    assert body["images"] == [{"url": FIRST}, {"url": inline}]


def test_a_picture_is_written_into_json_as_its_address_or_itself() -> None:
    inline = replace(SECOND, inline=True)
    write = addresses("https://v3b.fal.media", {inline: "data:image/jpeg;base64,"})
    assert json.dumps([FIRST, inline], default=write) == json.dumps(
        ["https://v3b.fal.media/files/b/0.jpg", "data:image/jpeg;base64,"]
    )


def test_what_has_no_place_in_json_is_not_written() -> None:
    with pytest.raises(TypeError, match="has no place in JSON"):
        json.dumps([object()], default=addresses("", {}))


def test_a_rejected_input_costs_nothing() -> None:
    assert rejected([{"type": "missing"}]) == RunnerResponse(
        422, {"detail": [{"type": "missing"}]}, billable_units=0
    )


def test_a_model_error_is_written_as_fal_writes_it() -> None:
    [item] = model_error("image_too_small", {"width": 1}).body["detail"]
    assert list(item.items()) == [
        ("loc", ["body"]),
        ("msg", "Image too small"),
        ("type", "image_too_small"),
        ("url", "https://docs.fal.ai/errors#image_too_small"),
        ("ctx", {"min_height": 64, "min_width": 64}),
        ("input", {"width": 1}),
    ]


def test_a_model_error_without_a_context_has_no_ctx() -> None:
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
def test_every_model_error_is_an_answer_that_costs_nothing(error_type: str) -> None:
    response = model_error(error_type)
    assert response.status == MODEL_ERRORS[error_type].status
    assert response.needs_retry is (response.status != 422)
    assert response.billable_units == 0


def test_one_answer_does_not_change_the_next() -> None:
    model_error("image_too_small").body["detail"][0]["ctx"].clear()
    model_error("image_too_small").body["detail"][0]["loc"].clear()
    [item] = model_error("image_too_small").body["detail"]
    assert (item["loc"], item["ctx"]) == (["body"], {"min_height": 64, "min_width": 64})


@pytest.mark.parametrize("error_type", REQUEST_ERRORS)
def test_every_request_failure_knows_its_row(error_type: str) -> None:
    assert RequestFailure(error_type).kind is REQUEST_ERRORS[error_type]
