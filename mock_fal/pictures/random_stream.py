"""Seeded random numbers that are the same on every machine and in every Python version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256, shake_256
from struct import unpack
from typing import TypeVar

T = TypeVar("T")


class RandomStream:
    """A stream of random numbers. The same seeds give the same numbers in the same order.

    >>> RandomStream("a cat", 7).integer(100) == RandomStream("a cat", 7).integer(100)
    True
    """

    def __init__(self, *seeds: str | int) -> None:
        # The length prefix distinguishes ("ab", "c") from ("a", "bc"). Lone surrogates may come from JSON escapes.
        texts = [str(seed).encode("utf-8", "surrogatepass") for seed in seeds]
        self._key = b"".join(b"%d:%b" % (len(text), text) for text in texts)
        self._words = self._words_of_32_bits()

    def _words_of_32_bits(self) -> Iterator[int]:
        block = 0
        while True:
            digest = sha256(b"%d/" % block + self._key).digest()
            yield from unpack(">8I", digest)
            block += 1

    def unit(self) -> float:
        """A number x, 0 <= x < 1."""
        return next(self._words) / 2**32

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def integer(self, below: int) -> int:
        """An integer n, 0 <= n < below."""
        return next(self._words) * below >> 32

    def bytes(self, count: int) -> bytes:
        """`count` bytes; they don't depend on the numbers drawn before."""
        return shake_256(self._key).digest(count)

    def choice(self, choices: Sequence[T]) -> T:
        return choices[self.integer(len(choices))]
