"""Short-lived tokens, for whoever must not hold a key: a JWT that names an account and the apps it may ask.

Nothing about them is remembered. The signature's key follows from the server's seed: a whole run repeats.
"""

# deviation: whoever knows the seed can forge tokens; a double guards nothing.

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from typing import Any, Final

from mock_fal.errors import InvalidAppToken, WrongAppToken


class Tokens:
    """What one server signs and knows again."""

    def __init__(self, seed: int) -> None:
        self._key = f"mock-fal/{seed}/tokens".encode()

    def issue(self, account: str, apps: Collection[str], lives_s: float, now: float) -> str:
        """A token by which its bearer is `account` for `lives_s` seconds, at the apps with these aliases."""
        claims = {"iss": "mock-fal", "sub": account, "apps": list(apps), "iat": now, "exp": now + lives_s}
        signed = f"{_HEAD}.{_packed(claims)}"
        return f"{signed}.{self._signature(signed)}"

    def account(self, token: str, app: str, now: float) -> str:
        """Whose token it is, when it is good for the app of that alias.

        Raises InvalidAppToken for one that is forged or over, WrongAppToken for one that is for other apps.
        """
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode("utf-8", "replace")):
            raise InvalidAppToken
        claims = _unpacked(signed.partition(".")[2])
        if now >= claims["exp"]:
            raise InvalidAppToken
        if app not in claims["apps"]:
            raise WrongAppToken
        account: str = claims["sub"]
        return account

    def _signature(self, signed: str) -> str:
        return _base64(hmac.digest(self._key, signed.encode("utf-8", "replace"), "sha256"))


def _packed(part: Any) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _unpacked(part: str) -> Any:
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


_HEAD: Final = _packed({"alg": "HS256", "typ": "JWT"})
