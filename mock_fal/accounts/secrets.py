"""Secrets of keys: how they are shown, and how known keys are found in URLs and bodies.

No secret is kept. A key that was seen is a digest, with the id and the length of the secret: a text is searched for the
id, a colon and as many characters, and their digest is compared.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from io import BytesIO
from typing import Final

from mock_fal.ids import random_secret

# What stands in place of a secret.
HIDDEN: Final = "•••"
HIDDEN_BYTES: Final = HIDDEN.encode()

# Keys that were seen, without those of the settings. With more, the oldest ones are forgotten.
MAX_KEYS: Final = 4096
# The keys of one id among them.
MAX_KEYS_OF_ID: Final = 16
# Longer ids and secrets are not looked for: fal's have 36 and 32 characters.
MAX_PART_BYTES: Final = 64
# Places in one text that are compared with known keys: about 10 ms. The rest is not searched.
MAX_COMPARED: Final = 20_000
# Longer texts are not searched for encoded keys and for secrets without an id, and compressed ones are not read
# further: about 10 ms.
MAX_DECODED_BYTES: Final = 1 << 20

# A long text is searched and copied in steps of this size, so that other threads can run in between.
STEP_BYTES: Final = 1 << 20

# Heads that are remembered as they are shown, and the size of one: a client sends the same head with each poll.
MAX_HEADS: Final = 1024
MAX_HEAD_BYTES: Final = 1024

# A secret of this length is no ordinary word, so it is found without its id too.
MIN_ALONE: Final = 8

# Headers that contain nothing but a secret, besides the two authorizations.
_SECRET_HEADERS: Final = frozenset(
    (b"x-api-key", b"api-key", b"x-fal-key", b"fal-key", b"x-mock-fal-token", b"cookie")
)
# A presigned POST of S3: with these fields anyone can write to the bucket until it expires.
_UPLOAD_POLICY: Final = b"x-app-fal-upload-policy"
_POLICY_SECRETS: Final = re.compile(
    r'("(?:policy|signature|awsaccesskeyid|x-amz-(?:signature|credential|security-token))"\s*:\s*")(?:[^"\\]|\\.)*',
    re.IGNORECASE,
)
_AUTHORIZATIONS: Final = frozenset((b"authorization", b"proxy-authorization"))
_URL_HEADERS: Final = frozenset((b"referer", b"x-fal-target-url"))

# Query parameters that contain a key or a token.
_PARAMETERS: Final = re.compile(
    r"((?:^|[?&;])(?:fal_jwt_token|jwt|token|access_token|auth_token|key|fal_key|api_?-?key|authorization|secret)=)"
    r"([^&;#\s]+)",
    re.IGNORECASE,
)
# What official clients send with each poll.
_COMMON_QUERIES: Final = frozenset(("", "logs=0", "logs=1", "logs=true", "logs=false"))
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z-]{0,15}")
# What many programs send when a variable is not set. It is no secret, and says what is wrong.
_PLACEHOLDERS: Final = frozenset(("none", "undefined", "null", "your-api-key", "your_fal_key"))
# The shape of a malformed key is kept: its colons, quotes and spaces.
_SECRET_PART: Final = re.compile(r"[^\s:\"']+")
# Texts that may be base64, base64url or hex.
_ENCODED: Final = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9_-]{16,}={0,2}")
_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2})+")
# The secret of a created key (`ids.random_secret`), without its id.
_CREATED: Final = re.compile(rb"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")
_GZIP: Final = b"\x1f\x8b"


def shown_key(key: str) -> str:
    """A key without its secret. A malformed one keeps its shape.

    >>> shown_key("alice:secret"), shown_key('"alice:secret"'), shown_key("secret"), shown_key("undefined")
    ('alice:•••', '"alice:•••"', '•••', 'undefined')
    """
    if key.strip().lower() in _PLACEHOLDERS:
        return key
    start, colon, rest = key.partition(":")
    if not colon:
        return _SECRET_PART.sub(HIDDEN, key)
    return f"{start}:{_SECRET_PART.sub(HIDDEN, rest)}"


def shown_authorization(value: str) -> str:
    """The value of an Authorization header without secrets.

    >>> shown_authorization("Key alice:secret"), shown_authorization("Bearer eyJhbGciOi")
    ('Key alice:•••', 'Bearer •••')
    """
    scheme, space, credentials = value.partition(" ")
    if not space and scheme.lower() in ("key", "bearer", "basic"):
        return value
    if not space or not _SCHEME.fullmatch(scheme):
        return shown_key(value)
    if scheme.lower() == "basic":
        credentials = basic_credentials(credentials) or credentials
    return f"{scheme} {shown_key(credentials)}"


def basic_credentials(text: str) -> str:
    """The user and password, with a colon between them, of Basic credentials; empty if they are invalid."""
    try:
        return b64decode(text.strip(), validate=True).decode()
    except ValueError:
        return ""


def shown_query(query: str) -> str:
    """A query, or a URL with one, without keys and tokens in known parameters.

    >>> shown_query("fal_jwt_token=eyJhbGciOi&logs=1"), shown_query("key=alice%3Asecret")
    ('fal_jwt_token=•••&logs=1', 'key=alice%3A•••')
    """
    if query in _COMMON_QUERIES:
        return query
    lower = query.lower()
    has_name = "key" in lower or "token" in lower or "jwt" in lower or "auth" in lower or "secret" in lower
    return _PARAMETERS.sub(_shown_parameter, query) if has_name else query


def _shown_parameter(match: re.Match[str]) -> str:
    start, value = match.groups()
    key_id, colon, _ = value.partition(":")
    if not colon:
        before, colon, _ = value.replace("%3a", "%3A").partition("%3A")
        key_id = before
    return f"{start}{key_id}{colon}{HIDDEN}" if colon else f"{start}{HIDDEN}"


class Secrets:
    """The keys that a server has seen."""

    def __init__(self) -> None:
        # The number of keys that were added: a text that was searched before has to be searched again.
        self.version = 0
        self._salt = random_secret().encode()
        # Heads as they are shown, by their hash: it takes a tenth of the time of a digest.
        self._shown: dict[int, bytes] = {}
        # By id: the digests of its keys, each with the length of its secret.
        self._known: dict[bytes, dict[bytes, int]] = {}
        self._lengths: set[int] = set()
        self._last_bytes: set[int] = set()
        # The digests of secrets of created keys, which are hidden without their ids too; the oldest one first.
        self._created: dict[bytes, None] = {}

    def digest(self, text: str) -> bytes:
        """A digest that only this server can make. To look it up reveals nothing about the text."""
        return self._digest(text.encode("utf-8", "surrogatepass"))

    def _digest(self, data: bytes) -> bytes:
        return blake2b(self._salt + data, digest_size=16).digest()

    def add(self, key: str) -> None:
        """Look for a key, `id:secret`, from now on."""
        key_id, _, secret = key.strip().strip("\"'").encode("utf-8", "replace").partition(b":")
        if not (0 < len(key_id) <= MAX_PART_BYTES and 0 < len(secret) <= MAX_PART_BYTES):
            return
        if len(self._known) >= MAX_KEYS and key_id not in self._known:
            del self._known[next(iter(self._known))]
        digests = self._known.setdefault(key_id, {})
        digest = self._key_digest(key_id, secret)
        if digest in digests:
            return
        if len(digests) >= MAX_KEYS_OF_ID:
            del digests[next(iter(digests))]
        digests[digest] = len(secret)
        self.version += 1
        # New sets, because a thread may search a body meanwhile.
        self._lengths = self._lengths | {len(key_id)}
        self._last_bytes = self._last_bytes | {key_id[-1]}

    def add_created(self, key_id: str, secret: str) -> None:
        """Look for a key that was created, and for its secret alone: the response to its creation has both."""
        if len(self._created) >= MAX_KEYS:
            del self._created[next(iter(self._created))]
        self._created[self.digest(secret)] = None
        self.add(f"{key_id}:{secret}")

    def head(self, head: bytes) -> bytes:
        """A request head of lines `name: value`, names in lower case, without secrets. Its key is known from now on."""
        shown = self._shown.get(hash(head))
        if shown is None:
            shown = b"\r\n".join(map(self._header, head.split(b"\r\n")))
            if len(head) <= MAX_HEAD_BYTES:
                if len(self._shown) >= MAX_HEADS:
                    self._shown.clear()
                self._shown[hash(head)] = shown
        return shown

    def _header(self, line: bytes) -> bytes:
        name, _, value = line.partition(b": ")
        if name not in _REDACTED:
            return line
        text = value.decode("latin-1")
        if name in _AUTHORIZATIONS:
            credentials = text.partition(" ")[2] or text
            self.add(basic_credentials(credentials) or credentials)
            shown = shown_authorization(text)
        elif name == _UPLOAD_POLICY:
            shown = _POLICY_SECRETS.sub(rf"\1{HIDDEN}", text)
        else:
            shown = shown_query(text) if name in _URL_HEADERS else shown_key(text)
        return b"%b: %b" % (name, _encoded(shown))

    # -- known keys in texts

    def text(self, text: str) -> str:
        """A text without the secrets of known keys."""
        if ":" not in text and "%3" not in text and not self._created:
            return text
        data = text.encode("utf-8", "surrogatepass")
        hidden = self.plain(data)
        return text if hidden is data else hidden.decode("utf-8", "surrogatepass")

    def plain(self, data: bytes) -> bytes:
        """Bytes without the secrets of known keys, `data` itself if it has none."""
        if self._created and len(data) <= MAX_DECODED_BYTES:
            data = self._without_created(data)
        return hidden_at(data, self._places(data))

    def _without_created(self, data: bytes) -> bytes:
        """Bytes without the secrets of created keys, `data` itself if it has none."""
        hidden = _CREATED.sub(
            lambda match: HIDDEN_BYTES if self._digest(match[0]) in self._created else match[0],
            data,
            count=MAX_COMPARED,
        )
        return data if hidden == data else hidden

    def body(self, data: bytes) -> bytes:
        """A body without the secrets of known keys, also in base64, hex and gzip; `data` itself if it has none."""
        if not data or not self._known:
            return data
        if data[:2] == _GZIP:
            return self._compressed(data)
        hidden = self.plain(data)
        if len(hidden) > MAX_DECODED_BYTES:
            return hidden
        result = _ENCODED.sub(self._decoded, hidden)
        return hidden if result == hidden else result

    def _compressed(self, data: bytes) -> bytes:
        content = decompressed(data, MAX_DECODED_BYTES)
        if content is None or self.body(content) is content:
            return data
        # Not compressed again: whoever reads it sees at once what was hidden.
        return self.body(content)

    def _decoded(self, match: re.Match[bytes]) -> bytes:
        text = match[0]
        for decoded in _decodings(text):
            if self.plain(decoded) is not decoded:
                return HIDDEN_BYTES
        return text

    def _places(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where the secrets of known keys are in a text, and their lengths, in order."""
        compared = 0
        lengths = tuple(self._lengths)  # a copy: a thread may search while another one adds a key
        at = -1
        next_colon, next_escape = find(data, b":", 0), find(data, b"%3", 0)
        while compared < MAX_COMPARED:
            while next_colon >= 0 and next_colon <= at:
                next_colon = find(data, b":", at + 1)
            while next_escape >= 0 and (
                next_escape <= at or data[next_escape + 2 : next_escape + 3] not in b"aA"
            ):
                next_escape = find(data, b"%3", max(at, next_escape) + 1)
            if next_colon < 0 and next_escape < 0:
                return
            is_colon = next_escape < 0 or 0 <= next_colon < next_escape
            at = next_colon if is_colon else next_escape
            if at == 0 or data[at - 1] not in self._last_bytes:
                continue
            start = at + (1 if is_colon else 3)
            for length in lengths:
                compared += 1
                digests = self._known.get(data[at - length : at]) if length <= at else None
                if digests is not None:
                    key_id = data[at - length : at]
                    for size in set(digests.values()):
                        if self._key_digest(key_id, data[start : start + size]) in digests:
                            yield start, size

    def _key_digest(self, key_id: bytes, secret: bytes) -> bytes:
        return blake2b(self._salt + key_id + b":" + secret, digest_size=16).digest()


def find(data: bytes, text: bytes, start: int) -> int:
    """Like `data.find`, in steps of STEP_BYTES: one call would hold the interpreter for 15 ms."""
    end = len(data)
    while start < end:
        at = data.find(text, start, start + STEP_BYTES + len(text) - 1)
        if at >= 0:
            return at
        start += STEP_BYTES
    return -1


def without(data: bytes, text: bytes) -> bytes:
    """Bytes with HIDDEN in place of a text, `data` itself if it is not in them."""
    return hidden_at(data, _occurrences(data, text))


def _occurrences(data: bytes, text: bytes) -> Iterator[tuple[int, int]]:
    at = -len(text)
    while (at := find(data, text, at + len(text))) >= 0:
        yield at, len(text)


def hidden_at(data: bytes, places: Iterable[tuple[int, int]]) -> bytes:
    """Bytes with HIDDEN at some places, each a start and a length, in order; `data` itself if there are none."""
    result: BytesIO | None = None
    end = 0
    for start, length in places:
        if start >= end:
            result = result or BytesIO()  # it grows in place; joining 45 MB holds the interpreter for 40 ms
            _copy(data, end, start, result)
            result.write(HIDDEN_BYTES)
            end = start + length
    if result is None:
        return data
    _copy(data, end, len(data), result)
    return result.getvalue()


def _copy(data: bytes, start: int, end: int, result: BytesIO) -> None:
    with memoryview(data) as view:
        for at in range(start, end, STEP_BYTES):
            result.write(view[at : min(at + STEP_BYTES, end)])


_REDACTED: Final = _AUTHORIZATIONS | _SECRET_HEADERS | _URL_HEADERS | {_UPLOAD_POLICY}


def own_secret(authorization: str | None) -> str:
    """The secret in an Authorization header, to look for in the URL and body of the same request.

    Empty if it is missing, or so short that it may be an ordinary word; then only whole keys are found.
    """
    if authorization is None:
        return ""
    secret = authorization.partition(":")[2].strip()
    return secret if len(secret) >= MIN_ALONE else ""


def decompressed(data: bytes, limit_bytes: int) -> bytes | None:
    """The content of gzip data, at most `limit_bytes` of it; None if it is invalid."""
    try:
        return zlib.decompressobj(wbits=31).decompress(data, limit_bytes)
    except zlib.error:
        return None


def _decodings(text: bytes) -> Iterator[bytes]:
    """What a text may mean as hex and as base64. A prefix of up to three characters may belong to something else."""
    digits = text.rstrip(b"=")
    if _HEX.fullmatch(digits):
        yield bytes.fromhex(digits.decode())
    letters = digits.translate(_STANDARD_BASE64)
    for start in range(4):
        whole = letters[start:]
        whole = whole[: len(whole) - (len(whole) % 4 == 1)]
        yield b64decode(whole + b"=" * (-len(whole) % 4))


_STANDARD_BASE64: Final = bytes.maketrans(b"-_", b"+/")


def _encoded(text: str) -> bytes:
    """A header's value as bytes: Latin-1, except for HIDDEN, which it can't represent."""
    return HIDDEN_BYTES.join(part.encode("latin-1", "replace") for part in text.split(HIDDEN))


def header_text(value: bytes) -> str:
    """A header's value as text: Latin-1, except for HIDDEN."""
    if HIDDEN_BYTES not in value:
        return value.decode("latin-1")
    return HIDDEN.join(part.decode("latin-1") for part in value.split(HIDDEN_BYTES))


def header_bytes(text: str) -> bytes:
    """The reverse of `header_text`."""
    return HIDDEN_BYTES.join(part.encode("latin-1", "replace") for part in text.split(HIDDEN))
