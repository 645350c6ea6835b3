"""Outputs of the user's own with the official clients, unmodified."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import fal_client
import httpx
import pytest

from mock_fal import Account, File, MockFal
from mock_fal.media.probe import probe
from tests.clients.programs import Node

APP = "me/my-app"


def echo(input: Any) -> Any:
    return {"echo": input}


def test_python_gets_an_output_in_every_way(mock_fal: Account) -> None:
    mock_fal.respond(APP, echo)
    arguments = {"text": "hello"}
    expected = {"echo": arguments}
    assert fal_client.subscribe(APP, arguments) == expected
    assert fal_client.run(APP, arguments) == expected
    assert list(fal_client.stream(APP, arguments)) == [expected]
    assert asyncio.run(fal_client.subscribe_async(APP, arguments)) == expected
    with fal_client.realtime(APP, use_jwt=False) as connection:
        connection.send(arguments)
        assert connection.recv() == expected


def test_a_webhook_brings_the_output(mock_fal: Account) -> None:
    mock_fal.respond(APP, {"text": "hello"})
    fal_client.submit(APP, {}, webhook_url=mock_fal.webhooks.url)
    mock_fal.clock.advance(60)
    (webhook,) = mock_fal.webhooks.wait_for(1)
    assert webhook.verified and webhook.json["payload"] == {"text": "hello"}


def test_the_files_of_an_output_are_real_media(mock_fal: Account, tmp_path: Path) -> None:
    (tmp_path / "cat.txt").write_text("meow")
    mock_fal.respond(
        "fal-ai/*",
        {
            "video": File("video", duration_s=2, width=320, height=240),
            "audio_url": File("audio", duration_s=1.5, format="wav").url,
            "transcript": File(tmp_path / "cat.txt"),
        },
    )
    result = fal_client.subscribe("fal-ai/kling-video/v2/master/text-to-video", {"prompt": "a cat"})
    video = probe(httpx.get(result["video"]["url"]).content)
    assert video is not None
    assert (video.kind, video.width, video.height) == ("video", 320, 240)
    assert video.duration_s == pytest.approx(2)
    sound = probe(httpx.get(result["audio_url"]).content)
    assert sound is not None
    assert sound.kind == "audio"
    assert sound.duration_s == pytest.approx(1.5, abs=0.01)
    text = httpx.get(result["transcript"]["url"])
    assert (text.text, text.headers["content-type"]) == ("meow", "text/plain")


def test_a_failing_callable_raises_in_the_program(mock_fal: Account) -> None:
    mock_fal.respond(APP, lambda input: input["missing"])
    with pytest.raises(fal_client.FalClientHTTPError) as error:
        fal_client.subscribe(APP, {})
    assert (error.value.status_code, error.value.error_type) == (500, None)
    assert mock_fal.requests[0].warning.endswith("<lambda> raised KeyError: 'missing'")


def test_a_callable_may_call_another_model(mock_fal: Account) -> None:
    mock_fal.respond("me/inner", {"text": "hello"})
    mock_fal.respond(APP, lambda input: fal_client.run("me/inner", input))
    assert fal_client.run(APP, {}) == {"text": "hello"}


def test_an_output_for_all_accounts(mock_fal: Account, mock_fal_server: MockFal) -> None:
    mock_fal_server.respond(APP, {"text": "hello"})
    assert fal_client.run(APP, {}) == {"text": "hello"}
    mock_fal.respond(APP, {"text": "mine"}, times=1, billed=3)
    assert [fal_client.run(APP, {})["text"] for _ in range(2)] == ["mine", "hello"]


def test_a_reset_removes_the_outputs_of_an_account(mock_fal: Account) -> None:
    mock_fal.respond(APP, {})
    mock_fal.reset()
    with pytest.raises(fal_client.FalClientHTTPError):
        fal_client.run(APP, {})


def test_javascript_gets_an_output_in_every_way(node: Node, mock_fal: Account) -> None:
    mock_fal.respond(APP, {"text": "hello", "image": File("image", width=64, height=48)})
    output = node("stub.mjs", APP)
    assert [result["text"] for result in output["results"]] == ["hello"] * 4
    assert output["downloaded"] == "image/jpeg"
