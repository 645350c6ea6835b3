"""What fal says over WebSockets: the frames of HTTP over WebSocket, and of realtime. Their names live here only."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]  # it brings no types

from mock_fal.errors import JSON, BadQuery
from mock_fal.requests.outcome import Outcome, Picture, RequestFailure
from mock_fal.web import wire

# fal: how many inputs may wait (@fal-ai/client 1.10.1, fal_client 1.0.3: from 1 to 60).
# assumption: how many may where nothing is asked for.
MOST_WAITING: Final = 60

# fal: sent before the socket is closed (fal SDK).
TIMEOUT: Final = '{"type":"x-fal-error","error":"TIMEOUT","reason":"no inputs, reconnect when needed!"}'

# fal: what @fal-ai/client 1.10.1 takes for a token that is no good.
UNAUTHORIZED: Final = '{"status":"error","error":"Unauthorized"}'


class Failed(Exception):
    """An input that ends the session; the text is what its sender is told."""


# -- HTTP over WebSocket


def start(response: wire.AnyResponse, request_id: str) -> str:
    """The frame before a body. fal: its members, and that headers are spelled so (documentation, 2026)."""
    headers = {name.decode().title(): value.decode("latin-1") for name, value in response.raw_headers}
    return _text(type="start", request_id=request_id, status=response.status_code, headers=headers)


def end(response: wire.AnyResponse, request_id: str, first_byte_s: float) -> str:
    """The frame behind a body. fal: its members (documentation, 2026)."""
    status, seconds = response.status_code, round(first_byte_s, 6)
    return _text(type="end", request_id=request_id, status=status, time_to_first_byte_seconds=seconds)


# -- realtime


def buffering(params: Mapping[str, str]) -> int:
    """How many inputs may wait. Raises BadQuery."""
    text = params.get("max_buffering", str(MOST_WAITING))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_WAITING:
        raise BadQuery("max_buffering", text, f"a whole number from 1 to {MOST_WAITING}")
    return int(text)


def read(message: bytes | str) -> bytes:
    """An input, in JSON as runners read it: msgpack in a binary message, JSON in a text. Raises Failed."""
    try:
        # assumption: that text is read too; some apps do.
        document = json.loads(message) if isinstance(message, str) else msgpack.unpackb(message, raw=False)
        if not isinstance(document, dict):
            raise Failed(f"argument after ** must be a mapping, not {type(document).__name__}")
        return wire.encode(document, _spelled)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise Failed(str(error) or type(error).__name__) from None


def with_bytes(body: JSON, files: Mapping[Picture, bytes], asked: Mapping[str, JSON]) -> JSON:
    """A result with its pictures as bytes, and with the name that the sender gave to the input."""
    result = _with_bytes(body, files)
    # fal: what stands there in an input comes back (@fal-ai/client 1.10.1, `WithRequestId`).
    # assumption: that every model does so.
    return {**result, "request_id": asked["request_id"]} if "request_id" in asked else result


def packed(result: JSON) -> bytes:
    """A result as it is sent. Raises Failed for what msgpack has no room for, such as a seed of more than 64 bits."""
    try:
        data: bytes = msgpack.packb(result, use_bin_type=True)
    except (ValueError, OverflowError) as error:
        raise Failed(str(error)) from None
    return data


def noted(result: JSON) -> wire.Reply:
    """A result as the journal keeps it: JSON, in which a picture is told by its size."""
    return wire.Reply(200, wire.encode(result, lambda data: f"<{len(data)} bytes>"), [])


def timings(seconds: float) -> str:
    """How long a result took. fal: a message of its own behind each (fal SDK)."""
    return _text(type="x-fal-message", action="timings", timing=seconds)


def failure(reason: str) -> str:
    """Why the socket is about to be closed. fal: the one word for all but idleness (fal SDK)."""
    return _text(type="x-fal-error", error="INTERNAL_ERROR", reason=reason)


def reason(outcome: Outcome) -> str:
    """What went wrong, in words: an error has no status here."""
    if isinstance(outcome, RequestFailure):
        return outcome.detail
    detail = outcome.body["detail"]
    if isinstance(detail, str):
        return detail
    # fal: the text of pydantic's error (fal SDK). assumption: the name of the model, left out here, and its last line.
    errors = [
        f"{'.'.join(map(str, each['loc'][1:]))}\n  {each['msg']} [type={each['type']}]" for each in detail
    ]
    return "\n".join([f"{len(errors)} validation error{'s' if len(errors) > 1 else ''}", *errors])


# fal: the four members that a picture of flux-2/klein has, `content` first, and their order (live, 2026-06).
# assumption: that those of the older models have them too.
_BESIDE: Final = ("content_type", "height", "width")


def _with_bytes(body: JSON, files: Mapping[Picture, bytes]) -> JSON:
    if isinstance(body, Picture):
        return files[body]
    if isinstance(body, list):
        return [_with_bytes(part, files) for part in body]
    if not isinstance(body, dict):
        return body
    picture = body.get("url") or body.get("content")
    if isinstance(picture, Picture):
        return {"content": files[picture], **{name: body[name] for name in _BESIDE}}
    return {name: _with_bytes(part, files) for name, part in body.items()}


def _spelled(value: Any) -> str:
    """Bytes in an input as a data URI, which is how pictures stand in JSON."""
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} has no place in an input")
    return f"data:application/octet-stream;base64,{b64encode(value).decode()}"


def _text(**members: JSON) -> str:
    return wire.encode(members).decode()
