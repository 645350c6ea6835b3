"""API keys: the account that an Authorization header names."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from mock_fal.errors import AuthenticationRequired, InvalidBearer, InvalidKey

# The number of valid headers that are cached.
_MAX_CACHED: Final = 1000


class Keys:
    """The valid keys: those in `accepted`, or any well-formed key if it is empty."""

    def __init__(self, accepted: Collection[str] = ()) -> None:
        self._accepted = accepted
        self._accounts: dict[str, str] = {}

    def account(self, header: str | None, app_id: str) -> str | None:
        """The account of an Authorization header, which is the id of its key; None without a header.

        Raises AuthenticationRequired, InvalidKey or InvalidBearer.
        """
        if header is None:
            return None
        account = self._accounts.get(header)
        if account is None:
            account = self._parse(header, app_id)
            if len(self._accounts) > _MAX_CACHED:
                self._accounts.clear()
            self._accounts[header] = account
        return account

    def _parse(self, header: str, app_id: str) -> str:
        scheme, _, key = header.partition(" ")
        if scheme.lower() == "bearer":
            raise InvalidBearer
        key_id, colon, secret = key.strip().partition(":")
        # fal: a value that is not `id:secret` got the response for a missing key (live; not always).
        if scheme.lower() != "key" or not (key_id and colon and secret):
            raise AuthenticationRequired(app_id)
        if self._accepted and key.strip() not in self._accepted:
            raise InvalidKey
        return key_id
