"""Chance: a stream of draws that follows from its words, the same on every machine and in every Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256, shake_256
from typing import TypeVar

T = TypeVar("T")


class RandomStream:
    """The same words give the same draws, in the same order.

    >>> Chance("a cat", 7).whole(100) == Chance("a cat", 7).whole(100)
    True
    """

    def __init__(self, *words: str | int) -> None:
        # The length in front keeps ("ab", "c") and ("a", "bc") apart; lone surrogates may come from JSON escapes.
        texts = [str(word).encode("utf-8", "surrogatepass") for word in words]
        self._key = b"".join(b"%d:%b" % (len(text), text) for text in texts)
        self._draws = self._numbers()

    def _numbers(self) -> Iterator[int]:
        block = 0
        while True:
            digest = sha256(b"%d/" % block + self._key).digest()
            yield from (int.from_bytes(digest[at : at + 4], "big") for at in range(0, 32, 4))
            block += 1

    def unit(self) -> float:
        """A number of 0 <= x < 1."""
        return next(self._draws) / 2**32

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def whole(self, below: int) -> int:
        """A whole number of 0 <= n < below."""
        return next(self._draws) * below >> 32

    def bytes(self, count: int) -> bytes:
        """So many bytes; they don't depend on what was drawn before."""
        return shake_256(self._key).digest(count)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.whole(len(choices))]
