"""Signed tokens for files: CDN tokens, signed links and upload signatures.

Each token is a payload with a signature, so no token is stored and a reset doesn't revoke any. The signing key
is derived from the server's seed, so that a run repeats.
"""

# deviation: anyone who knows the seed can forge tokens, signed links and upload URLs.

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

# fal: CDN tokens last up to 30 days, signed links up to 7 days and one day by default (documentation, 2026).
TOKEN_S: Final = 30 * 86400.0
LINK_S: Final = 86400.0
MAX_LINK_S: Final = 7 * 86400.0


class SignedTokens:
    """Issues and verifies the tokens of one server."""

    def __init__(self, seed: int) -> None:
        self._key = f"mock-fal/{seed}/identity".encode()

    def token(self, owner: str, expires_at: float) -> str:
        """A CDN token for `owner`."""
        return self._signed("cdn", owner, expires_at)

    def bearer(self, token: str, now: float) -> str | None:
        """The owner of a CDN token; None for one that is forged or expired."""
        match self._payload("cdn", token):
            case [str(owner), float(expires_at)] if now < expires_at:
                return owner
        return None

    def link(self, path: str, reader: str, expires_at: float) -> str:
        """The `identity` parameter of a signed link, which gives access to `path` as `reader`."""
        return self._signed("link", path, reader, expires_at)

    def reader(self, path: str, identity: str, now: float) -> str | None:
        """The reader of a signed link to `path`; None for one that is forged, expired or for another file."""
        match self._payload("link", identity):
            case [str(signed_path), str(reader), float(expires_at)] if (
                signed_path == path and now < expires_at
            ):
                return reader
        return None

    def signature(self, path: str) -> str:
        """The signature in an upload URL, which takes the place of a key."""
        return self._sign("upload", path)[:32]

    def is_signature(self, path: str, text: str) -> bool:
        """Whether `text` is the signature of the upload URL for `path`."""
        return hmac.compare_digest(self.signature(path).encode(), text.encode("utf-8", "replace"))

    def _signed(self, purpose: str, *values: str | float) -> str:
        payload = urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
        return f"{payload}.{self._sign(purpose, payload)}"

    def _payload(self, purpose: str, text: str) -> Any:
        if not text:
            return None
        payload, _, signature = text.partition(".")
        if not hmac.compare_digest(
            self._sign(purpose, payload).encode(), signature.encode("utf-8", "replace")
        ):
            return None
        return json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    def _sign(self, purpose: str, payload: str) -> str:
        return hmac.digest(self._key, f"{purpose}/{payload}".encode("utf-8", "replace"), "sha256").hex()
