"""Private folders that end with their process, and the removal of those whose process was killed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from types import ModuleType
from typing import Final

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: the folders of a killed process stay
    fcntl = None


PREFIX: Final = "mock-fal-"
_LOCK: Final = ".lock"


class TemporaryFolder:
    """A folder that only this user can read (mode 0700), removed by `close` or at exit.

    The process holds a lock on a file beside `path`. The system releases the lock when the process ends, in any way.
    """

    def __init__(self, purpose: str) -> None:
        self._folder = TemporaryDirectory(prefix=f"{PREFIX}{purpose}-", ignore_cleanup_errors=True)
        root = Path(self._folder.name)
        self.path = root / "data"
        self.path.mkdir(mode=0o700)
        unlocked = root / f"{_LOCK}.new"
        self._lock = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if fcntl is not None:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # Renamed only now: `remove_abandoned` of another process takes an unlocked file for an abandoned one.
            unlocked.rename(root / _LOCK)

    def close(self) -> None:
        """Remove the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        self._folder.cleanup()


def remove_abandoned(parent: str | None = None) -> list[Path]:
    """Remove this user's folders whose process has ended, and return them. Folders without a lock stay."""
    removed: list[Path] = []
    if fcntl is None:
        return removed
    with os.scandir(parent or gettempdir()) as entries:
        folders = [entry for entry in entries if entry.name.startswith(PREFIX)]
    for entry in folders:
        try:
            if (
                not entry.is_dir(follow_symlinks=False)
                or entry.stat(follow_symlinks=False).st_uid != os.getuid()
            ):
                continue
            lock = os.open(os.path.join(entry.path, _LOCK), os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its process is running
        else:
            shutil.rmtree(entry.path, ignore_errors=True)
            removed.append(Path(entry.path))
        finally:
            os.close(lock)
    return removed
