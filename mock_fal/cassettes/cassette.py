"""A cassette: one request to fal and its response, in a text format that can be reviewed and committed."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from mock_fal.cassettes.redaction import Redaction
from mock_fal.errors import JSON, SettingsError, is_deeper
from mock_fal.hosts import MEDIA_HOSTS, QUEUE_HOSTS, REST_HOSTS, RUN_HOSTS
from mock_fal.journal.exchanges import RawHeaders

VERSION: Final = 1

# By name; a list if a header occurs more than once.
Headers = dict[str, str | list[str]]

# The request headers that are kept, besides x-fal-*. The others describe the client.
_REQUEST_HEADERS: Final = ("content-type", "range", "if-none-match", "authorization")

# The response headers that are dropped: they describe the connection or the time.
_DROPPED_RESPONSE_HEADERS: Final = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "set-cookie", "via")
    + ("alt-svc", "cf-ray", "cf-cache-status", "nel", "report-to", "server-timing", "age")
)

# Deeper JSON than any API sends; far below the recursion limit of the code that reads and writes it.
MAX_DEPTH: Final = 100

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# Hosts with several names, which clients use as fallbacks: all match the first name.
_CANONICAL_HOSTS: Final = (
    ("queue.fal.run", QUEUE_HOSTS),
    ("fal.run", RUN_HOSTS),
    ("rest.fal.ai", REST_HOSTS),
)

_TIMESTAMP_NAME: Final = re.compile(r"\d{13}(?=\.\w+$)", re.ASCII)
# Parts of a path that differ in each recording. File names omit them, so that recordings can be compared.
_UNIQUE_PARTS: Final = re.compile(r"(?<=/requests)/(?!by-endpoint)[^/]+|(?<=/files)/(?!upload).*")
_SLUG_SEPARATORS: Final = re.compile(r"[^\w.]+", re.ASCII)
_MAX_SLUG_LENGTH: Final = 110


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A JSON body."""

    value: JSON


@dataclass(frozen=True, slots=True)
class TextBody:
    """A text body."""

    text: str


@dataclass(frozen=True, slots=True)
class FileBody:
    """A body in a separate file next to the cassette; `sha256` is that of the bytes before redaction."""

    name: str
    sha256: str


Body = JsonBody | TextBody | FileBody

NO_BODY: Final = TextBody("")


@dataclass(frozen=True, slots=True)
class Cassette:
    """One exchange, with secrets redacted. `url` has fal's host, even if the client used another."""

    method: str
    url: str
    request_headers: Headers
    request_body: Body
    status: int
    response_headers: Headers
    response_body: Body


class LiveResponse(NamedTuple):
    """The response of the live service, with its body as a stream."""

    status: int
    headers: RawHeaders
    body: AsyncIterator[bytes]


# Sends a request to the live service: method, URL, headers, body. Raises OSError.
Forward = Callable[[str, str, RawHeaders, bytes | AsyncIterator[bytes]], Awaitable[LiveResponse]]


class MatchKey(NamedTuple):
    """The properties on which requests are matched."""

    method: str
    host: str
    path: str
    query: str
    range: str
    body: str


def match_key(method: str, url: str, range_header: str, body: Body) -> MatchKey:
    """The match key of a redacted request; `range_header` is the value of its Range header."""
    parts = urlsplit(url)
    query = "&".join(sorted(filter(None, parts.query.split("&"))))
    return MatchKey(method, canonical_host(parts.netloc), parts.path, query, range_header, _body_key(body))


def cassette_key(cassette: Cassette) -> MatchKey:
    """The match key of a cassette's request."""
    return match_key(
        cassette.method, cassette.url, str(cassette.request_headers.get("range", "")), cassette.request_body
    )


def canonical_host(host: str) -> str:
    """The first name of a host with several names."""
    return next((name for name, names in _CANONICAL_HOSTS if host in names), host)


def _body_key(body: Body) -> str:
    match body:
        case FileBody(_, digest):
            return f"file {digest}"
        case TextBody(text):
            return f"text {_digest(text.encode('utf-8', 'surrogatepass'))}" if text else ""
        case JsonBody(value):
            return f"json {_digest(json.dumps(_normalized(value), sort_keys=True).encode())}"


def _normalized(value: JSON) -> JSON:
    """An input without the parts that differ from run to run."""
    if not isinstance(value, dict):
        return value
    # The client names a Blob by the current time (@fal-ai/client 1.10.1), and lists parts in order of completion.
    name, parts = value.get("file_name"), value.get("parts")
    normalized = value | ({"file_name": _TIMESTAMP_NAME.sub("", name)} if isinstance(name, str) else {})
    if isinstance(parts, list):
        normalized["parts"] = sorted(parts, key=lambda part: json.dumps(part, sort_keys=True))
    return normalized


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()


# -- from HTTP


def is_file(method: str, host: str, path: str) -> bool:
    """Whether a request uploads a file, which can be larger than the memory."""
    return host in MEDIA_HOSTS and (method == "PUT" or path.rstrip("/") == "/files/upload")


def request_body(data: bytes, content_type: str, redaction: Redaction) -> Body:
    """A request body: JSON if it parses as JSON, regardless of its content type; a nameless file if it is binary."""
    if not data:
        return NO_BODY
    value = parse(data) if data.lstrip()[:1] in b'{["' else NOT_JSON
    if value is not NOT_JSON:
        return JsonBody(redaction.json(value))
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is not None:
        return FileBody("", _digest(data.replace(boundary[1].encode(), b"boundary")))
    text = decode_text(data)
    return FileBody("", _digest(data)) if text is None else TextBody(redaction.query(text))


def response_json(url: str, value: JSON, redaction: Redaction) -> JsonBody:
    """A JSON response body, redacted."""
    # fal: the response of rest.fal.ai below `tokens/` is a token as a JSON string (live, 2026).
    parts = urlsplit(url)
    is_token = parts.netloc in REST_HOSTS and parts.path.startswith("/tokens")
    return JsonBody(redaction.json(value, secret=is_token))


def files(cassette: Cassette) -> Iterator[tuple[str, str]]:
    """The URLs of the files in a cassette, and their names on disk."""
    url = cassette.url.partition("?")[0]
    if cassette.method == "GET" and cassette.status == 200 and isinstance(cassette.response_body, FileBody):
        yield url, cassette.response_body.name
    if isinstance(cassette.request_body, FileBody) and cassette.status < 300:
        document = cassette.response_body.value if isinstance(cassette.response_body, JsonBody) else None
        yield (
            str(document.get("access_url", url) if isinstance(document, dict) else url),
            cassette.request_body.name,
        )


NOT_JSON: Final[Any] = object()


def parse(data: bytes) -> JSON:
    """The JSON in a body; NOT_JSON if it is invalid, or can't be written again (such as NaN)."""
    try:
        value: JSON = json.loads(data)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return NOT_JSON
    return value


def decode_text(data: bytes) -> str | None:
    """The text in a body, or None if it is binary."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def cassette_request_headers(raw: RawHeaders, redaction: Redaction) -> Headers:
    """The request headers that are kept."""
    return _headers(raw, redaction, lambda name: name in _REQUEST_HEADERS or name.startswith("x-fal-"))


def cassette_response_headers(raw: RawHeaders, redaction: Redaction, *, bodiless: bool = False) -> Headers:
    """The response headers that are kept; for a response without a body also its length."""
    return _headers(
        raw,
        redaction,
        lambda name: name not in _DROPPED_RESPONSE_HEADERS or (bodiless and name == "content-length"),
    )


def _headers(raw: RawHeaders, redaction: Redaction, keep: Callable[[str], bool]) -> Headers:
    kept: dict[str, list[str]] = {}
    for name, value in ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw):
        if keep(name) and name != "x-fal-target-url":
            kept.setdefault(name, []).append(redaction.header(name, value))
    return {name: values if len(values) > 1 else values[0] for name, values in kept.items()}


def wire_headers(headers: Headers) -> RawHeaders:
    """Headers for HTTP."""
    lists = [(name, [value] if isinstance(value, str) else value) for name, value in headers.items()]
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, values in lists for value in values]


# -- as text


def file_name(number: int, method: str, url: str) -> str:
    """The file name of a cassette: its number, host, method and path.

    >>> file_name(1, "POST", "https://queue.fal.run/fal-ai/flux/schnell?logs=1")
    '0001-queue.fal.run-POST-fal-ai-flux-schnell.json'
    """
    parts = urlsplit(url)
    slug = (
        _SLUG_SEPARATORS.sub("-", _UNIQUE_PARTS.sub("", parts.path))
        .strip("-.")[:_MAX_SLUG_LENGTH]
        .rstrip("-.")
    )
    return "-".join(filter(None, (f"{number:04}", parts.netloc, method, slug))) + ".json"


def format_cassette(cassette: Cassette) -> str:
    """A cassette as text."""
    document = {
        "mock_fal_cassette": VERSION,
        "request": {
            "method": cassette.method,
            "url": cassette.url,
            "headers": cassette.request_headers,
            **_format_body(cassette.request_body),
        },
        "response": {
            "status": cassette.status,
            "headers": cassette.response_headers,
            **_format_body(cassette.response_body),
        },
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    # An unpaired surrogate is valid in JSON and not in UTF-8.
    is_utf8 = text.encode("utf-8", "ignore").decode() == text
    return text if is_utf8 else json.dumps(document, indent=2) + "\n"


def _format_body(body: Body) -> dict[str, Any]:
    match body:
        case JsonBody(value):
            return {"json": value}
        case FileBody(name, digest):
            return {"file": name, "sha256": digest}
        case TextBody(text) if "\n" in text:
            return {"lines": text.split("\n")}
        case TextBody(text):
            return {"text": text} if text else {}


def check_depth(value: Any) -> None:
    """Raises ValueError if lists and objects are nested deeper than MAX_DEPTH."""
    if is_deeper(value, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")


def parse_cassette(text: str, source: str) -> Cassette:
    """Parse a cassette. Raises SettingsError with `source`, its file."""
    try:
        document = json.loads(text)
        check_depth(document)
        return _parse(document)
    except RecursionError:
        raise SettingsError(f"{source}: invalid cassette: nested too deeply") from None
    except ValueError as error:
        raise SettingsError(f"{source}: invalid cassette: {error}") from None


def _parse(document: Any) -> Cassette:
    if not isinstance(document, dict) or "mock_fal_cassette" not in document:
        raise ValueError("expected an object with the member mock_fal_cassette")
    version = document["mock_fal_cassette"]
    if version != VERSION or isinstance(version, bool):
        raise ValueError(f"version is {version!r:.50}, expected {VERSION}")
    request, response = _member(document, "request", dict), _member(document, "response", dict)
    status = _member(response, "status", int)
    if not 200 <= status <= 599:
        raise ValueError(f"status is {status}, expected 200 to 599")
    headers, body = _parse_headers(response), _parse_body(response)
    length = next((value for name, value in headers.items() if name.lower() == "content-length"), None)
    if length is not None and body != NO_BODY:
        raise ValueError(
            f"the header content-length is {length!r:.50}, expected none: the body has its own length"
        )
    if length is not None and not (isinstance(length, str) and length.isascii() and length.isdigit()):
        raise ValueError(f"the header content-length is {length!r:.50}, expected digits")
    return Cassette(
        _member(request, "method", str),
        _parse_url(request),
        _parse_headers(request),
        _parse_body(request),
        status,
        headers,
        body,
    )


def _parse_url(request: dict[str, Any]) -> str:
    url: str = _member(request, "url", str)
    try:
        parts = urlsplit(url)
        is_absolute = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_absolute = False
    if not is_absolute:
        raise ValueError(f"url is {url!r:.100}, expected an absolute URL")
    return url


_TYPE_NAMES: Final = {dict: "an object", str: "a string", int: "a whole number", list: "a list"}


def _member(document: dict[str, Any], name: str, kind: type) -> Any:
    value = document.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        actual = f"is {value!r:.50}" if name in document else "is missing"
        raise ValueError(f"{name} {actual}, expected {_TYPE_NAMES[kind]}")
    return value


def _parse_headers(message: dict[str, Any]) -> Headers:
    headers: Headers = _member(message, "headers", dict)
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"the header name {name!r:.50} has characters that HTTP does not allow")
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) and _is_header_text(name + item) for item in values):
            raise ValueError(f"the header {name!r:.50} is {value!r:.50}, expected one line of text")
    return headers


def _is_header_text(text: str) -> bool:
    return all(character <= "\xff" and character not in "\r\n\0" for character in text)


def _parse_body(message: dict[str, Any]) -> Body:
    if "json" in message:
        return JsonBody(message["json"])
    if "file" in message:
        name = _member(message, "file", str)
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            raise ValueError(f"file is {name!r:.50}, expected the name of a file in the same folder")
        return FileBody(name, _member(message, "sha256", str))
    if "lines" in message:
        lines = _member(message, "lines", list)
        if not all(isinstance(line, str) for line in lines):
            raise ValueError("lines contains something other than strings")
        return TextBody("\n".join(lines))
    return TextBody(_member(message, "text", str) if "text" in message else "")
