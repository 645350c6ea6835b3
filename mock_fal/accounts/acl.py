"""Access to files: ACLs, and the lifetime of a file."""

from __future__ import annotations

import math
from collections.abc import Collection
from enum import Enum
from typing import Final, NamedTuple


class Decision(Enum):
    """The access of a reader, least strict first. fal: these values are documented for storage (2026)."""

    ALLOW = "allow"
    FORBID = "forbid"  # 403
    HIDE = "hide"  # 404


_STRICTNESS: Final = list(Decision)


class Acl(NamedTuple):
    """The default decision, and the decisions for some readers by name."""

    # fal: the default of an account is public (storage documentation, 2026).
    default: Decision = Decision.ALLOW
    rules: tuple[tuple[str, Decision], ...] = ()

    def decide(self, owner: str, readers: Collection[str]) -> Decision:
        """The decision for a reader with the names `readers`: the least strict one of these names.

        The owner may always read. A name without a rule, or no name at all, gets the default.

        >>> Acl(Decision.HIDE, (("ana", Decision.ALLOW),)).decide("bob", ["ana"])
        <Decision.ALLOW: 'allow'>
        """
        if owner in readers:
            return Decision.ALLOW
        rules = dict(self.rules)
        decisions = [rules.get(name, self.default) for name in readers] or [self.default]
        return min(decisions, key=_STRICTNESS.index)


PUBLIC: Final = Acl()


class ObjectLifecycle(NamedTuple):
    """Lifetime and ACL that a client requests for a file, in the lifecycle header."""

    lifetime_s: float = math.inf
    acl: Acl = PUBLIC


# The lifecycle of a client that requests none: the account's settings apply. Compared by identity.
NO_PREFERENCE: Final = ObjectLifecycle()
