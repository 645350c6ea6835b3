"""Wire format of fal's storage: JSON, headers and URLs. No other module contains these names."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from mock_fal.accounts.acl import NO_PREFERENCE, Acl, Decision, ObjectLifecycle
from mock_fal.accounts.signed_tokens import LINK_S, TOKEN_S
from mock_fal.clock import date
from mock_fal.emulation.options import SubmitOptions
from mock_fal.errors import JSON, BadUpload, InvalidStorageType
from mock_fal.files.file_name import BINARY
from mock_fal.files.file_store import Upload
from mock_fal.web.http_request import HttpRequest, Links
from mock_fal.web.wire import LIFECYCLE, Reply, reply

# The media types of uploads that are repeated in a Content-Type header.
_MEDIA_TYPE: Final = re.compile(r"[\w!#$&^.+-]{1,64}/[\w!#$&^.+-]{1,64}(\s*;[ -~]{0,100})?", re.ASCII)


# -- requests


def document(http_request: HttpRequest) -> dict[str, Any]:
    """The JSON object in a body; an empty body is read as an empty object. Raises BadUpload."""
    try:
        value = json.loads(http_request.body or b"{}")
    except (ValueError, RecursionError):
        raise BadUpload("the body is no JSON", 422) from None
    return _object(value, "the body")


def check_storage_type(http_request: HttpRequest) -> None:
    """Raises InvalidStorageType for all types except `fal-cdn-v3`."""
    # fal: `fal-cdn-v3` is the default (many scripts); `gcs` gets 400 (reported, 2026).
    if http_request.params.get("storage_type", "fal-cdn-v3") != "fal-cdn-v3":
        raise InvalidStorageType


def named_file(body: Mapping[str, JSON]) -> tuple[str, str]:
    """The name and media type of a file to be uploaded."""
    # assumption: both fields are optional.
    return _text(body, "file_name", ""), media_type(_text(body, "content_type", BINARY))


def media_type(text: str) -> str:
    """The media type of an upload, or a generic one if it is not valid in a header."""
    return text if _MEDIA_TYPE.fullmatch(text) else BINARY


def file_name(http_request: HttpRequest) -> str:
    """The file name in the X-Fal-File-Name header."""
    name = http_request.headers.get(b"x-fal-file-name", b"")
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def object_lifecycle(http_request: HttpRequest) -> ObjectLifecycle:
    """The lifetime and access list of a file. Raises BadUpload."""
    text = next((http_request.headers[name] for name in LIFECYCLE if name in http_request.headers), None)
    if text is None:
        return NO_PREFERENCE
    try:
        return lifecycle(_object(json.loads(text), "the object lifecycle"))
    except (ValueError, RecursionError):
        raise BadUpload("the object lifecycle is no JSON", 422) from None


def lifecycle(document: Mapping[str, JSON]) -> ObjectLifecycle:
    """A lifetime and an access list as JSON. Raises BadUpload."""
    lifetime_s = _seconds(document, "expiration_duration_seconds", math.inf)
    return ObjectLifecycle(lifetime_s, acl(_object(document.get("initial_acl") or {}, "initial_acl")))


def with_object_lifecycle(options: SubmitOptions, http_request: HttpRequest) -> SubmitOptions:
    """Submit options with the lifecycle of result files. Raises BadUpload."""
    # assumption: a lifecycle header that cannot be parsed is rejected with 422.
    return options._replace(object_lifecycle=object_lifecycle(http_request))


def acl(body: Mapping[str, JSON]) -> Acl:
    """The access list in a body. Raises BadUpload."""
    rules = body.get("rules")
    rules = [] if rules is None else rules
    if not isinstance(rules, list):
        raise BadUpload(f"rules is {rules!r}, expected a list", 422)
    objects = [_object(rule, "a rule") for rule in rules]
    default = _decision(body, "default") if body.get("default") is not None else Decision.ALLOW
    return Acl(default, tuple((_text(rule, "user"), _decision(rule, "decision")) for rule in objects))


def token_s(body: Mapping[str, JSON]) -> float:
    """The lifetime of a CDN token in seconds."""
    return _seconds(body, "expiration_seconds", TOKEN_S)


def link_s(body: Mapping[str, JSON]) -> float:
    """The lifetime of a signed link in seconds. Raises BadUpload, also for an unknown scope."""
    if body.get("scope", ["read"]) != ["read"]:
        raise BadUpload(f"scope is {body['scope']!r}, expected ['read']", 422)
    return _seconds(body, "duration", LINK_S)


def parts(body: Mapping[str, JSON]) -> list[tuple[int, str]]:
    """The numbers and ETags of parts, in any order: the Python client lists them as they were finished."""
    items = body.get("parts")
    if not isinstance(items, list):
        raise BadUpload("parts is missing, expected a list")
    numbered = []
    for part in items:
        number = _object(part, "a part").get("partNumber")
        if not isinstance(number, int) or isinstance(number, bool):
            raise BadUpload(f"partNumber is {number!r}, expected a whole number")
        numbered.append((number, _text(part, "etag")))
    return numbered


def path_of(http_request: HttpRequest) -> str:
    """The path of the file whose URL is in the query, whichever base URL was used."""
    path = urlsplit(http_request.params.get("url", "")).path
    return unquote(path[path.find("/files/") :] if "/files/" in path else path)


# -- responses


def url(path: str, links: Links) -> str:
    """The URL of a file."""
    return links.media + quote(path)


def token(text: str, expires_at: float, links: Links) -> Reply:
    """A CDN token. The Python client needs an expiry time with a UTC offset."""
    expiry = date(expires_at).isoformat(timespec="microseconds")
    body = {"token": text, "token_type": "Bearer", "base_url": links.media, "expires_at": expiry}
    return reply(200, body)


def upload_urls(upload: Upload, signature: str, links: Links) -> Reply:
    """The URL to upload to, and the URL of the file."""
    # assumption: the names of query parameters; the JavaScript client copies the query to the URLs of the parts.
    file_url = url(upload.path, links)
    return reply(200, {"upload_url": f"{file_url}?signature={signature}", "file_url": file_url})


def session(upload: Upload, links: Links) -> Reply:
    """The response to the start of a multipart upload. Its id is part of the file name: a file has one upload."""
    return reply(200, {"access_url": url(upload.path, links), "uploadId": session_id(upload)})


def session_id(upload: Upload) -> str:
    """The upload id in the URLs of the parts."""
    return upload.path.split("/")[4][:21]


def uploaded(upload: Upload, links: Links) -> Reply:
    """The response to a finished upload."""
    # assumption: the response to `complete`; no client reads it.
    return reply(200, {"access_url": url(upload.path, links)}, {"etag": f'"{upload.etag}"'})


def stored(etag: str) -> Reply:
    """The response to a whole file sent by PUT. No client reads it."""
    return Reply(200, b"", f'content-length: 0\r\netag: "{etag}"'.encode())


def part(number: int, etag: str) -> Reply:
    """The response to a part. The JavaScript client reads the body; the Python client and fal's SDK read the header."""
    return reply(200, {"partNumber": number, "etag": etag}, {"etag": f'"{etag}"'})


def acl_reply(acl: Acl) -> Reply:
    """The access list of a file."""
    return reply(200, acl_document(acl))


def acl_document(acl: Acl) -> dict[str, JSON]:
    """An access list as JSON."""
    rules = [{"user": user, "decision": decision.value} for user, decision in acl.rules]
    return {"default": acl.default.value, "rules": rules}


def signed(path: str, identity: str, links: Links) -> Reply:
    """A signed link. fal: the response is the plain URL (storage documentation, 2026)."""
    text = f"{url(path, links)}?identity={identity}".encode()
    return Reply(200, text, b"content-length: %d\r\ncontent-type: text/plain; charset=utf-8" % len(text))


# -- helpers


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
    # fal: null and 0 mean the longest lifetime (a comment in fal_client 1.0.3 on lifecycles).
    if value is None or value is False or value == 0:
        return default
    if not isinstance(value, int | float) or not 0 < value < 1e12:
        raise BadUpload(f"{name} is {value!r:.100}, expected seconds", 422)
    return float(value)


def _decision(body: Mapping[str, JSON], name: str) -> Decision:
    try:
        return Decision(body.get(name))
    except ValueError:
        value = body.get(name)
        raise BadUpload(f"{name} is {value!r:.100}, expected allow, forbid or hide", 422) from None
