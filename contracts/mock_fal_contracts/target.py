"""The server that is checked: a mock of our own, the live service, or any address that speaks as fal does."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


class CheckError(Exception):
    """The check itself can't be done: a wrong flag, a target that doesn't answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask, and with which key. `base` is empty for the live service, whose hosts have names of their own.

    `is_ours` says that it has mock-fal's control API at `base`.
    """

    name: str
    base: str
    key: str
    is_ours: bool = False

    def url(self, host: str, path: str) -> str:
        """The address of `path` on one of fal's hosts; without a host, on the target's own."""
        if not host:
            return f"{self.base}{path}"
        return f"{self.base}/{host}{path}" if self.base else f"https://{host}{path}"

    @property
    def headers(self) -> dict[str, str]:
        """What a question with a key carries."""
        return {"authorization": f"Key {self.key}"}


@contextmanager
def open_target(name: str, key: str, flags: Sequence[str] = ()) -> Iterator[Target]:
    """The target that `--target` names: `mock` (started here, with `flags` of `mock-fal serve`), `live` or a URL."""
    if name == "mock":
        with started(flags) as base:
            yield Target("mock", base, key or "check:contract", is_ours=True)
    elif name == "live":
        if not key:
            raise CheckError("--target live needs a key: set FAL_KEY, or say --key id:secret")
        yield Target("live", "", key)
    elif name.startswith(("http://", "https://")):
        yield Target(name, name.rstrip("/"), key or "check:contract")
    else:
        raise CheckError(f"--target {name!r}: expected mock, live, or an address that begins with http://")


@contextmanager
def started(flags: Sequence[str] = ()) -> Iterator[str]:
    """A mock in a process of its own; gives its address."""
    command = [sys.executable, "-m", "mock_fal_contracts.served", *flags]
    # What it says of webhooks and the like is no matter of who started it.
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, text=True
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        try:
            words = server.stdout.readline().split()
            if "at" not in words:
                raise CheckError(f"mock-fal did not start: {' '.join(command)}")
            yield words[words.index("at") + 1]
        finally:
            # This ends it. A signal beside it would be one too many: Python 3.11 that stops, traced for coverage, spins
            # for ever at a second one.
            server.stdin.close()


def environment(base: str) -> dict[str, str]:
    """The environment that leads an unmodified program to a server, as `mock-fal env` says it."""
    told = subprocess.run(
        [sys.executable, "-m", "mock_fal", "env", "--url", base], capture_output=True, text=True, check=False
    )
    if told.returncode:
        raise CheckError(f"mock-fal env failed: {told.stderr.strip()}")
    environ = dict(os.environ)
    for line in told.stdout.splitlines():
        verb, *words = shlex.split(line)
        for word in words:
            name, _, value = word.partition("=")
            environ.pop(name, None)
            if verb == "export":
                environ[name] = value
    return environ
