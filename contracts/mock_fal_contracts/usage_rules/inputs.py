"""Rules about the input of a model call: its JSON body, and the headers for the queue."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import Record
from mock_fal_contracts.usage_rules.rule import ERRORS, FILES, OPENAPI, QUEUE_API, Finding, rule

# The size in bytes above which a file should be uploaded.
MAX_DATA_URI: Final = 10_000_000

# JavaScript, and every JSON parser that uses doubles, rounds larger integers.
MAX_EXACT: Final = 2**53

# Names that other services use for fields of fal. Misspelled names are found by their similarity.
_SYNONYMS: Final = {
    "n": "num_images",
    "size": "image_size",
    "width": "image_size",
    "height": "image_size",
    "steps": "num_inference_steps",
    "cfg_scale": "guidance_scale",
    "cfg": "guidance_scale",
    "image": "image_url",
    "images": "image_urls",
    "video": "video_url",
    "audio": "audio_url",
    "seconds": "duration",
    "ratio": "aspect_ratio",
    "text": "prompt",
    "format": "output_format",
}


def _objects(record: Record) -> list[Exchange]:
    return [exchange for exchange in record.calls if isinstance(exchange.input, dict)]


@rule(
    "body-json",
    "sends its input as JSON",
    "The body is the input as a JSON object, whatever its Content-Type; forms are not parsed.",
    f"{QUEUE_API}; {ERRORS} (json_invalid)",
    subject="model was called",
    select=lambda record: record.calls,
)
def body_json(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        if exchange.request_body and not isinstance(exchange.input, dict):
            content_type = exchange.request_header("content-type") or "no Content-Type"
            yield Finding(
                f"the body of {exchange.method} {exchange.path} ({content_type}) is not a JSON object; the model "
                "rejects it with 422.",
                (exchange,),
            )


@rule(
    "body-unwrapped",
    "sends its input without a wrapper",
    'The body is the input itself: {"prompt": …}. "input" is an argument of the client libraries, not a field of '
    "the body.",
    QUEUE_API,
    subject="model was called with an object",
    select=_objects,
)
def body_unwrapped(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        inner = next(
            (name for name in ("input", "arguments") if isinstance(exchange.input.get(name), dict)), ""
        )
        if inner and inner not in record.fields.get(exchange.endpoint, ()):
            yield Finding(
                f"the input is inside {inner!r}, which the model does not read; send the inner object.",
                (exchange,),
            )


@rule(
    "field-names",
    "uses field names that the model has",
    "A model silently ignores unknown fields, so a misspelled field has no effect.",
    OPENAPI,
    subject="model with known fields was called",
    select=lambda record: [exchange for exchange in _objects(record) if record.fields.get(exchange.endpoint)],
)
def field_names(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        known = record.fields[exchange.endpoint]
        for name in sorted(set(exchange.input) - known):
            suggestion = _suggestion(name, known)
            if suggestion and suggestion not in exchange.input:
                yield Finding(
                    f"{exchange.endpoint} has no field {name!r} and ignores it; did you mean {suggestion!r}?",
                    (exchange,),
                )


def _suggestion(name: str, known: frozenset[str]) -> str:
    """The known field that an unknown name probably stands for, or an empty string."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[-\s]", "_", name).lower()
    if snake in known:
        return snake
    if _SYNONYMS.get(snake) in known:
        return _SYNONYMS[snake]
    return next(iter(get_close_matches(snake, sorted(known), 1, 0.85)), "")


@rule(
    "seed",
    "keeps every digit of a seed",
    "A seed is an integer. Many languages round integers above 2**53, and the rounded seed gives another picture.",
    "seeds of 64 bits in answers of fal's models, seen live; RFC 8259, section 6",
    subject="seed was sent",
    select=lambda record: [
        exchange for exchange in _objects(record) if exchange.input.get("seed") is not None
    ],
)
def seed(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        value = exchange.input["seed"]
        if isinstance(value, float) or (
            isinstance(value, int) and value > MAX_EXACT and float(value) == value
        ):
            yield Finding(
                f"the seed {json.dumps(value)} was converted to a floating-point number; keep seeds as integers (in "
                "JavaScript: BigInt, or at most 2**53).",
                (exchange,),
            )


@rule(
    "data-uri",
    "uploads large files",
    "A data URI is for small files, up to about 10 MB; a larger file is uploaded, and the input has its URL.",
    FILES,
    subject="file was sent as a data URI",
    select=lambda record: [exchange for exchange in _objects(record) if b'"data:' in exchange.request_body],
    is_advice=True,
)
def data_uri(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        for name, value in _strings(exchange.input):
            size = len(value) * 3 // 4
            if value.startswith("data:") and size > MAX_DATA_URI:
                yield Finding(
                    f"{name} is a data URI of {size / 1e6:.0f} MB; upload the file first (fal_client.upload_file, "
                    "fal.storage.upload) and send its URL.",
                    (exchange,),
                )


@rule(
    "file-url",
    "sends URLs of files that fal can download",
    "A file in the input is a public URL, the URL of an uploaded file or a data URI; fal can't read local files.",
    FILES,
    subject="input had a file",
    select=lambda record: [exchange for exchange in _objects(record) if list(_files(exchange.input))],
)
def file_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        for name, value in _files(exchange.input):
            if not _is_public(value):
                yield Finding(
                    f"{name} is {value[:80]!r}, which fal can't download; upload the file and send its URL.",
                    (exchange,),
                )


def _files(document: Any) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in _strings(document) if re.search(r"_urls?(\.\d+)?$", name))


def _is_public(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme == "data" or parts.path.split("/")[1:2] in (["v3b.fal.media"], ["v3.fal.media"]):
        return True  # a path on the mock: the file URL that a program with the mock as its base URL gets
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host


def _strings(document: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a document, with the path to it."""
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, dict):
        for name, value in document.items():
            yield from _strings(value, f"{path}.{name}" if path else str(name))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from _strings(value, f"{path}.{number}")


@rule(
    "priority",
    "requests a valid priority",
    "X-Fal-Queue-Priority is normal or low; other values are ignored, and no value is higher than normal.",
    QUEUE_API,
    subject="priority was requested",
    select=lambda record: [
        exchange for exchange in record.calls if exchange.request_header("x-fal-queue-priority") is not None
    ],
)
def priority(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        value = exchange.request_header("x-fal-queue-priority") or ""
        if value.lower() not in ("normal", "low"):
            yield Finding(f"X-Fal-Queue-Priority is {value!r}, expected normal or low.", (exchange,))


_DEADLINES: Final = ("x-fal-request-start-timeout", "x-fal-request-timeout")


@rule(
    "start-timeout",
    "sets its start deadline in seconds",
    "X-Fal-Request-Start-Timeout (and the older X-Fal-Request-Timeout) is a number of seconds above 0.1.",
    QUEUE_API,
    subject="start deadline was set",
    select=lambda record: [
        exchange for exchange in record.calls if any(exchange.request_header(name) for name in _DEADLINES)
    ],
)
def start_timeout(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        for name in _DEADLINES:
            value = exchange.request_header(name)
            if value is not None and not _is_deadline(value):
                yield Finding(f"{name} is {value!r}, expected a number of seconds, such as 30.", (exchange,))


def _is_deadline(text: str) -> bool:
    try:
        return 0.1 < float(text) < 1e7
    except ValueError:
        return False
