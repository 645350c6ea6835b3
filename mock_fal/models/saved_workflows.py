"""The workflows that programs have saved: their definitions as sent, and ready to run. Bounded in number and size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mock_fal.errors import JSON

if TYPE_CHECKING:
    from mock_fal.models.workflow import Workflow

# Of one server. The size is that of the definitions as sent.
MAX_WORKFLOWS: Final = 1000
MAX_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class SavedWorkflow:
    """A workflow of an account, `user`/`name`. `contents` is its definition, of `size` bytes."""

    user: str
    name: str
    title: str
    contents: JSON
    is_public: bool
    created_at: float
    size: int
    workflow: Workflow


class SavedWorkflows:
    """The saved workflows of a server, by id such as `ana/posters`."""

    def __init__(self) -> None:
        self._saved: dict[str, SavedWorkflow] = {}

    def find(self, id: str) -> SavedWorkflow | None:
        """The workflow with that id, or None."""
        return self._saved.get(id)

    def of(self, user: str) -> Iterator[SavedWorkflow]:
        """The workflows of an account, latest first."""
        return (saved for saved in reversed(self._saved.values()) if saved.user == user)

    def add(self, saved: SavedWorkflow) -> bool:
        """Save a workflow. False if there is no room."""
        size = sum(other.size for other in self._saved.values())
        if len(self._saved) >= MAX_WORKFLOWS or size + saved.size > MAX_BYTES:
            return False
        self._saved[f"{saved.user}/{saved.name}"] = saved
        return True

    def clear(self, user: str | None = None) -> None:
        """Forget the workflows of one account or of all."""
        self._saved = {id: saved for id, saved in self._saved.items() if user not in (None, saved.user)}
