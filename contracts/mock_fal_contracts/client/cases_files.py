"""Cases of files: uploads arrive unchanged, by any of fal's upload methods, and the key is not sent to the CDN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mock_fal_contracts.client.case import Check, ClientCase, case
from mock_fal_contracts.client.checks import fails, shown, succeeds
from mock_fal_contracts.client.jobs import BOTH, FILE_DOCS, HTTP, upload
from mock_fal_contracts.client.observation import Observation

_BYTES: Final = bytes(range(256)) * 4
_METHODS: Final = (
    "Presigned (storage/upload/initiate, then PUT) or with a token (storage/auth/token, then POST)."
)


def _url(observation: Observation) -> str:
    result = observation.answer.get("result")
    return result if isinstance(result, str) else ""


def _is_on_the_cdn(observation: Observation) -> Iterator[str]:
    host = urlsplit(_url(observation)).hostname or ""
    if observation.ok and not host.endswith("fal.media"):
        yield f"the result is {shown(observation.answer.get('result'))}, expected access_url or file_url"


def _arrives(data: bytes, content_type: str = "") -> Check:
    def check(observation: Observation) -> Iterator[str]:
        yield from succeeds(observation)
        yield from _is_on_the_cdn(observation)
        if not observation.ok:
            return
        stored, stored_type = observation.server.file(_url(observation))
        if stored != data:
            yield f"the file has {len(stored)} bytes, expected the {len(data)} of the job, unchanged; send them raw"
        elif content_type and stored_type.partition(";")[0] != content_type:
            yield f"the file has the type {stored_type!r}, expected {content_type!r}; declare it in the upload"

    return check


def _has_name(name: str) -> Check:
    def check(observation: Observation) -> Iterator[str]:
        yield from succeeds(observation)
        path = unquote(urlsplit(_url(observation)).path)
        if observation.ok and not path.endswith(name):
            yield f"the URL ends in {path[-40:]!r}, expected it to end in {name!r}; send file_name"

    return check


def _uploads_without_key(observation: Observation) -> Iterator[str]:
    uploads = observation.requests("upload")
    for exchange in uploads:
        authorization = exchange.request_header("authorization") or ""
        if authorization.lower().startswith("key "):
            yield f"{exchange.method} {exchange.host} carries the key, expected none; the URL or a token suffices"
    if not uploads:
        yield "nothing was sent to *.fal.media, expected the file there"


def _one_token(observation: Observation) -> Iterator[str]:
    count = len(observation.requests("token"))
    if count > 1:
        yield f"{count} tokens were requested for 2 uploads, expected 1; reuse it until expires_at"


def _transient(id: str, title: str, rule: Mapping[str, Any]) -> ClientCase:
    return case(
        f"files.{id}",
        title,
        "A transient failure is retried.",
        BOTH,
        [upload(b"hello", "text/plain", "hello.txt")],
        [_arrives(b"hello")],
        rules=[rule],
        slow_s=2,
    )


CASES: Final = [
    case(
        "files.upload",
        "a file is uploaded",
        _METHODS,
        FILE_DOCS,
        [upload(b"hello", "text/plain", "hello.txt")],
        [_arrives(b"hello")],
    ),
    case(
        "files.bytes",
        "all bytes arrive",
        "The body is the file, raw.",
        FILE_DOCS,
        [upload(_BYTES, "application/octet-stream", "all.bin")],
        [_arrives(_BYTES)],
    ),
    case(
        "files.type",
        "the content type is kept",
        "The Content-Type of the upload is that of the file.",
        FILE_DOCS,
        [upload(b"GIF89a", "image/gif", "a.gif")],
        [_arrives(b"GIF89a", "image/gif")],
    ),
    case(
        "files.name",
        "the file name is kept",
        "The URL ends in file_name, or X-Fal-File-Name.",
        FILE_DOCS,
        [upload(b"hello", "text/plain", "hello-7.txt")],
        [_has_name("hello-7.txt")],
    ),
    case(
        "files.name-space",
        "a file name with spaces",
        "file_name is any text.",
        FILE_DOCS,
        [upload(b"hello", "text/plain", "my best cat.txt")],
        [_arrives(b"hello")],
    ),
    case(
        "files.name-unicode",
        "a Unicode file name",
        "file_name is any text; a header contains only ASCII, so encode it.",
        HTTP,
        [upload(b"hello", "text/plain", "Zoë 猫.txt")],
        [_arrives(b"hello")],
    ),
    case(
        "files.empty",
        "an empty file",
        "A file may be empty.",
        HTTP,
        [upload(b"", "text/plain", "empty.txt")],
        [_arrives(b"")],
    ),
    case(
        "files.large",
        "a file of a megabyte",
        "The body is the file, raw.",
        FILE_DOCS,
        [upload(_BYTES * 1024, "image/png", "large.png")],
        [_arrives(_BYTES * 1024)],
    ),
    case(
        "files.key",
        "the key is not sent to the CDN",
        "The key goes to rest.fal.ai only, never to the CDN.",
        FILE_DOCS,
        [upload(b"hello", "text/plain", "hello.txt")],
        [_uploads_without_key],
    ),
    case(
        "files.token-kept",
        "a token is reused",
        "A token is valid for up to 30 days, until expires_at.",
        FILE_DOCS,
        [upload(b"one", "text/plain", "1.txt"), upload(b"two", "text/plain", "2.txt")],
        [_arrives(b"two"), _one_token],
    ),
    case(
        "files.locked",
        "a locked account",
        "403: detail says what to do.",
        "live captures, 2025-2026",
        [upload(b"hello", "text/plain", "hello.txt")],
        [fails(status=403, saying=("Exhausted balance",))],
        rules=["operation=upload account=locked", "operation=token account=locked"],
    ),
    _transient(
        "ingress",
        "one 502 of the ingress to an upload",
        {"operation": "upload", "times": 1, "ingress": 502},
    ),
    _transient("429", "one 429 to an upload", {"operation": "upload", "times": 1, "status": 429}),
    case(
        "files.refused",
        "a CDN that rejects the file",
        "A failed upload has no URL.",
        HTTP,
        [upload(b"hello", "text/plain", "hello.txt")],
        [fails(status=400)],
        rules=["operation=upload status=400"],
    ),
]
