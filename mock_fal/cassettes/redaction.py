"""What must not stand in a cassette: keys, tokens and signatures, wherever they are."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import quote

from mock_fal.errors import JSON

REDACTED: Final = "REDACTED"

# Names of secrets, by their ends, in lower case and without signs: `upload_token`, `X-Amz-Signature`, `apiKey`.
_ENDS: Final = (
    *("token", "secret", "password", "signature", "credential", "credentials", "authorization", "cookie"),
    *("jwt", "apikey", "falkey", "accesskey", "secretkey", "accesskeyid", "accessid"),
)
# In a query only, where a value is short and a name means nothing else.
_IN_A_QUERY: Final = ("sig", "key", "identity", "policy")

# What tells itself by its form: a JWT, a key of fal's (a UUID, a colon, 32 hexadecimal digits), an authorization.
_FORMS: Final = re.compile(
    r"(?<![\w+/=-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)*"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}:[0-9a-fA-F]{32}"
    r"|(?<=\bKey )[\w-]{8,}:[\w-]{16,}"
    r"|(?<=\bBearer )[\w.~+/:-]{20,}=*",
    re.ASCII,
)
_PARAMETER: Final = re.compile(r"([?&;]|^)([\w.%-]+)=([^&\s\"'<>#\\]+)", re.ASCII)
_USER: Final = re.compile(r"(?<=://)[^/\s@\"'<>]+(?=@)")


class Redaction:
    """Takes out what is known to be secret, and what looks like it. Doing it twice changes nothing more."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        spelled = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
        self.secrets: Final = sorted(filter(None, spelled), key=len, reverse=True)

    def text(self, text: str) -> str:
        """A text; in addresses inside it, the values of the parameters that carry secrets."""
        for secret in self.secrets:
            text = text.replace(secret, REDACTED)
        text = _FORMS.sub(REDACTED, text)
        if "://" in text:
            text = _USER.sub(REDACTED, text)
        return _PARAMETER.sub(_parameter, text) if "?" in text else text

    def query(self, query: str) -> str:
        """A query, or what a form holds; its other parameters stay as they are."""
        return self.text(f"?{query}")[1:]

    def json(self, value: JSON, *, secret: bool = False) -> JSON:
        """A JSON value; of members with the name of a `secret` no string stays."""
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
        """A header's value; of an authorization the scheme stays."""
        if is_secret(name):
            scheme, space, _ = value.partition(" ")
            return f"{scheme} {REDACTED}" if space else REDACTED
        return self.text(value)

    def lines(self, text: str) -> str:
        """A text of many lines; events that hold JSON are redacted as such."""
        return "\n".join(map(self._line, text.split("\n")))

    def _line(self, line: str) -> str:
        if not line.startswith("data:"):
            return self.text(line)
        try:
            seen = json.loads(line[5:])
        except (ValueError, RecursionError):
            return self.text(line)
        clean = self.json(seen)
        if clean == seen:
            return line
        return "data: " + json.dumps(clean, ensure_ascii=False, separators=(",", ":"))


def is_secret(name: str) -> bool:
    """Whether a member or a header of that name holds a secret.

    >>> is_secret("fal_jwt_token"), is_secret("X-Amz-Signature"), is_secret("max_tokens")
    (True, True, False)
    """
    return _plain(name).endswith(_ENDS)


def _parameter(found: re.Match[str]) -> str:
    mark, name, _ = found.groups()
    secret = is_secret(name) or _plain(name).endswith(_IN_A_QUERY)
    return f"{mark}{name}={REDACTED}" if secret else found[0]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
