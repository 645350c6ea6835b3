"""The memory budget: the bytes that each key keeps, and whose are forgotten when there are too many.

Everything that a client sends and that outlives its response counts: requests with their inputs and results, their
webhooks, exchanges with their heads and bodies, and the state of each key. So do bodies that are being received.
Other memory has a bound of its own (docs/explanation/memory.md).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

from mock_fal.errors import MemoryFull

# The default of --max-memory: some 100,000 exchanges of a common size, and enough for pictures in inputs.
DEFAULT_BYTES: Final = 512 << 20

# A share of the budget and of the places is kept free for other keys: one key has at most nine tenths in flight.
RESERVED_SHARE: Final = 10

# Bodies that are being received take at most half of the budget: they are not anybody's yet, and can't be forgotten.
RECEIVING_SHARE: Final = 2

# The bytes of one object without the texts that a client chose, with its places in dicts, lists and heaps. Measured
# with tracemalloc on CPython 3.11 (tests/security/test_memory.py compares the sum with the truth).
EXCHANGE_BYTES: Final = 700
SENDER_BYTES: Final = 1100  # of a key in the journal
REQUEST_BYTES: Final = 1300
FILE_BYTES: Final = 600
DELIVERY_BYTES: Final = 900
TENANT_BYTES: Final = 3000
DIRECTIVE_BYTES: Final = 1200

# Documents with more parts are not walked to their end: it would take as long as parsing them.
MAX_PARTS_COUNTED: Final = 10_000
# The largest ratio of the parsed size to the size as JSON: that of a list of empty objects.
PARSED_RATIO: Final = 25

# A text of this size may be used in several places, and is counted once.
_LARGE_TEXT: Final = 1024
_PART_BYTES: Final = 64


# From this size on, memory that was freed is given back to the system: that takes some milliseconds.
_GIVEN_BACK_BYTES: Final = 32 << 20


class Holder(Protocol):
    """A collection that counts its items in a budget, and can forget those that are finished."""

    def settle(self, now: float) -> None:
        """Note what is finished by `now`."""

    def oldest_at(self, owner: str) -> float:
        """The moment of an owner's oldest finished item; infinite if it has none."""

    def forget_oldest(self, owner: str) -> None:
        """Forget that item."""


# The level of an owner without a number: only 0 has it.
_NO_LEVEL: Final = (0, 0, 1)


class Ranking:
    """Owners by number, within an eighth, so that they seldom move. All operations take constant time."""

    def __init__(self) -> None:
        # The level of each owner, and its numbers: from the first on, below the second.
        self._levels: dict[str, tuple[int, int, int]] = {}
        self._owners: dict[int, dict[str, None]] = {}
        self._highest = 0
        # The owner that has been at the highest level for the longest time; None without owners.
        self.highest: str | None = None

    def set(self, owner: str, number: int) -> None:
        """Set the number of an owner; 0 removes it."""
        old, first, end = self._levels.get(owner, _NO_LEVEL)
        if not first <= number < end:
            self._move(owner, number, old)

    def _move(self, owner: str, number: int, old: int) -> None:
        if old:
            del self._levels[owner]
            owners = self._owners[old]
            del owners[owner]
            if not owners:
                del self._owners[old]
        if number:
            # The four leading binary digits of the number, and how many follow. Up to 15 it is the number itself.
            more = max(0, number.bit_length() - 4)
            digits = number >> more
            level = (more << 3) + digits
            self._levels[owner] = level, digits << more, (digits + 1) << more
            self._owners.setdefault(level, {})[owner] = None
            self._highest = max(self._highest, level)
        while self._highest and self._highest not in self._owners:
            self._highest -= 1
        self.highest = next(iter(self._owners[self._highest])) if self._highest else None


class Memory:
    """Counts the bytes of all owners, which are keys, up to `limit`. Bytes in flight are never forgotten.

    When they exceed the limit, the owner with the most bytes of finished items loses its oldest one, so that no owner
    displaces the items of one that holds less than its share.
    """

    def __init__(self, limit: int = DEFAULT_BYTES) -> None:
        self.limit = limit
        # All bytes that are counted.
        self.used = 0
        self._receiving = 0
        self._held: dict[str, int] = {}
        self._finished: dict[str, int] = {}
        self._ranking = Ranking()
        self._holders: list[Holder] = []
        # Frees something that belongs to no item; False if there is nothing.
        self.last_resort: Callable[[], bool] = lambda: False

    def held(self, owner: str) -> int:
        """The bytes of an owner, in flight or finished."""
        return self._held.get(owner, 0)

    def in_flight(self, owner: str) -> int:
        """The bytes of an owner that can't be forgotten."""
        return self._held.get(owner, 0) - self._finished.get(owner, 0)

    def add_holder(self, holder: Holder) -> None:
        """Ask this collection too when something has to be forgotten."""
        self._holders.append(holder)

    def add(self, owner: str, size: int, *, finished: bool) -> None:
        """Count `size` more bytes of an owner, or fewer if it is negative."""
        self.used += size
        held = self._held.get(owner, 0) + size
        if held:
            self._held[owner] = held
        else:
            self._held.pop(owner, None)
        if finished:
            self.finish(owner, size)

    def finish(self, owner: str, size: int) -> None:
        """Bytes of an owner that are counted already may be forgotten from now on."""
        total = self._finished.get(owner, 0) + size
        if total:
            self._finished[owner] = total
        else:
            self._finished.pop(owner, None)
        self._ranking.set(owner, total)

    def replace(self, owner: str, removed: int, added: int, finished: int) -> None:
        """Count `added` more bytes, of which some are `finished`, and the removal of finished ones."""
        if added != removed:
            self.add(owner, added - removed, finished=False)
        if finished != removed:
            self.finish(owner, finished - removed)

    def has_room(self, owner: str, size: int, freed: int = 0) -> bool:
        """Whether `size` more bytes fit, with `freed` that are still counted."""
        return self.used + size - freed <= self.limit and self._is_in_share(owner, size)

    def make_room(self, owner: str, size: int, now: float) -> bool:
        """Forget finished items until `size` more bytes fit; False if they don't fit."""
        if not self._is_in_share(owner, size):
            return False
        return self.used + size <= self.limit or self._forget(owner, size, now)

    def _is_in_share(self, owner: str, size: int) -> bool:
        in_flight = self._held.get(owner, 0) - self._finished.get(owner, 0)
        return in_flight + size <= self.limit - self.limit // RESERVED_SHARE

    def trim(self, owner: str, now: float) -> None:
        """Return to the limit after an item of this owner was added that could not be refused."""
        if self.used > self.limit:
            self._forget(owner, 0, now)

    def receive(self, size: int) -> None:
        """Count `size` bytes of a body that is being received. Raises MemoryFull, and counts nothing."""
        fits = self._receiving + size <= self.limit // RECEIVING_SHARE
        if not fits or (self.used + size > self.limit and not self._forget(None, size, -math.inf)):
            raise MemoryFull(self.limit)
        self._receiving += size
        self.used += size

    def received(self, size: int) -> None:
        """The end of `receive`: whoever keeps the body has counted it."""
        self._receiving -= size
        self.used -= size

    def _forget(self, owner: str | None, size: int, now: float) -> bool:
        for holder in self._holders:
            holder.settle(now)
        while self.used + size > self.limit:
            loser = self._loser(owner, size)
            if loser is None:
                if not self.last_resort():
                    return False
                continue
            holder = min(self._holders, key=lambda holder: holder.oldest_at(loser))
            if holder.oldest_at(loser) == math.inf:
                return False  # the latest exchange is kept in any case
            holder.forget_oldest(loser)
        return True

    def _loser(self, owner: str | None, size: int) -> str | None:
        """Who has to forget something for `size` bytes of `owner`; None if nobody has to."""
        loser = self._ranking.highest
        if loser is None or owner is None or loser == owner or self._may_displace(owner, loser, size):
            return loser
        return owner if owner in self._finished else None

    def _may_displace(self, owner: str, loser: str, size: int) -> bool:
        held = self._held[loser]
        # Within an eighth, because the ranking is no more exact.
        return 8 * held >= 7 * (self.held(owner) + size) or held > self.limit // len(self._held)


def give_back(freed_bytes: int) -> None:
    """Give freed memory back to the system. glibc keeps it otherwise, because longer-lived objects lie between."""
    if freed_bytes < _GIVEN_BACK_BYTES or sys.platform != "linux":
        return
    from ctypes import CDLL  # only after a reset of much data

    trim = getattr(CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)


def document_bytes(*documents: Any, input_bytes: int = 0) -> int:
    """The bytes of JSON documents in memory, large texts once. `input_bytes` is the size of the text they come from."""
    size = parts = 0
    large: set[int] = set()
    pending = [*documents]
    while pending:
        value = pending.pop()
        parts += 1
        if parts > MAX_PARTS_COUNTED:
            return size + PARSED_RATIO * input_bytes
        if isinstance(value, str):
            if len(value) < _LARGE_TEXT:
                size += len(value) + _PART_BYTES
            elif id(value) not in large:
                large.add(id(value))
                size += sys.getsizeof(value)
        elif isinstance(value, dict):
            size += 3 * _PART_BYTES
            pending += value
            pending += value.values()
        elif isinstance(value, list | tuple):
            size += _PART_BYTES + 8 * len(value)
            pending += value
        elif isinstance(value, float):
            size += 24
    return size
