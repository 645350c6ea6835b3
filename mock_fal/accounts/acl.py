"""Who may read a file, and how long it lives."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Decision(Enum):
    """What a reader gets. fal: the three words of its storage documentation (2026); the later is the stricter."""

    ALLOW = "allow"
    FORBID = "forbid"  # told that there is a file
    HIDE = "hide"  # not even told that


_STRICTNESS: Final = list(Decision)


@dataclass(frozen=True, slots=True)
class Acl:
    """What anybody gets, and the rules for some by name."""

    # fal: without a wish the account's setting counts, which is public where nobody has set it (documentation, 2026).
    default: Decision = Decision.ALLOW
    rules: tuple[tuple[str, Decision], ...] = ()

    def decide(self, owner: str, readers: Collection[str]) -> Decision:
        """The verdict on whoever comes with the names `readers`: the most permissive one of theirs.

        The owner may always; who has no rule, or no name, gets the default.

        >>> Acl(Decision.HIDE, (("ana", Decision.ALLOW),)).decide("bob", ["ana"])
        <Decision.ALLOW: 'allow'>
        """
        if owner in readers:
            return Decision.ALLOW
        rules = dict(self.rules)
        verdicts = [rules.get(name, self.default) for name in readers] or [self.default]
        return min(verdicts, key=_STRICTNESS.index)


PUBLIC: Final = Acl()


@dataclass(frozen=True, slots=True)
class Terms:
    """What an uploader wishes for a file: the lifecycle header."""

    lives_s: float = math.inf
    acl: Acl = PUBLIC
