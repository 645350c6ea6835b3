"""What an account has set up beside its requests: storage settings, values by key, assets, machines. Bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mock_fal.accounts.acl import ObjectLifecycle
from mock_fal.accounts.instances import Instances
from mock_fal.accounts.key_values import KeyValues
from mock_fal.accounts.library import Libraries

# Beyond this number, the account that was set up first starts anew.
MAX_WORKSPACES: Final = 1000


@dataclass(slots=True, eq=False)
class Workspace:
    """The settings of one account."""

    # Lifetime and access list of new files without a preference of their own.
    lifecycle: ObjectLifecycle | None = None


class Workspaces:
    """The workspaces of a server, by account."""

    def __init__(self) -> None:
        self._workspaces: dict[str, Workspace] = {}
        self.key_values = KeyValues()
        self.libraries = Libraries()
        self.instances = Instances()

    def __bool__(self) -> bool:
        """Whether an account has set up how its files are stored."""
        return bool(self._workspaces)

    def of(self, account: str) -> Workspace:
        """The workspace of an account, created at the first call."""
        if account not in self._workspaces:
            if len(self._workspaces) >= MAX_WORKSPACES:
                del self._workspaces[next(iter(self._workspaces))]
            self._workspaces[account] = Workspace()
        return self._workspaces[account]

    def lifecycle(self, account: str) -> ObjectLifecycle | None:
        """The lifecycle that an account has set for its files; None if it has set none."""
        workspace = self._workspaces.get(account)
        return workspace.lifecycle if workspace else None

    def clear(self, account: str | None = None) -> None:
        """Forget one account or all."""
        for kept in (self.key_values, self.libraries, self.instances):
            kept.clear(account)
        if account is None:
            self._workspaces = {}
        else:
            self._workspaces.pop(account, None)
