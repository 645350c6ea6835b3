"""Short-lived tokens for clients without a key: a JWT with an account and the apps it gives access to.

No token is stored. The signing key is derived from the server's seed, so that a run repeats.
"""

# deviation: anyone who knows the seed can forge tokens.

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from typing import Any, Final

from mock_fal.errors import InvalidAppToken, WrongAppToken


class Tokens:
    """Issues and verifies the tokens of one server."""

    def __init__(self, seed: int) -> None:
        self._key = f"mock-fal/{seed}/tokens".encode()

    def issue(self, account: str, apps: Collection[str], lifetime_s: float, now: float) -> str:
        """A token for `account` that is valid for `lifetime_s` seconds at the apps with these aliases."""
        claims = {"iss": "mock-fal", "sub": account, "apps": list(apps), "iat": now, "exp": now + lifetime_s}
        signed = f"{_HEADER}.{_encode(claims)}"
        return f"{signed}.{self._signature(signed)}"

    def account(self, token: str, app: str, now: float) -> str:
        """The account of a token that is valid for the app with that alias.

        Raises InvalidAppToken if it is forged or expired, WrongAppToken if it was issued for other apps.
        """
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode("utf-8", "replace")):
            raise InvalidAppToken
        claims = _decode(signed.partition(".")[2])
        if now >= claims["exp"]:
            raise InvalidAppToken
        if app not in claims["apps"]:
            raise WrongAppToken
        account: str = claims["sub"]
        return account

    def _signature(self, signed: str) -> str:
        return _base64(hmac.digest(self._key, signed.encode("utf-8", "replace"), "sha256"))


def _encode(part: Any) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _decode(part: str) -> Any:
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


_HEADER: Final = _encode({"alg": "HS256", "typ": "JWT"})
