"""The user at the other end of a loopback connection, from Linux's table of TCP sockets (proc(5), /proc/net/tcp)."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Final

_TABLE: Final = Path("/proc/net/tcp")
# A busy machine has some thousand sockets, 150 bytes each.
_MAX_TABLE_BYTES: Final = 4 << 20


def is_same_user(client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Whether the socket `client`, an IPv4 address and port, belongs to the user of this process.

    False where the system has no such table. `server` is the own end of the connection.
    """
    try:
        wanted = f"{_hex(client)} {_hex(server)}".encode()
        with _TABLE.open("rb") as file:
            table = file.read(_MAX_TABLE_BYTES)
    except (OSError, ValueError):
        return False
    line = next((line for line in table.splitlines() if b" ".join(line.split()[1:3]) == wanted), b"")
    fields = line.split()
    return len(fields) > 7 and fields[7] == str(os.getuid()).encode()


def _hex(address: tuple[str, int]) -> str:
    """An address as the table spells it: the four bytes as one number of the machine's byte order, and the port."""
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"
