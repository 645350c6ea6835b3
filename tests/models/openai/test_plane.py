"""The OpenAI-shaped plane: files and streams of its requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mock_fal.errors import UnusableFile
from mock_fal.models.openai.plane import named_files, wants_stream
from tests.models.openai.calls import call

PICTURE = {"type": "image_url", "image_url": {"url": "https://a.test/1.png"}}
LOOK = {"model": "m", "messages": [{"role": "user", "content": [PICTURE]}]}


def missing(url: str, media: str) -> Any:
    raise UnusableFile("file_download_error")


def test_the_files_of_messages_are_named() -> None:
    [file] = named_files("chat/completions", LOOK)
    assert (file.url, file.media) == ("https://a.test/1.png", "image")
    given = [{"role": "user", "content": [{"type": "input_image", "image_url": "https://a.test/2.png"}]}]
    [file] = named_files("responses", {"model": "m", "input": given})
    assert file.url == "https://a.test/2.png"


@pytest.mark.parametrize("document", [None, [], {}, {"model": "m", "messages": 3}])
def test_an_invalid_request_names_no_files(document: Any) -> None:
    assert list(named_files("chat/completions", document)) == []
    assert list(named_files("embeddings", document)) == []


def test_a_file_that_cannot_be_used_is_an_error() -> None:
    response = call("chat/completions", LOOK, load_file=missing).response
    assert response.status == 400
    assert response.body["error"]["param"] == "messages[0].content[0].image_url.url"
    assert response.body["error"]["code"] == "file_download_error"


@pytest.mark.parametrize(
    ("path", "body", "wanted"),
    [
        ("chat/completions", {"stream": True}, True),
        ("responses", {"stream": True}, True),
        ("embeddings", {"stream": True}, False),
        ("responses", {"stream": None}, False),
        ("responses", {"stream": "yes"}, False),
        ("responses", [], False),
    ],
)
def test_a_stream_is_requested_in_the_body(path: str, body: Any, wanted: bool) -> None:
    assert wants_stream(path, json.dumps(body).encode()) is wanted
