"""Rules about what is sent to a model: its body, and the headers that ask something of the queue."""

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

# Larger ones belong into the storage.
MAX_DATA_URI: Final = 10_000_000

# Whole numbers beyond it are rounded by JavaScript, and by everything that reads JSON into doubles.
MAX_EXACT: Final = 2**53

# What other services call a field of fal's; what else is close to a known name is found by its letters.
_ELSEWHERE: Final = {
    "n": "num_images",
    "size": "image_size",
    "width": "image_size",
    "height": "image_size",
    "steps": "num_inference_steps",
    "cfg_scale": "guidance_scale",
    "cfg": "guidance_scale",
    "image": "image_url",
    "images": "image_urls",
    "text": "prompt",
    "format": "output_format",
}


def _objects(record: Record) -> list[Exchange]:
    return [each for each in record.calls if isinstance(each.input, dict)]


@rule(
    "body-json",
    "sends its input as JSON",
    "The body is the input as a JSON object, whatever its Content-Type says; forms are not read.",
    f"{QUEUE_API}; {ERRORS} (json_invalid)",
    about="model was called",
    of=lambda record: record.calls,
)
def body_json(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        if each.request_body and not isinstance(each.input, dict):
            kind = each.request_header("content-type") or "no Content-Type"
            yield Finding(
                f"the body of {each.method} {each.path} ({kind}) is no JSON object; the model refuses it with 422.",
                (each,),
            )


@rule(
    "body-unwrapped",
    "sends its input unwrapped",
    'The body is the input itself: {"prompt": …}. The clients\' "input" is theirs, and never on the wire.',
    QUEUE_API,
    about="model was called with an object",
    of=_objects,
)
def body_unwrapped(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        inner = next((name for name in ("input", "arguments") if isinstance(each.input.get(name), dict)), "")
        if inner and inner not in record.fields.get(each.endpoint, ()):
            yield Finding(
                f"the input stands within {inner!r}, where the model does not look for it; send the inner object.",
                (each,),
            )


@rule(
    "field-names",
    "names the fields of the model",
    "A model ignores fields that it doesn't know, in silence: a misspelt one changes nothing.",
    OPENAPI,
    about="model was called whose fields are known",
    of=lambda record: [each for each in _objects(record) if record.fields.get(each.endpoint)],
)
def field_names(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        known = record.fields[each.endpoint]
        for name in sorted(set(each.input) - known):
            meant = _meant(name, known)
            if meant and meant not in each.input:
                yield Finding(
                    f"{each.endpoint} has no field {name!r} and ignores it; did you mean {meant!r}?", (each,)
                )


def _meant(name: str, known: frozenset[str]) -> str:
    """The field that somebody may have meant, or nothing."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[-\s]", "_", name).lower()
    if snake in known:
        return snake
    if _ELSEWHERE.get(snake) in known:
        return _ELSEWHERE[snake]
    return next(iter(get_close_matches(snake, sorted(known), 1, 0.85)), "")


@rule(
    "seed",
    "repeats seeds to the last digit",
    "A seed is a whole number. Beyond 2**53 many languages round it, and the picture is another one.",
    "seeds of 64 bits in answers of fal's models, seen live; RFC 8259, section 6",
    about="seed was sent",
    of=lambda record: [each for each in _objects(record) if each.input.get("seed") is not None],
)
def seed(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        value = each.input["seed"]
        if isinstance(value, float) or (
            isinstance(value, int) and value > MAX_EXACT and float(value) == value
        ):
            yield Finding(
                f"the seed {json.dumps(value)} went through a floating-point number; keep seeds as whole numbers "
                "(in JavaScript: BigInt, or at most 2**53).",
                (each,),
            )


@rule(
    "data-uri",
    "uploads large files",
    "A data URI is for small files, up to about 10 MB; larger ones are uploaded and named by their URL.",
    FILES,
    about="file was sent as a data URI",
    of=lambda record: [each for each in _objects(record) if b'"data:' in each.request_body],
)
def data_uri(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        for name, value in _strings(each.input):
            size = len(value) * 3 // 4
            if value.startswith("data:") and size > MAX_DATA_URI:
                yield Finding(
                    f"{name} is a data URI with {size / 1e6:.0f} MB; upload the file first (fal_client.upload_file, "
                    "fal.storage.upload) and send its URL.",
                    (each,),
                )


@rule(
    "file-url",
    "names files that fal can reach",
    "A file of an input is a public URL, an uploaded file or a data URI; fal can't read this machine's disk.",
    FILES,
    about="input named a file",
    of=lambda record: [each for each in _objects(record) if list(_files(each.input))],
)
def file_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        for name, value in _files(each.input):
            if not _is_public(value):
                yield Finding(
                    f"{name} is {value[:80]!r}, which only this machine can read; upload the file and send its URL.",
                    (each,),
                )


def _files(document: Any) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in _strings(document) if re.search(r"_urls?(\.\d+)?$", name))


def _is_public(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "data" or parts.path.split("/")[1:2] in (["v3b.fal.media"], ["v3.fal.media"]):
        return True  # the latter: a file of the mock, as whoever asks it by its own address sees it
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
    "asks for a priority that there is",
    "X-Fal-Queue-Priority is normal or low; other values are ignored, nobody can jump the queue.",
    QUEUE_API,
    about="priority was asked for",
    of=lambda record: [
        each for each in record.calls if each.request_header("x-fal-queue-priority") is not None
    ],
)
def priority(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        given = each.request_header("x-fal-queue-priority") or ""
        if given.lower() not in ("normal", "low"):
            yield Finding(f"X-Fal-Queue-Priority is {given!r}, expected normal or low.", (each,))


_DEADLINES: Final = ("x-fal-request-start-timeout", "x-fal-request-timeout")


@rule(
    "start-timeout",
    "says its start deadline in seconds",
    "X-Fal-Request-Start-Timeout (and the older X-Fal-Request-Timeout) is a number of seconds above 0.1.",
    QUEUE_API,
    about="start deadline was set",
    of=lambda record: [
        each for each in record.calls if any(each.request_header(name) for name in _DEADLINES)
    ],
)
def start_timeout(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        for name in _DEADLINES:
            given = each.request_header(name)
            if given is not None and not _is_deadline(given):
                yield Finding(f"{name} is {given!r}, expected seconds, as in 30.", (each,))


def _is_deadline(text: str) -> bool:
    try:
        return 0.1 < float(text) < 1e7
    except ValueError:
        return False
