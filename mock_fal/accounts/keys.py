"""API keys: the account that an Authorization header names, and keys that were created for an account."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Final, NamedTuple

from mock_fal.accounts.secrets import Secrets
from mock_fal.errors import AuthenticationRequired, InsufficientPermissions, InvalidBearer, InvalidKey
from mock_fal.ids import random_secret
from mock_fal.settings import DEFAULT_KEY

# The number of valid headers that are cached.
_MAX_CACHED: Final = 1000

# fal's keys have 69 characters. A key names the tenant, which is kept in many places.
MAX_HEADER_CHARS: Final = 512


# How many keys the program can create on one server, and how many deleted ones stay invalid.
MAX_CREATED: Final = 1000


class CreatedKey(NamedTuple):
    """A key that was created for an account: it has the account's requests and files, and limited permissions."""

    id: str
    account: str
    alias: str
    scope: str
    permissions: frozenset[str]
    created_at: float


class Keys:
    """The valid keys: those in `accepted`, or any well-formed key if it is empty."""

    def __init__(self, accepted: Collection[str] = ()) -> None:
        # The keys that were seen. Here and below no secret is kept, only digests.
        self.secrets = Secrets()
        self._accepted = frozenset(map(self.secrets.digest, accepted))
        for key in accepted:
            self.secrets.add(key)
        # By the hash of a header: it takes a tenth of the time of a digest, and 64 bits can't be guessed by requests.
        self._accounts: dict[int, str] = {}
        # By id: the keys that were created, each with the digest of its whole text, and the ids of deleted ones.
        self._created: dict[str, tuple[CreatedKey, bytes]] = {}
        self._deleted: dict[str, None] = {}

    def account(self, header: str | None, app_id: str, needs: str = "") -> str | None:
        """The account of an Authorization header, which is the id of its key; None without a header.

        A created key has the account for which it was created; `needs` is the permission that it must have.
        Raises AuthenticationRequired, InvalidKey, InvalidBearer or InsufficientPermissions.
        """
        if header is None:
            return None
        account = self._accounts.get(hash(header))
        if account is None:
            account = self._parse(header, app_id)
            if account in self._created:  # not cached: it may be limited, and deleted
                return self._admit(header, account, needs)
            if len(self._accounts) > _MAX_CACHED:
                self._accounts.clear()
            self._accounts[hash(header)] = account
        return account

    def create(self, key: CreatedKey, secret: str) -> bool:
        """Make a created key valid from now on. False if there are too many."""
        if len(self._created) >= MAX_CREATED:
            return False
        self.secrets.add_created(key.id, secret)
        self._created[key.id] = key, self.secrets.digest(f"{key.id}:{secret}")
        return True

    def created(self, account: str) -> list[CreatedKey]:
        """The keys that were created for an account, latest first."""
        return [key for key, _ in reversed(self._created.values()) if key.account == account]

    def delete(self, key_id: str, account: str) -> None:
        """Make a created key of an account invalid. Does nothing if there is none."""
        if key_id in self._created and self._created[key_id][0].account == account:
            del self._created[key_id]
            if len(self._deleted) >= MAX_CREATED:
                del self._deleted[next(iter(self._deleted))]
            self._deleted[key_id] = None

    def clear(self, account: str | None = None) -> None:
        """Delete the created keys of one account, or of all."""
        for key, _ in [*self._created.values()]:
            if account in (None, key.account):
                self.delete(key.id, key.account)

    def _admit(self, header: str, key_id: str, needs: str) -> str:
        key, digest = self._created[key_id]
        if self.secrets.digest(header.partition(" ")[2].strip()) != digest:
            raise InvalidKey
        if needs and needs not in key.permissions:
            raise InsufficientPermissions
        return key.account

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
        if key_id in self._deleted:
            raise InvalidKey
        if self._accepted and key_id not in self._created and not self._is_accepted(key):
            raise InvalidKey
        return key_id

    def _is_accepted(self, key: str) -> bool:
        return self.secrets.digest(key.strip()) in self._accepted


def _is_equal(text: str, secret: str) -> bool:
    """Compare in a time that does not depend on the text."""
    from hmac import compare_digest  # while recording, and for webhooks that pages request

    return compare_digest(text.encode("utf-8", "replace"), secret.encode())
