"""Identifiers, derived from a seed and counters so that a run repeats: request ids, file names, seeds; and secrets."""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from hashlib import blake2b
from itertools import islice

NANOID_LENGTH = 21


class Ids:
    """The identifiers of one tenant. The same seed and tenant give the same identifiers in the same order."""

    def __init__(self, seed: int, tenant: str = "") -> None:
        key = blake2b(f"mock-fal/{seed}/{tenant}".encode("utf-8", "surrogatepass")).digest()
        self._keyed = blake2b(digest_size=32, key=key)  # copied for each digest: that takes half the time
        self._requests = 0
        self._stamp = 0
        self._files = 0
        self._uploads = 0
        # The uses of each input. Not an OrderedDict, which takes twice the memory.
        self._seen: dict[int, int] = {}
        self._last_recipe = self._last_digest = b""

    def request_id(self, now: float) -> str:
        """A UUIDv7 for the moment `now`. Later ids sort after earlier ones, also within a millisecond.

        fal: request ids have been UUIDv7 since 2026 (many live captures).
        """
        number = self._requests
        self._requests += 1
        count = number & 0xFFF
        # The counter has 12 bits; when it wraps around, the millisecond increases (RFC 9562, 6.2).
        self._stamp = max(int(now * 1000), self._stamp + (count == 0))
        random = int.from_bytes(self._draw(b"request/%d" % number)[:8])
        high, low = 0b10 << 14 | random >> 50, random >> 2 & 0xFFFF_FFFF_FFFF
        return f"{self._stamp >> 16:08x}-{self._stamp & 0xFFFF:04x}-7{count:03x}-{high:04x}-{low:012x}"

    @property
    def file_count(self) -> int:
        """How many numbers of files were taken."""
        return self._files

    def take_file_numbers(self, count: int) -> int:
        """The first of the next `count` numbers of files."""
        first = self._files
        self._files += count
        return first

    def file_path(self, number: int, content: str, extension: str) -> str:
        """The path of a file of a result, whose `number` was taken: `/files/b/{folder}/{nanoid}.jpg`.

        The folder has 8 hex digits, the nanoid 21 characters. They depend on `content`, because clients may cache a
        file for ever, also across runs.

        fal: `v3b.fal.media/files/b/0a910e3a/3YFJvSRPE2hWwDoPU7PmX.jpg`, with nothing after the nanoid (live, 2026-03).
        """
        folder, name = _name(self._draw(b"file/%d/" % number + content.encode("utf-8", "surrogatepass")))
        return f"/files/b/{folder}/{name}.{extension}"

    def upload_name(self) -> tuple[str, str]:
        """A folder and a nanoid for an uploaded file. It has its own counter, so that names of results don't change."""
        number = self._uploads
        self._uploads += 1
        return _name(self._draw(b"upload/%d" % number))

    def seed_for(self, recipe: bytes) -> int:
        """The seed of a request without one, derived from its input and the number of earlier uses of that input."""
        return self.seed(recipe, self.take_use(recipe))

    def take_use(self, recipe: bytes) -> int:
        """Count one more use of an input, and return the number of earlier ones."""
        key = int.from_bytes(self._digest(recipe)[:8])  # half the memory of the digest
        uses = self._seen.pop(key, 0)
        self._seen[key] = uses + 1
        if len(self._seen) > MAX_INPUTS_REMEMBERED:
            self._seen = dict(islice(self._seen.items(), MAX_INPUTS_REMEMBERED // 2, None))
        return uses

    def seed(self, recipe: bytes, uses: int) -> int:
        """The seed of the use of an input after `uses` earlier ones."""
        digest = self._digest(recipe)
        # fal: the seeds of flux results are unsigned 32-bit numbers (live captures).
        return int.from_bytes((self._draw(b"seed/%d/" % uses + digest) if uses else digest)[:4])

    def _digest(self, recipe: bytes) -> bytes:
        if recipe != self._last_recipe:  # load tests repeat one
            self._last_recipe, self._last_digest = recipe, self._draw(recipe)
        return self._last_digest

    @property
    def kept_bytes(self) -> int:
        """The bytes of the inputs that are remembered."""
        return INPUT_BYTES * len(self._seen)

    def _draw(self, label: bytes) -> bytes:
        """32 bytes derived from the seed, the tenant and `label`."""
        hasher = self._keyed.copy()
        hasher.update(label)
        return hasher.digest()


def _name(digest: bytes) -> tuple[str, str]:
    return f"0aa{digest[:3].hex()[:5]}", urlsafe_b64encode(digest[3:])[:NANOID_LENGTH].decode()


# Of more inputs, the half that was not used for longest is forgotten: they count as new then. That takes some 5 ms.
MAX_INPUTS_REMEMBERED = 100_000
# The bytes of each.
INPUT_BYTES = 140


def random_secret() -> str:
    """32 random hex digits: a secret of this run, which nobody can guess or read from the source.

    Such are the key that is replaced while recording, the password of the proxy, the control token, and the salt of
    digests of keys. Only these values are not derived from the seed. No response of fal contains them, so runs repeat.
    """
    return os.urandom(16).hex()
