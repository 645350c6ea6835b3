"""Rented machines of an account: what was created. There are none behind them. Bounded in number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Of one server.
MAX_INSTANCES: Final = 1000

# assumption: how long it takes until a machine is ready.
PROVISIONING_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine of an account."""

    id: str
    account: str
    type: str
    sector: str | None
    created_at: float

    def is_ready(self, now: float) -> bool:
        return now >= self.created_at + PROVISIONING_S


class Instances:
    """The machines of a server, by id."""

    def __init__(self) -> None:
        self._instances: dict[str, Instance] = {}

    def add(self, instance: Instance) -> bool:
        """Keep a machine. False if there are too many."""
        if len(self._instances) >= MAX_INSTANCES:
            return False
        self._instances[instance.id] = instance
        return True

    def of(self, account: str) -> list[Instance]:
        """The machines of an account, latest first."""
        return [found for found in reversed(self._instances.values()) if found.account == account]

    def delete(self, id: str) -> None:
        """Delete a machine."""
        del self._instances[id]

    def clear(self, account: str | None = None) -> None:
        """Forget the machines of one account or of all."""
        kept = {} if account is None else self._instances
        self._instances = {id: found for id, found in kept.items() if found.account != account}
