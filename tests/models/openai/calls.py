"""Requests to the OpenAI-shaped plane, without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mock_fal.models.job import Job, RunnerOutput
from mock_fal.models.openai.plane import run
from mock_fal.requests.outcome import MediaFile

# The moment of all requests, and their seed.
NOW, SEED = 1_800_000_000.5, 0xABC


def call(
    path: str,
    body: Any,
    *,
    streamed: bool = False,
    load_file: Callable[[str, str], Any] = lambda url, media: None,
) -> RunnerOutput:
    """The output of a request to a path of the plane."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    job = Job(
        data,
        lambda seed_input: SEED,
        lambda recipe, inline: MediaFile(recipe, "", inline),
        1.0,
        load_file=load_file,
        streamed=streamed,
        now=NOW,
    )
    return run(path, job)


def error_of(path: str, body: Any) -> tuple[str, str | None, str | None]:
    """Message, field and code of the error of a request."""
    response = call(path, body).response
    assert response.status == 400
    assert response.billable_units == 0
    error = response.body["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["type"] == "invalid_request_error"
    return error["message"], error["param"], error["code"]
