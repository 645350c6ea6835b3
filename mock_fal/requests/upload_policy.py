"""Output storage of the user's own: `x-app-fal-upload-policy`, an S3 presigned POST that takes the files of a result.

fal: the header, its checks, the form and the addresses (fal SDK; documentation of custom output storage, 2026).
A bad header is a 422 with a text, before anything runs. A failed upload is logged, and the address in the result is
dead: there is no way back to fal's CDN.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

HEADER: Final = "x-app-fal-upload-policy"
_PLACEHOLDER: Final = "${filename}"
_MAX_URL: Final = 2048
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# fal: only Amazon's S3 is allowed. assumption: this pattern admits the same hosts for buckets in use.
_S3_HOST: Final = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]*\.)?s3(?:express-[a-z0-9-]+)?(?:[.-][a-z0-9-]+){0,2}\.amazonaws\.com(?:\.cn)?"
)

# deviation: a longer policy is invalid, so that it need not be counted as a part of the input.
MAX_BYTES: Final = 16 << 10
_MAX_FIELDS: Final = 100


class InvalidPolicy(ValueError):
    """A policy that fal rejects."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class UploadPolicy:
    """A presigned POST. Equal policies of two requests are two: each uploads its own files."""

    url: str
    fields: tuple[tuple[str, str], ...]
    # Whether the address is on this machine.
    is_local: bool
    # The page of another machine that sent the request, if any.
    page: str = ""
    # Whether files are uploaded; else the address in the result is all.
    is_used: bool = True
    # What the user should know: why files were not uploaded.
    notes: list[str] = field(default_factory=list)

    @property
    def content_type(self) -> str | None:
        """The content type that the policy allows; None if it names none."""
        return next((value for name, value in self.fields if name.lower() == "content-type"), None)

    @property
    def kept_bytes(self) -> int:
        """Its size in memory."""
        return len(self.url) + sum(100 + len(name) + len(value) for name, value in self.fields)

    def file_name(self, path: str) -> str:
        """The name of a file, as in `${filename}`; `path` is its path on the media host."""
        # fal: a random prefix keeps files apart. Here it is derived from the path, so that a run repeats.
        return f"{sha256(path.encode()).hexdigest()[:32]}-{path.rpartition('/')[2]}"

    def form(self, path: str, content_type: str) -> list[tuple[str, str]]:
        """The fields of the form for a file; the file itself follows them."""
        name = self.file_name(path)
        form = [
            (field, value.replace(_PLACEHOLDER, name) if field == "key" else value)
            for field, value in self.fields
        ]
        return form if self.content_type is not None else [*form, ("Content-Type", content_type)]

    def address(self, path: str) -> str:
        """The URL of a file in the result."""
        key = dict(self.form(path, ""))["key"]
        return f"{self.url.rstrip('/')}/{quote(key, safe='/~')}"


def parse(text: str, page: str = "") -> UploadPolicy:
    """The policy in the header. Raises InvalidPolicy."""
    if len(text) > MAX_BYTES:
        raise InvalidPolicy(f"Invalid {HEADER} header: longer than {MAX_BYTES} bytes")
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPolicy(f"Invalid {HEADER} header: not valid JSON ({str(error)[:200]})") from None
    if not isinstance(policy, dict):
        raise InvalidPolicy(f"Invalid {HEADER} header: expected a JSON object")
    url, fields = policy.get("url"), policy.get("fields")
    if not isinstance(url, str):
        raise InvalidPolicy(f"Invalid {HEADER} header: must contain string 'url'")
    if not isinstance(fields, dict):
        raise InvalidPolicy(f"Invalid {HEADER} header: must contain object 'fields'")
    is_local = _check_url(url)
    return UploadPolicy(url, tuple(_form_fields(fields)), is_local, page)


def _check_url(url: str) -> bool:
    """Whether a URL is on this machine. Raises InvalidPolicy if it is neither that nor the root of a bucket on S3."""

    def invalid(why: str) -> InvalidPolicy:
        return InvalidPolicy(f"Invalid {HEADER} 'url': {why}")

    if len(url) > _MAX_URL:
        raise invalid(f"longer than {_MAX_URL} characters")
    if _FORBIDDEN.search(url):
        raise invalid("must not contain control characters or spaces")
    try:
        url.encode()
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise invalid(f"could not be parsed ({str(error)[:200]})") from None
    host = (parts.hostname or "").lower().rstrip(".")
    # deviation: fal takes HTTPS addresses of S3 only. Here a server on this machine is allowed too, also by HTTP.
    is_local = parts.scheme in ("http", "https") and _is_this_machine(host)
    match = _S3_HOST.fullmatch(host)
    if not is_local and (parts.scheme != "https" or match is None):
        raise invalid("must be an HTTPS S3 upload URL")
    if not is_local and port not in (None, 443):
        raise invalid(f"port {port} is not allowed")
    if parts.username or parts.password:
        raise invalid("must not contain credentials")
    if "?" in url or "#" in url:
        raise invalid("must not have a query or fragment")
    _check_path(parts, match if not is_local else None, is_local=is_local)
    return is_local


def _check_path(parts: SplitResult, match: re.Match[str] | None, *, is_local: bool) -> None:
    path = unquote(parts.path).replace("\\", "/")
    segments = path.split("/")[1:]
    if segments and not segments[-1]:
        segments.pop()
    if any(segment in ("", ".", "..") for segment in segments):
        raise InvalidPolicy(f"Invalid {HEADER} 'url': must not contain '.', '..' or empty path segments")
    if match is not None and match["bucket"]:
        expected, why = 0, f"must point at the bucket root, not {path!r:.200}"
    elif is_local and not segments:
        return  # the bucket may be the host, as for a server that was written for a test
    else:
        expected, why = 1, "must name a bucket, either in the host or as the first path segment"
    if len(segments) != expected:
        raise InvalidPolicy(f"Invalid {HEADER} 'url': {why}")


def _is_this_machine(host: str) -> bool:
    """Whether a host is this machine, by its name or address alone: no name is looked up."""
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _form_fields(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """The fields of a policy as text, a list as a repeated field. Raises InvalidPolicy."""

    def invalid(why: str) -> InvalidPolicy:
        return InvalidPolicy(f"Invalid {HEADER} header: {why}")

    if len(fields) > _MAX_FIELDS:
        raise invalid(f"{len(fields)} fields, expected at most {_MAX_FIELDS}")
    form = []
    for name, value in fields.items():
        is_strict = name.strip().lower() in ("key", "content-type")
        if isinstance(value, dict) or (is_strict and not isinstance(value, str)):
            raise invalid(f"fields.{name!r:.100} must be a string")
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict | list):
                raise invalid(f"fields.{name!r:.100} must not contain nested values")
            form.append((name, _text(item)))
    try:
        "".join(f"{name}{value}" for name, value in form).encode()
    except UnicodeEncodeError:
        raise invalid("a field is not encodable as UTF-8") from None
    for reserved in ("key", "content-type"):
        names = sorted(name for name in fields if name.strip().lower() == reserved)
        if len(names) > 1:
            raise invalid(f"duplicate {reserved!r} fields {names!r:.200}")
    key = fields.get("key")
    if not isinstance(key, str) or _PLACEHOLDER not in key:
        raise invalid(f"fields.key must contain {_PLACEHOLDER!r}")
    if key.startswith("/") or {".", ".."} & set(key.split("/")):
        raise invalid("fields.key must not start with '/' or contain '.' or '..' path segments")
    content_type = next((value for name, value in form if name.strip().lower() == "content-type"), "")
    if _CONTROL.search(content_type):
        raise invalid("fields.content-type contains a control character")
    return form


def _text(value: Any) -> str:
    # fal: as its HTTP client writes them (httpx 0.27).
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
