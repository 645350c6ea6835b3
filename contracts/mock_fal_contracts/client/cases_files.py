"""Files: what is uploaded arrives, by whichever of fal's ways the client takes, and the key stays at home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mock_fal_contracts.client.case import ClientCase, Seen, case
from mock_fal_contracts.client.checks import fails, shown, succeeds
from mock_fal_contracts.client.jobs import BOTH, FILE_DOCS, HTTP, upload

_BYTES: Final = bytes(range(256)) * 4
_WAYS: Final = (
    "Presigned (storage/upload/initiate, then PUT) or with a token (storage/auth/token, then POST)."
)


def _url(seen: Seen) -> str:
    result = seen.answer.get("result")
    return result if isinstance(result, str) else ""


def _is_a_file_of_fal(seen: Seen) -> Iterator[str]:
    host = urlsplit(_url(seen)).hostname or ""
    if seen.ok and not host.endswith("fal.media"):
        yield f"the result is {shown(seen.answer.get('result'))}, expected access_url or file_url"


def _arrives(data: bytes, content_type: str = "") -> Any:
    def check(seen: Seen) -> Iterator[str]:
        yield from succeeds(seen)
        yield from _is_a_file_of_fal(seen)
        found, kind = seen.server.file(_url(seen)) if seen.ok else (data, content_type)
        if found != data:
            yield f"the file has {len(found)} bytes, expected the {len(data)} of the job, unchanged; send them raw"
        elif content_type and kind.partition(";")[0] != content_type:
            yield f"the file is of the type {kind!r}, expected {content_type!r}; declare it with the upload"

    return check


def _named(name: str) -> Any:
    def check(seen: Seen) -> Iterator[str]:
        yield from succeeds(seen)
        path = unquote(urlsplit(_url(seen)).path)
        if seen.ok and not path.endswith(name):
            yield f"the address ends in {path[-40:]!r}, expected it to end in {name!r}; send file_name"

    return check


def _presigned_bare(seen: Seen) -> Iterator[str]:
    for each in seen.to("upload"):
        given = each.request_header("authorization") or ""
        if given.lower().startswith("key "):
            yield f"{each.method} {each.host} carries the key, expected none; the address or the token is enough"
    if not seen.to("upload"):
        yield "nothing was sent to *.fal.media, expected the file there"


def _one_token(seen: Seen) -> Iterator[str]:
    if len(seen.to("token")) > 1:
        yield f"{len(seen.to('token'))} tokens were asked for, for 2 uploads, expected 1; keep it until expires_at"


def _passing(id: str, title: str, rule: Mapping[str, Any]) -> ClientCase:
    return case(
        f"files.{id}",
        title,
        "A failure that passes is waited out.",
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
        _WAYS,
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
        "Content-Type of the upload is that of the file.",
        FILE_DOCS,
        [upload(b"GIF89a", "image/gif", "a.gif")],
        [_arrives(b"GIF89a", "image/gif")],
    ),
    case(
        "files.name",
        "the file's name is kept",
        "file_name, or X-Fal-File-Name, ends the address.",
        FILE_DOCS,
        [upload(b"hello", "text/plain", "hello-7.txt")],
        [_named("hello-7.txt")],
    ),
    case(
        "files.name-space",
        "a name with spaces",
        "file_name is any text.",
        FILE_DOCS,
        [upload(b"hello", "text/plain", "my best cat.txt")],
        [_arrives(b"hello")],
    ),
    case(
        "files.name-unicode",
        "a name in any script",
        "file_name is any text; a header holds ASCII, so encode it.",
        HTTP,
        [upload(b"hello", "text/plain", "Zoë 猫.txt")],
        [_arrives(b"hello")],
    ),
    case(
        "files.empty",
        "a file without bytes",
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
        "the key stays at home",
        "The key goes to rest.fal.ai only, never to the CDN.",
        FILE_DOCS,
        [upload(b"hello", "text/plain", "hello.txt")],
        [_presigned_bare],
    ),
    case(
        "files.token-kept",
        "a token is used again",
        "A token lasts up to 30 days, as expires_at says.",
        FILE_DOCS,
        [upload(b"one", "text/plain", "1.txt"), upload(b"two", "text/plain", "2.txt")],
        [_arrives(b"two"), _one_token],
    ),
    case(
        "files.locked",
        "an account that is locked",
        "403: the detail says what to do.",
        "live captures, 2025-2026",
        [upload(b"hello", "text/plain", "hello.txt")],
        [fails(status=403, saying=("Exhausted balance",))],
        rules=["operation=upload account=locked", "operation=token account=locked"],
    ),
    _passing(
        "ingress",
        "502 of the ingress, once, to an upload",
        {"operation": "upload", "times": 1, "ingress": 502},
    ),
    _passing("429", "429, once, to an upload", {"operation": "upload", "times": 1, "status": 429}),
    case(
        "files.refused",
        "a CDN that doesn't take the file",
        "An upload that failed has no address.",
        HTTP,
        [upload(b"hello", "text/plain", "hello.txt")],
        [fails(status=400)],
        rules=["operation=upload status=400"],
    ),
]
