"""A cassette: one question to fal and its answer, as a text that people read, compare and keep in a repository."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from mock_fal.cassettes.redaction import Redaction
from mock_fal.errors import JSON, SettingsError
from mock_fal.hosts import MEDIA_HOSTS, QUEUE_HOSTS, REST_HOSTS, RUN_HOSTS
from mock_fal.journal.exchanges import RawHeaders

VERSION: Final = 1

# By name; of one that came several times, all its values.
Headers = dict[str, str | list[str]]

# What of a question says more than who asks with which program.
_ASKING: Final = ("content-type", "range", "if-none-match", "authorization")

# What of an answer is about the connection or the moment, and not about what was asked.
_PASSING: Final = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "set-cookie", "via")
    + ("alt-svc", "cf-ray", "cf-cache-status", "nel", "report-to", "server-timing", "age")
)

# A second name of a host counts as the first: clients change it where they can't connect.
_NAMES: Final = (("queue.fal.run", QUEUE_HOSTS), ("fal.run", RUN_HOSTS), ("rest.fal.ai", REST_HOSTS))

_MADE_UP: Final = re.compile(r"\d{13}(?=\.\w+$)", re.ASCII)
# What differs whenever the same is recorded: so a recording can be compared with the one before.
_ONES_OWN: Final = re.compile(r"(?<=/requests)/(?!by-endpoint)[^/]+|(?<=/files)/(?!upload).*")
_UNPRINTED: Final = re.compile(r"[^\w.]+", re.ASCII)
_SLUG: Final = 110


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A body that is JSON."""

    value: JSON


@dataclass(frozen=True, slots=True)
class TextBody:
    """A body that is text."""

    text: str


@dataclass(frozen=True, slots=True)
class FileBody:
    """A body that lies in a file of its own, beside the cassette; `sha256` is that of what was sent."""

    name: str
    sha256: str


Body = JsonBody | TextBody | FileBody

NOTHING: Final = TextBody("")


@dataclass(frozen=True, slots=True)
class Cassette:
    """One exchange, without its secrets. `url` is in fal's own words, whichever way the question came."""

    method: str
    url: str
    asked: Headers
    body: Body
    status: int
    headers: Headers
    response: Body


class LiveResponse(NamedTuple):
    """What the live service answers: its head, and its body as it comes."""

    status: int
    headers: RawHeaders
    body: AsyncIterator[bytes]


# Puts a question to the live service: method, address, headers, body. Raises OSError.
Forward = Callable[[str, str, RawHeaders, bytes | AsyncIterator[bytes]], Awaitable[LiveResponse]]


class Key(NamedTuple):
    """What makes two questions the same."""

    method: str
    host: str
    path: str
    query: str
    range: str
    body: str


def key(method: str, url: str, wanted: str, body: Body) -> Key:
    """The key of a redacted question; `wanted` is its Range."""
    parts = urlsplit(url)
    query = "&".join(sorted(filter(None, parts.query.split("&"))))
    return Key(method, one_name(parts.netloc), parts.path, query, wanted, _meaning(body))


def key_of(cassette: Cassette) -> Key:
    """The key of what was asked."""
    return key(cassette.method, cassette.url, str(cassette.asked.get("range", "")), cassette.body)


def one_name(host: str) -> str:
    """The first name of a host that has several."""
    return next((name for name, names in _NAMES if host in names), host)


def _meaning(body: Body) -> str:
    match body:
        case FileBody(_, digest):
            return f"file {digest}"
        case TextBody(text):
            return f"text {_digest(text.encode('utf-8', 'surrogatepass'))}" if text else ""
        case JsonBody(value):
            return f"json {_digest(json.dumps(_settled(value), sort_keys=True).encode())}"


def _settled(value: JSON) -> JSON:
    """An input without what differs from run to run."""
    if not isinstance(value, dict):
        return value
    # A Blob has no name: the client takes the moment (@fal-ai/client 1.10.1). Parts are listed as they get done.
    name, parts = value.get("file_name"), value.get("parts")
    settled = value | ({"file_name": _MADE_UP.sub("", name)} if isinstance(name, str) else {})
    if isinstance(parts, list):
        settled["parts"] = sorted(parts, key=lambda part: json.dumps(part, sort_keys=True))
    return settled


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()


# -- from the wire


def is_file(method: str, host: str, path: str) -> bool:
    """Whether a question brings a file: that can be larger than memory."""
    return host in MEDIA_HOSTS and (method == "PUT" or path.rstrip("/") == "/files/upload")


def request_body(data: bytes, content_type: str, redaction: Redaction) -> Body:
    """The body of a question: JSON where it is JSON, whatever its type says; binary ones as a nameless file."""
    if not data:
        return NOTHING
    value = parse(data) if data.lstrip()[:1] in b'{["' else NOT_JSON
    if value is not NOT_JSON:
        return JsonBody(redaction.json(value))
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is not None:
        return FileBody("", _digest(data.replace(boundary[1].encode(), b"boundary")))
    text = readable(data)
    return FileBody("", _digest(data)) if text is None else TextBody(redaction.query(text))


def response_json(url: str, value: JSON, redaction: Redaction) -> JsonBody:
    """An answer in JSON. fal: what rest.fal.ai answers below `tokens/` is a bare token (live, 2026)."""
    parts = urlsplit(url)
    bare = parts.netloc in REST_HOSTS and parts.path.startswith("/tokens")
    return JsonBody(redaction.json(value, secret=bare))


def files(cassette: Cassette) -> Iterator[tuple[str, str]]:
    """The addresses of the files that a cassette holds, and their names beside it."""
    url = cassette.url.partition("?")[0]
    if cassette.method == "GET" and cassette.status == 200 and isinstance(cassette.response, FileBody):
        yield url, cassette.response.name
    if isinstance(cassette.body, FileBody) and cassette.status < 300:
        told = cassette.response.value if isinstance(cassette.response, JsonBody) else None
        yield str(told.get("access_url", url) if isinstance(told, dict) else url), cassette.body.name


NOT_JSON: Final[Any] = object()


def parse(data: bytes) -> JSON:
    """The JSON in a body; NOT_JSON for what is none, or has no second form that means the same."""
    try:
        value: JSON = json.loads(data)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return NOT_JSON
    return value


def readable(data: bytes) -> str | None:
    """The text in a body, or None where it is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def cassette_request_headers(raw: RawHeaders, redaction: Redaction) -> Headers:
    """The headers of a question that matter."""
    return _headers(raw, redaction, lambda name: name in _ASKING or name.startswith("x-fal-"))


def cassette_response_headers(raw: RawHeaders, redaction: Redaction, *, bodiless: bool = False) -> Headers:
    """The headers of an answer that matter; where it has no body, its length too."""
    return _headers(
        raw, redaction, lambda name: name not in _PASSING or (bodiless and name == "content-length")
    )


def _headers(raw: RawHeaders, redaction: Redaction, matters: Callable[[str], bool]) -> Headers:
    kept: dict[str, list[str]] = {}
    for name, value in ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw):
        if matters(name) and name != "x-fal-target-url":
            kept.setdefault(name, []).append(redaction.header(name, value))
    return {name: values if len(values) > 1 else values[0] for name, values in kept.items()}


def wire_headers(headers: Headers) -> RawHeaders:
    """Headers as they go out."""
    listed = [(name, [value] if isinstance(value, str) else value) for name, value in headers.items()]
    return [(name.encode("latin-1"), each.encode("latin-1")) for name, values in listed for each in values]


# -- as text


def file_name(number: int, method: str, url: str) -> str:
    """What a cassette is called: its place, and what was asked of whom.

    >>> file_name(1, "POST", "https://queue.fal.run/fal-ai/flux/schnell?logs=1")
    '0001-queue.fal.run-POST-fal-ai-flux-schnell.json'
    """
    parts = urlsplit(url)
    slug = _UNPRINTED.sub("-", _ONES_OWN.sub("", parts.path)).strip("-.")[:_SLUG].rstrip("-.")
    return "-".join(filter(None, (f"{number:04}", parts.netloc, method, slug))) + ".json"


def written(cassette: Cassette) -> str:
    """The text of a cassette."""
    document = {
        "mock_fal_cassette": VERSION,
        "request": {
            "method": cassette.method,
            "url": cassette.url,
            "headers": cassette.asked,
            **_body_written(cassette.body),
        },
        "response": {
            "status": cassette.status,
            "headers": cassette.headers,
            **_body_written(cassette.response),
        },
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    # Half a surrogate pair is good JSON, and no UTF-8.
    is_utf8 = text.encode("utf-8", "ignore").decode() == text
    return text if is_utf8 else json.dumps(document, indent=2) + "\n"


def _body_written(body: Body) -> dict[str, Any]:
    match body:
        case JsonBody(value):
            return {"json": value}
        case FileBody(name, digest):
            return {"file": name, "sha256": digest}
        case TextBody(text) if "\n" in text:
            return {"lines": text.split("\n")}
        case TextBody(text):
            return {"text": text} if text else {}


def read(text: str, source: str) -> Cassette:
    """The cassette in a text. Raises SettingsError, naming the source."""
    try:
        return _read(json.loads(text))
    except RecursionError:
        raise SettingsError(f"{source}: no cassette: it is nested too deeply") from None
    except ValueError as error:
        raise SettingsError(f"{source}: no cassette: {error}") from None


def _read(document: Any) -> Cassette:
    if not isinstance(document, dict) or "mock_fal_cassette" not in document:
        raise ValueError("expected an object with mock_fal_cassette in it")
    version = document["mock_fal_cassette"]
    if version != VERSION or isinstance(version, bool):
        raise ValueError(f"its version is {version!r:.50}, expected {VERSION}")
    request, response = _member(document, "request", dict), _member(document, "response", dict)
    status = _member(response, "status", int)
    if not 200 <= status <= 599:
        raise ValueError(f"status is {status}, expected 200 to 599")
    return Cassette(
        _member(request, "method", str),
        _member(request, "url", str),
        _headers_read(request),
        _body_read(request),
        status,
        _headers_read(response),
        _body_read(response),
    )


_WORDS: Final = {dict: "an object", str: "a string", int: "a whole number", list: "a list"}


def _member(document: dict[str, Any], name: str, kind: type) -> Any:
    value = document.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        seen = f"is {value!r:.50}" if name in document else "is missing"
        raise ValueError(f"{name} {seen}, expected {_WORDS[kind]}")
    return value


def _headers_read(message: dict[str, Any]) -> Headers:
    headers: Headers = _member(message, "headers", dict)
    for name, value in headers.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) and _goes_out(name + each) for each in values):
            raise ValueError(f"the header {name!r:.50} is {value!r:.50}, expected a line of text")
    return headers


def _goes_out(text: str) -> bool:
    return all(letter <= "\xff" and letter not in "\r\n\0" for letter in text)


def _body_read(message: dict[str, Any]) -> Body:
    if "json" in message:
        return JsonBody(message["json"])
    if "file" in message:
        name = _member(message, "file", str)
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            raise ValueError(f"file is {name!r:.50}, expected the name of a file beside it")
        return FileBody(name, _member(message, "sha256", str))
    if "lines" in message:
        lines = _member(message, "lines", list)
        if not all(isinstance(line, str) for line in lines):
            raise ValueError("lines holds something else than strings")
        return TextBody("\n".join(lines))
    return TextBody(_member(message, "text", str) if "text" in message else "")
