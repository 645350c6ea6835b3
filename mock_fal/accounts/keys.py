"""Who asks: the account that an Authorization header names, by its key."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from mock_fal.errors import AuthenticationRequired, InvalidBearer, InvalidKey

# How many headers are remembered as good.
_MAX_KNOWN: Final = 1000


class Keys:
    """The keys that are good: those of `accepted`, or any well-formed one when there are none."""

    def __init__(self, accepted: Collection[str] = ()) -> None:
        self._accepted = accepted
        self._good: dict[str, str] = {}

    def account(self, header: str | None, app_id: str) -> str | None:
        """The account (the key's id) that an Authorization header names; None without a header.

        Raises AuthenticationRequired, InvalidKey or InvalidBearer.
        """
        if header is None:
            return None
        known = self._good.get(header)
        if known is None:
            known = self._read(header, app_id)
            if len(self._good) > _MAX_KNOWN:
                self._good.clear()
            self._good[header] = known
        return known

    def _read(self, header: str, app_id: str) -> str:
        scheme, _, key = header.partition(" ")
        if scheme.lower() == "bearer":
            raise InvalidBearer
        name, colon, secret = key.strip().partition(":")
        # fal: a value that is no `id:secret` was answered like no key at all (live; not always).
        if scheme.lower() != "key" or not (name and colon and secret):
            raise AuthenticationRequired(app_id)
        if self._accepted and key.strip() not in self._accepted:
            raise InvalidKey
        return name
