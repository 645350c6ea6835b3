"""Reading files that a user names: regular files only, and no more bytes than a limit."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file. Raises OSError, also for a file that is not regular or larger than `max_bytes`.

    A FIFO would block, and a device such as /dev/zero never ends.
    """
    # Non-blocking: to open a FIFO waits for a writer otherwise.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError("it is not a regular file")
    with open(descriptor, "rb") as file:
        if status.st_size > max_bytes:
            raise OSError(f"it has {status.st_size} bytes, the limit is {max_bytes}")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(f"it grew beyond the limit of {max_bytes} bytes")
    return data
