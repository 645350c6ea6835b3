"""The jobs of the catalogue in the form that drivers read, and the names of the sources of requirements."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from mock_fal_contracts.client.driver import Job
from mock_fal_contracts.client.observation import Observation

ENDPOINT: Final = "fal-ai/flux/schnell"
REALTIME: Final = "fal-ai/fast-lcm-diffusion"
INPUT: Final = {"prompt": "a cat", "seed": 7}

QUEUE_DOCS: Final = "fal's Queue API documentation, 2026"
RUN_DOCS: Final = "fal's Synchronous API documentation, 2026"
ERROR_DOCS: Final = "fal's documentation of errors, 2026"
STREAM_DOCS: Final = "fal's documentation of streaming, 2026"
WEBHOOK_DOCS: Final = "fal's documentation of webhooks, 2026"
FILE_DOCS: Final = "fal's documentation of its CDN, 2026"
LIVE: Final = "live captures, 2025-2026"
BOTH: Final = "fal_client 1.0.3 and @fal-ai/client 1.10.1"
HTTP: Final = "HTTP (RFC 9110)"
SSE: Final = "the HTML standard, Server-sent events"
JSON_RFC: Final = "JSON (RFC 8259)"


def _with_input(op: str) -> Callable[..., Job]:
    def job(input: Any = None, *, endpoint: str = ENDPOINT, **options: Any) -> Job:
        return {
            "op": op,
            "endpoint": endpoint,
            "input": INPUT if input is None else input,
            "options": options,
        }

    job.__doc__ = f"The job `{op}`, with an input and options."
    return job


run = _with_input("run")
submit = _with_input("submit")
subscribe = _with_input("subscribe")
stream = _with_input("stream")


def realtime(inputs: list[Any], *, endpoint: str = REALTIME, **options: Any) -> Job:
    """The job `realtime`: each input is sent after the result of the one before it."""
    return {"op": "realtime", "endpoint": endpoint, "inputs": inputs, "options": options}


def about(op: str, request_id: str, *, endpoint: str = ENDPOINT, **options: Any) -> Job:
    """The job `status`, `result`, `cancel` or `stream_status`, about an existing request."""
    return {"op": op, "endpoint": endpoint, "request_id": request_id, "options": options}


def about_new(op: str, directive: str, **options: Any) -> Callable[[Observation], Job]:
    """The same, about a request that is submitted just before with this directive in its prompt."""
    return lambda observation: about(op, observation.server.submit(f"a cat [mock: {directive}]"), **options)


def upload(data: bytes, content_type: str, file_name: str) -> Job:
    """The job `upload`."""
    encoded = base64.b64encode(data).decode()
    return {"op": "upload", "data_base64": encoded, "content_type": content_type, "file_name": file_name}
