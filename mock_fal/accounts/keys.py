"""API keys: the account that an Authorization header names."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Final

from mock_fal.accounts.secrets import Secrets
from mock_fal.errors import AuthenticationRequired, InvalidBearer, InvalidKey
from mock_fal.ids import random_secret
from mock_fal.settings import DEFAULT_KEY

# The number of valid headers that are cached.
_MAX_CACHED: Final = 1000

# fal's keys have 69 characters. A key names the tenant, which is kept in many places.
MAX_HEADER_CHARS: Final = 512


class Keys:
    """The valid keys: those in `accepted`, or any well-formed key if it is empty."""

    def __init__(self, accepted: Collection[str] = ()) -> None:
        # The keys that were seen. Here and below no secret is kept, only digests.
        self.secrets = Secrets()
        self._accepted = frozenset(map(self.secrets.digest, accepted))
        for key in accepted:
            self.secrets.add(key)
        self._accounts: dict[bytes, str] = {}

    def account(self, header: str | None, app_id: str) -> str | None:
        """The account of an Authorization header, which is the id of its key; None without a header.

        Raises AuthenticationRequired, InvalidKey or InvalidBearer.
        """
        if header is None:
            return None
        digest = self.secrets.digest(header)
        account = self._accounts.get(digest)
        if account is None:
            account = self._parse(header, app_id)
            if len(self._accounts) > _MAX_CACHED:
                self._accounts.clear()
            self._accounts[digest] = account
        return account

    @cached_property
    def run_secret(self) -> str:
        """A secret that only this server and the programs that it gives it to know."""
        return random_secret()

    def is_of_this_run(self, header: str | None) -> bool:
        """Whether a header has a key that a stranger can't know: one of `accepted`, or one with the `run_secret`.

        Without `accepted`, every well-formed key is valid, and the default key is printed in the documentation.
        """
        scheme, _, key = (header or "").partition(" ")
        if scheme.lower() != "key":
            return False
        return (self._is_accepted(key) and key.strip() != DEFAULT_KEY) or self.has_run_secret(header)

    def has_run_secret(self, header: str | None) -> bool:
        """Whether a header has a key with the `run_secret`, of any account."""
        scheme, _, key = (header or "").partition(" ")
        key_id, _, secret = key.strip().partition(":")
        is_run_secret = _is_equal(secret, self.run_secret)
        return scheme.lower() == "key" and key_id != "" and is_run_secret

    def _parse(self, header: str, app_id: str) -> str:
        if len(header) > MAX_HEADER_CHARS:
            # assumption: a key that is too long gets the response for one that can't be read.
            raise AuthenticationRequired(app_id)
        scheme, _, key = header.partition(" ")
        if scheme.lower() == "bearer":
            raise InvalidBearer
        key_id, colon, secret = key.strip().partition(":")
        # fal: a value that is not `id:secret` got the response for a missing key (live; not always).
        if scheme.lower() != "key" or not (key_id and colon and secret):
            raise AuthenticationRequired(app_id)
        if self._accepted and not self._is_accepted(key):
            raise InvalidKey
        return key_id

    def _is_accepted(self, key: str) -> bool:
        return self.secrets.digest(key.strip()) in self._accepted


def _is_equal(text: str, secret: str) -> bool:
    """Compare in a time that does not depend on the text."""
    from hmac import compare_digest  # while recording, and for webhooks that pages request

    return compare_digest(text.encode("utf-8", "replace"), secret.encode())
