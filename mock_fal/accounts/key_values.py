"""Values by key, for each account: what programs keep at kv.fal.media. Bounded in number and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

# deviation: the limits of one server; those of fal are not known. The oldest value makes room.
MAX_VALUE_BYTES: Final = 1 << 20
MAX_VALUES: Final = 10_000
MAX_BYTES: Final = 32 << 20


class Name(NamedTuple):
    """What names a value."""

    account: str
    database: str
    key: str


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    size: int
    expires_at: float


class KeyValues:
    """The values of a server."""

    def __init__(self) -> None:
        # The oldest one first.
        self._values: dict[Name, _Value] = {}
        self._bytes = 0

    def get(self, name: Name, now: float) -> str | None:
        """A value; None if there is none, or if it has expired."""
        value = self._values.get(name)
        if value is not None and now >= value.expires_at:
            self.delete(name)
            return None
        return None if value is None else value.text

    def set(self, name: Name, text: str, size: int, expires_at: float) -> None:
        """Keep a text of `size` bytes until a time, in place of an earlier one."""
        self.delete(name)
        size += 2 * sum(map(len, name))
        while self._values and (len(self._values) >= MAX_VALUES or self._bytes + size > MAX_BYTES):
            self.delete(next(iter(self._values)))
        self._values[name] = _Value(text, size, expires_at)
        self._bytes += size

    def delete(self, name: Name) -> None:
        """Forget a value. Does nothing if there is none."""
        value = self._values.pop(name, None)
        self._bytes -= value.size if value is not None else 0

    def clear(self, account: str | None = None) -> None:
        """Forget the values of one account or of all."""
        for name in [name for name in self._values if account in (None, name.account)]:
            self.delete(name)
