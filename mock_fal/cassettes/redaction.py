"""Redaction of secrets in cassettes: keys, tokens and signatures."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import quote

from mock_fal.errors import JSON

REDACTED: Final = "REDACTED"

# Encoded forms of shorter secrets could occur by chance.
MIN_ENCODED: Final = 8

# Suffixes of the names of secrets, in lower case without punctuation: `upload_token`, `X-Amz-Signature`, `apiKey`.
_SECRET_SUFFIXES: Final = (
    *("token", "secret", "password", "signature", "credential", "credentials", "authorization", "cookie"),
    *("jwt", "apikey", "falkey", "accesskey", "secretkey", "accesskeyid", "accessid"),
)
# For query parameters only; in JSON these names have other meanings.
_QUERY_SUFFIXES: Final = ("sig", "key", "identity", "policy")

# Secrets with a known format: a JWT, a key of fal (a UUID, a colon, 32 hexadecimal digits), an authorization.
_SECRET_FORMATS: Final = re.compile(
    r"(?<![\w+/=-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)*"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}:[0-9a-fA-F]{32}"
    r"|(?<=\bKey )[\w-]{8,}:[\w-]{16,}"
    r"|(?<=\bBearer )[\w.~+/:-]{20,}=*",
    re.ASCII,
)
_PARAMETER: Final = re.compile(r"([?&;]|^)([\w.%-]+)=([^&\s\"'<>#\\]+)", re.ASCII)
_BASE64_HEADER: Final = re.compile(r"data:[^,]{0,1000};base64,", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=]*", re.ASCII)
_STEP: Final = 256 << 10
_USERINFO: Final = re.compile(r"(?<=://)[^/\s@\"'<>]+(?=@)")


class Redaction:
    """Redacts known secrets and values that look like secrets. It is idempotent."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        spellings = {text for secret in secrets if secret for text in _spellings(secret)}
        self.secrets: Final = sorted(filter(None, spellings), key=len, reverse=True)

    def text(self, text: str) -> str:
        """Redact a text, with the secret query parameters of URLs in it."""
        for secret in self.secrets:
            text = text.replace(secret, REDACTED)
        start = _before_base64(text)
        if start:  # base64 has no characters that separate the parts of a secret
            return self._without_formats(text[:start]) + text[start:]
        return self._without_formats(text)

    def _without_formats(self, text: str) -> str:
        text = _SECRET_FORMATS.sub(REDACTED, text)
        if "://" in text:
            text = _USERINFO.sub(REDACTED, text)
        return _PARAMETER.sub(_parameter, text) if "?" in text else text

    def query(self, query: str) -> str:
        """Redact a query or a URL-encoded form; other parameters are unchanged."""
        return self.text(f"?{query}")[1:]

    def json(self, value: JSON, *, secret: bool = False) -> JSON:
        """Redact a JSON value: in members with the name of a secret, and with `secret` everywhere, all strings."""
        if isinstance(value, str):
            return REDACTED if secret and value else self.text(value)
        if isinstance(value, dict):
            return {
                self.text(name): self.json(part, secret=secret or is_secret(name))
                for name, part in value.items()
            }
        if isinstance(value, list):
            return [self.json(part, secret=secret) for part in value]
        return value

    def header(self, name: str, value: str) -> str:
        """Redact a header's value; the scheme of an authorization is kept."""
        if is_secret(name):
            scheme, space, _ = value.partition(" ")
            return f"{scheme} {REDACTED}" if space else REDACTED
        return self.text(value)

    def lines(self, text: str) -> str:
        """Redact a text line by line; server-sent events with JSON are redacted as JSON."""
        return "\n".join(map(self._line, text.split("\n")))

    def _line(self, line: str) -> str:
        if not line.startswith("data:"):
            return self.text(line)
        try:
            data = json.loads(line[5:])
        except (ValueError, RecursionError):
            return self.text(line)
        clean = self.json(data)
        if clean == data:
            return line
        return "data: " + json.dumps(clean, ensure_ascii=False, separators=(",", ":"))


def _before_base64(text: str) -> int:
    """Where the data of a data URI in base64 begins; 0 if a text is something else.

    It is searched in steps: the formats of secrets would hold the interpreter for 100 ms a megabyte.
    """
    header = _BASE64_HEADER.match(text)
    if header is None:
        return 0
    steps = range(header.end(), len(text), _STEP)
    return header.end() if all(_BASE64.fullmatch(text, at, at + _STEP) for at in steps) else 0


def _spellings(secret: str) -> Iterator[str]:
    """How a secret is written: as it is, in URLs, and if it is no short word also in hex, base64 and base64url."""
    yield from (secret, quote(secret, safe=""))
    data = secret.encode()
    if len(data) < MIN_ENCODED:
        return
    yield from (data.hex(), data.hex().upper())
    # In base64 a character stands for 6 bits, so there are three forms, by what is before the secret. The characters
    # that depend on its neighbours are left out.
    for before, mixed in enumerate((0, 2, 3)):
        text = b64encode(bytes(before) + data).decode()[mixed : (before + len(data)) * 8 // 6]
        yield from (text, text.replace("+", "-").replace("/", "_"))


def is_secret(name: str) -> bool:
    """Whether a member or header with that name contains a secret.

    >>> is_secret("fal_jwt_token"), is_secret("X-Amz-Signature"), is_secret("max_tokens")
    (True, True, False)
    """
    return _normalized(name).endswith(_SECRET_SUFFIXES)


def _parameter(match: re.Match[str]) -> str:
    separator, name, _ = match.groups()
    secret = is_secret(name) or _normalized(name).endswith(_QUERY_SUFFIXES)
    return f"{separator}{name}={REDACTED}" if secret else match[0]


def _normalized(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
