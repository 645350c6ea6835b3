"""fal's WebSocket messages: the frames of HTTP over WebSocket, and realtime inputs and results."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]  # it brings no types

from mock_fal.errors import JSON, BadQuery
from mock_fal.requests.outcome import MediaFile, Outcome, RequestFailure
from mock_fal.web import wire

# fal: the largest number of waiting inputs (@fal-ai/client 1.10.1, fal_client 1.0.3: from 1 to 60).
# assumption: the default is the largest.
MAX_BUFFERING: Final = 60

# fal: sent before the socket is closed (fal SDK).
TIMEOUT: Final = '{"type":"x-fal-error","error":"TIMEOUT","reason":"no inputs, reconnect when needed!"}'

# fal: the message that @fal-ai/client 1.10.1 reads as an invalid token.
UNAUTHORIZED: Final = '{"status":"error","error":"Unauthorized"}'


# deviation: a realtime input is limited to this size; the live limit is unknown. Decoding takes 20 ms for the largest.
MAX_INPUT_BYTES: Final = 4 << 20


class InputFailed(Exception):
    """An input that ends the session; the text is sent to the client."""


# -- HTTP over WebSocket


def start(response: wire.AnyResponse, request_id: str) -> str:
    """The frame before a body. fal: its members and the case of header names (documentation, 2026)."""
    headers = {name.decode().title(): value.decode("latin-1") for name, value in response.raw_headers}
    return _text(type="start", request_id=request_id, status=response.status_code, headers=headers)


def end(response: wire.AnyResponse, request_id: str, first_byte_s: float) -> str:
    """The frame after a body. fal: its members (documentation, 2026)."""
    status, seconds = response.status_code, round(first_byte_s, 6)
    return _text(type="end", request_id=request_id, status=status, time_to_first_byte_seconds=seconds)


# -- realtime


def buffering(params: Mapping[str, str]) -> int:
    """The number of inputs that may wait. Raises BadQuery."""
    text = params.get("max_buffering", str(MAX_BUFFERING))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MAX_BUFFERING:
        raise BadQuery("max_buffering", text, f"a whole number from 1 to {MAX_BUFFERING}")
    return int(text)


def decode_input(message: bytes | str) -> bytes:
    """An input as JSON. Binary messages are msgpack, text messages JSON. Raises InputFailed."""
    if len(message) > MAX_INPUT_BYTES:
        raise InputFailed(f"an input of {len(message)} bytes; the limit is {MAX_INPUT_BYTES}")
    try:
        # assumption: text messages are accepted too; some apps do.
        document = json.loads(message) if isinstance(message, str) else msgpack.unpackb(message, raw=False)
        if not isinstance(document, dict):
            raise InputFailed(f"argument after ** must be a mapping, not {type(document).__name__}")
        return wire.encode(document, _data_uri)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise InputFailed(str(error) or type(error).__name__) from None


def with_bytes(body: JSON, files: Mapping[MediaFile, bytes], arguments: Mapping[str, JSON]) -> JSON:
    """A result with its pictures as bytes, and with the `request_id` of the input."""
    result = _with_bytes(body, files)
    # fal: a `request_id` in the input is returned (@fal-ai/client 1.10.1, `WithRequestId`).
    # assumption: every model returns it.
    if not isinstance(result, dict) or "request_id" not in arguments:
        return result  # an output of the user's own may be any JSON
    return {**result, "request_id": arguments["request_id"]}


def encode_result(result: JSON) -> bytes:
    """A result in msgpack. Raises InputFailed for values that msgpack can't encode, such as integers over 64 bits."""
    try:
        data: bytes = msgpack.packb(result, use_bin_type=True)
    except (ValueError, OverflowError) as error:
        raise InputFailed(str(error)) from None
    return data


def corrupted(message: bytes, kind: str) -> bytes:
    """A result as the directive `json=` says: `malformed`, `truncated` or `empty`; unchanged without one."""
    match kind:
        case "malformed":
            return b"\xc1" + message  # the one byte that msgpack never uses
        case "truncated":
            return message[: len(message) // 2]
        case "empty":
            return b""
    return message


def journal_response(result: JSON) -> wire.Reply:
    """A result as a response for the journal: JSON with the size of each picture in place of its bytes."""
    return wire.Reply(200, wire.encode(result, lambda data: f"<{len(data)} bytes>"), b"")


def timings(seconds: float) -> str:
    """The message with a result's duration. fal: it follows each result (fal SDK)."""
    return _text(type="x-fal-message", action="timings", timing=seconds)


def failure(reason: str) -> str:
    """The message before the socket is closed. fal: one error name for everything but idleness (fal SDK)."""
    return _text(type="x-fal-error", error="INTERNAL_ERROR", reason=reason)


def reason(outcome: Outcome) -> str:
    """The text of a failed result: a realtime error has no status."""
    if isinstance(outcome, RequestFailure):
        return outcome.detail
    detail = outcome.body["detail"]
    if isinstance(detail, str):
        return detail
    # fal: the text of pydantic's error (fal SDK). assumption: it has no model name and no last line.
    errors = [
        f"{'.'.join(map(str, error['loc'][1:]))}\n  {error['msg']} [type={error['type']}]" for error in detail
    ]
    return "\n".join([f"{len(errors)} validation error{'s' if len(errors) > 1 else ''}", *errors])


# fal: the four members of a flux-2/klein picture and their order, `content` first (live, 2026-06).
# assumption: pictures of the older models have the same members.
_METADATA: Final = ("content_type", "height", "width")


def _with_bytes(body: JSON, files: Mapping[MediaFile, bytes]) -> JSON:
    if isinstance(body, MediaFile):
        return files[body]
    if isinstance(body, list):
        return [_with_bytes(part, files) for part in body]
    if not isinstance(body, dict):
        return body
    picture = body.get("url") or body.get("content")
    if isinstance(picture, MediaFile):
        return {"content": files[picture], **{name: body[name] for name in _METADATA if name in body}}
    return {name: _with_bytes(part, files) for name, part in body.items()}


def _data_uri(value: Any) -> str:
    """Bytes in an input, as a data URI: JSON has no bytes."""
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is not allowed in an input")
    return f"data:application/octet-stream;base64,{b64encode(value).decode()}"


def _text(**members: JSON) -> str:
    return wire.encode(members).decode()
