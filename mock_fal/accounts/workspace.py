"""What an account has set up beside its requests: storage settings, values by key, assets, machines. Bounded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mock_fal.accounts.acl import ObjectLifecycle

if TYPE_CHECKING:
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

    def __bool__(self) -> bool:
        """Whether an account has set up how its files are stored."""
        return bool(self._workspaces)

    # Created, and their modules imported, at first use.

    @cached_property
    def key_values(self) -> KeyValues:
        """The values at kv.fal.media."""
        from mock_fal.accounts.key_values import KeyValues

        return KeyValues()

    @cached_property
    def libraries(self) -> Libraries:
        """The asset libraries."""
        from mock_fal.accounts.library import Libraries

        return Libraries()

    @cached_property
    def instances(self) -> Instances:
        """The rented machines."""
        from mock_fal.accounts.instances import Instances

        return Instances()

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
        for name in ("key_values", "libraries", "instances"):
            if name in self.__dict__:
                getattr(self, name).clear(account)
        if account is None:
            self._workspaces = {}
        else:
            self._workspaces.pop(account, None)
