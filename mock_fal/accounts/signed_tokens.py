"""Signed words that say who asks: CDN tokens, signed links to files, addresses to upload to.

Each carries its facts and a seal over them, so nothing about it is remembered and a reset does not void it.
The seal's key follows from the server's seed: a whole run repeats, and whoever knows the seed can forge one.
"""

# deviation: whoever knows the seed can forge tokens, signed links and upload addresses; a double guards nothing.

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

# fal: CDN tokens last up to 30 days, signed links up to 7 and a day where nothing is asked for (documentation, 2026).
TOKEN_S: Final = 30 * 86400.0
LINK_S: Final = 86400.0
MAX_LINK_S: Final = 7 * 86400.0


class SignedTokens:
    """What one server seals and knows again."""

    def __init__(self, seed: int) -> None:
        self._key = f"mock-fal/{seed}/identity".encode()

    def token(self, owner: str, expires_at: float) -> str:
        """A CDN token: its bearer is `owner`."""
        return self._sealed("cdn", owner, expires_at)

    def bearer(self, token: str, now: float) -> str | None:
        """Whose CDN token it is; None for one that is forged or has expired."""
        match self._facts("cdn", token):
            case [str(owner), float(expires_at)] if now < expires_at:
                return owner
        return None

    def link(self, path: str, reader: str, expires_at: float) -> str:
        """The `identity` of a signed link: whoever follows it reads `path` as `reader` would."""
        return self._sealed("link", path, reader, expires_at)

    def reader(self, path: str, identity: str, now: float) -> str | None:
        """As whom a signed link reads `path`; None when it is for another file, forged or over."""
        match self._facts("link", identity):
            case [str(its), str(reader), float(expires_at)] if its == path and now < expires_at:
                return reader
        return None

    def signature(self, path: str) -> str:
        """What an address to upload to carries, in the place of a key."""
        return self._seal("upload", path)[:32]

    def is_signature(self, path: str, text: str) -> bool:
        """Whether `text` lets its bearer upload to `path`."""
        return hmac.compare_digest(self.signature(path).encode(), text.encode("utf-8", "replace"))

    def _sealed(self, purpose: str, *facts: str | float) -> str:
        said = urlsafe_b64encode(json.dumps(facts).encode()).decode().rstrip("=")
        return f"{said}.{self._seal(purpose, said)}"

    def _facts(self, purpose: str, text: str) -> Any:
        said, _, seal = text.partition(".")
        if not hmac.compare_digest(self._seal(purpose, said).encode(), seal.encode("utf-8", "replace")):
            return None
        return json.loads(urlsafe_b64decode(said + "=" * (-len(said) % 4)))

    def _seal(self, purpose: str, said: str) -> str:
        return hmac.digest(self._key, f"{purpose}/{said}".encode("utf-8", "replace"), "sha256").hex()
