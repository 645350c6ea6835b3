"""What fal's storage reads and answers: its JSON, its headers, its addresses. Their names live in this file only."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from mock_fal.accounts.acl import Acl, Decision, Terms
from mock_fal.accounts.signed_tokens import LINK_S, TOKEN_S
from mock_fal.emulator import SubmitOptions
from mock_fal.errors import JSON, BadUpload, InvalidStorageType
from mock_fal.files.file_name import BINARY
from mock_fal.files.file_store import Upload
from mock_fal.web.http_request import HttpRequest, Links
from mock_fal.web.wire import LIFECYCLE, Reply, reply

# What may stand in a Content-Type of ours, as that of a file that somebody uploaded.
_MEDIA_TYPE: Final = re.compile(r"[\w!#$&^.+-]{1,64}/[\w!#$&^.+-]{1,64}(\s*;[ -~]{0,100})?", re.ASCII)


# -- what is asked


def document(http_request: HttpRequest) -> dict[str, Any]:
    """The JSON object of a body; an empty body counts as an empty one. Raises BadUpload."""
    try:
        seen = json.loads(http_request.body or b"{}")
    except (ValueError, RecursionError):
        raise BadUpload("the body is no JSON", 422) from None
    return _object(seen, "the body")


def check_storage_type(http_request: HttpRequest) -> None:
    """Raises InvalidStorageType for any but the one there is."""
    # fal: without a name it is this one too (many scripts); `gcs` is answered with 400 (reported, 2026).
    if http_request.params.get("storage_type", "fal-cdn-v3") != "fal-cdn-v3":
        raise InvalidStorageType


def named_file(body: Mapping[str, JSON]) -> tuple[str, str]:
    """The name and the type of a file that is announced."""
    # assumption: what becomes of an announcement without one of them.
    return _text(body, "file_name", ""), media_type(_text(body, "content_type", BINARY))


def media_type(text: str) -> str:
    """A content type that can be answered with: a foreign one may hold anything."""
    return text if _MEDIA_TYPE.fullmatch(text) else BINARY


def file_name(http_request: HttpRequest) -> str:
    """The name that a header gives to a file."""
    name = http_request.headers.get(b"x-fal-file-name", b"")
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def terms(http_request: HttpRequest) -> Terms:
    """How long a file is to live, and who may read it. Raises BadUpload."""
    text = next((http_request.headers[name] for name in LIFECYCLE if name in http_request.headers), b"{}")
    try:
        wished = _object(json.loads(text), "the object lifecycle")
    except (ValueError, RecursionError):
        raise BadUpload("the object lifecycle is no JSON", 422) from None
    lives_s = _seconds(wished, "expiration_duration_seconds", math.inf)
    return Terms(lives_s, acl(_object(wished.get("initial_acl") or {}, "initial_acl")))


def with_terms(options: SubmitOptions, http_request: HttpRequest) -> SubmitOptions:
    """What is asked of the queue, and of the files that come out. Raises BadUpload."""
    # assumption: what the live service makes of a header that can't be read.
    return replace(options, terms=terms(http_request))


def acl(body: Mapping[str, JSON]) -> Acl:
    """Who may read a file. Raises BadUpload."""
    rules = body.get("rules") or []
    if not isinstance(rules, list):
        raise BadUpload(f"rules is {rules!r}, expected a list", 422)
    read = [_object(rule, "a rule") for rule in rules]
    default = _decision(body, "default") if body.get("default") is not None else Decision.ALLOW
    return Acl(default, tuple((_text(rule, "user"), _decision(rule, "decision")) for rule in read))


def token_s(body: Mapping[str, JSON]) -> float:
    """How long a CDN token is to last."""
    return _seconds(body, "expiration_seconds", TOKEN_S)


def link_s(body: Mapping[str, JSON]) -> float:
    """How long a signed link is to last. Raises BadUpload, also for a scope that there is not."""
    if body.get("scope", ["read"]) != ["read"]:
        raise BadUpload(f"scope is {body['scope']!r}, expected ['read']", 422)
    return _seconds(body, "duration", LINK_S)


def parts(body: Mapping[str, JSON]) -> list[tuple[int, str]]:
    """The list of parts, in any order: the Python client's is in the order in which they were done."""
    listed = body.get("parts")
    if not isinstance(listed, list):
        raise BadUpload("parts is missing, expected a list")
    read = []
    for part in listed:
        number = _object(part, "a part").get("partNumber")
        if not isinstance(number, int) or isinstance(number, bool):
            raise BadUpload(f"partNumber is {number!r}, expected a whole number")
        read.append((number, _text(part, "etag")))
    return read


def path_of(http_request: HttpRequest) -> str:
    """The path of the file whose address stands in the query; any of the addresses by which we are reached."""
    path = urlsplit(http_request.params.get("url", "")).path
    return unquote(path[path.find("/files/") :] if "/files/" in path else path)


# -- what is answered


def url(path: str, links: Links) -> str:
    """The address of a file."""
    return links.media + quote(path)


def token(text: str, expires_at: float, links: Links) -> Reply:
    """A CDN token. The Python client needs a moment with an offset."""
    moment = datetime.fromtimestamp(expires_at, UTC).isoformat(timespec="microseconds")
    body = {"token": text, "token_type": "Bearer", "base_url": links.media, "expires_at": moment}
    return reply(200, body)


def promised(upload: Upload, signature: str, links: Links) -> Reply:
    """Where to upload, and where the file will be."""
    # assumption: the names in the query; the JavaScript client keeps it as it is for the parts' addresses.
    address = url(upload.path, links)
    return reply(200, {"upload_url": f"{address}?signature={signature}", "file_url": address})


def session(upload: Upload, links: Links) -> Reply:
    """An upload in parts has begun. Its id is the file's own: there is one upload to a file."""
    return reply(200, {"access_url": url(upload.path, links), "uploadId": session_id(upload)})


def session_id(upload: Upload) -> str:
    """What stands in the addresses of the parts."""
    return upload.path.split("/")[4][:21]


def uploaded(upload: Upload, links: Links) -> Reply:
    """The file is there."""
    # assumption: what `complete` answers; no client looks.
    return reply(200, {"access_url": url(upload.path, links)}, {"etag": f'"{upload.etag}"'})


def stored(etag: str) -> Reply:
    """The answer to a whole file by PUT. No client looks at it."""
    return Reply(200, b"", [(b"content-length", b"0"), (b"etag", f'"{etag}"'.encode())])


def part(number: int, etag: str) -> Reply:
    """The answer to a part: JavaScript reads the body, Python and fal's SDK the header."""
    return reply(200, {"partNumber": number, "etag": etag}, {"etag": f'"{etag}"'})


def acl_reply(its: Acl) -> Reply:
    """Who may read a file."""
    rules = [{"user": user, "decision": decision.value} for user, decision in its.rules]
    return reply(200, {"default": its.default.value, "rules": rules})


def signed(path: str, identity: str, links: Links) -> Reply:
    """A signed link. fal: the answer is its text (storage documentation, 2026)."""
    text = f"{url(path, links)}?identity={identity}".encode()
    length = b"%d" % len(text)
    return Reply(200, text, [(b"content-length", length), (b"content-type", b"text/plain; charset=utf-8")])


# -- inside


def _object(value: JSON, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadUpload(f"{what} is {value!r:.100}, expected an object", 422)
    return value


def _text(body: Mapping[str, JSON], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadUpload(f"{name} is {value!r:.100}, expected a string", 422)
    return value


def _seconds(body: Mapping[str, JSON], name: str, default: float) -> float:
    value = body.get(name)
    # fal: nothing and 0 mean the longest (a comment in fal_client 1.0.3 says so of lifecycles).
    if value is None or value is False or value == 0:
        return default
    if not isinstance(value, int | float) or not 0 < value < 1e12:
        raise BadUpload(f"{name} is {value!r:.100}, expected seconds", 422)
    return float(value)


def _decision(body: Mapping[str, JSON], name: str) -> Decision:
    try:
        return Decision(body.get(name))
    except ValueError:
        seen = body.get(name)
        raise BadUpload(f"{name} is {seen!r:.100}, expected allow, forbid or hide", 422) from None
