"""The server under test: a mock started by the check, the live service, or any address that serves fal's API."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final


class CheckError(Exception):
    """The check can't be run: a wrong flag, or a target that does not respond."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send requests, and with which key. `base` is empty for the live service: its hosts are real names.

    `is_ours`: the server has mock-fal's control API at `base`.
    """

    name: str
    base: str
    key: str
    is_ours: bool = False

    def url(self, host: str, path: str) -> str:
        """The URL of `path` on one of fal's hosts; with an empty host, on the target's own address."""
        if not host:
            return f"{self.base}{path}"
        return f"{self.base}/{host}{path}" if self.base else f"https://{host}{path}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an authenticated request."""
        return {"authorization": f"Key {self.key}"}


@contextmanager
def open_target(name: str, key: str, flags: Sequence[str] = ()) -> Iterator[Target]:
    """The target that `--target` names: `mock` (started here, with `flags` of `mock-fal serve`), `live` or a URL."""
    if name == "mock":
        with running_mock(flags) as base:
            yield Target("mock", base, key or "check:contract", is_ours=True)
    elif name == "live":
        if not key:
            raise CheckError("--target live needs a key: set FAL_KEY, or pass --key id:secret")
        yield Target("live", "", key)
    elif name.startswith(("http://", "https://")):
        yield Target(name, name.rstrip("/"), key or "check:contract")
    else:
        raise CheckError(f"--target {name!r}: expected mock, live, or a URL that begins with http://")


@contextmanager
def running_mock(flags: Sequence[str] = (), *, own_port: bool = True) -> Iterator[str]:
    """Run a mock in a separate process; yields its address. Raises CheckError, with the reason, if it does not start.

    It listens on a port of its own, or else on that of MOCK_FAL_PORT.
    """
    if os.environ.get("MOCK_FAL_RECORD"):
        raise CheckError(
            "MOCK_FAL_RECORD is set, but check sends nothing to fal; unset it, and use mock-fal run"
        )
    command = [sys.executable, "-m", "mock_fal_contracts.served", *(["--port", "0"] * own_port), *flags]
    with (
        # Shown only if it does not start: warnings about webhooks and the like do not concern the check.
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            env={name: value for name, value in os.environ.items() if name != "MOCK_FAL_LIVE_KEY"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as server,
    ):
        assert server.stdin is not None and server.stdout is not None
        try:
            words = server.stdout.readline().split()
            base = next((word for word in words if word.startswith("http")), None)
            if base is None:
                server.stdin.close()
                server.wait()
                errors.seek(0)
                reason = errors.read().decode("utf-8", "replace").strip().removeprefix("mock-fal: ")
                raise CheckError(f"mock-fal did not start: {reason or f'exit code {server.returncode}'}")
            yield base
        finally:
            # This stops the server. It must not get a signal as well: while Python 3.11 shuts down under coverage
            # tracing, a second signal makes it spin for ever.
            server.stdin.close()


def environment(base: str) -> dict[str, str]:
    """The environment that points an unmodified program at a server, as printed by `mock-fal env`.

    All programs that the check starts have it. The user's live key is not in it.
    """
    own = _without_secrets(os.environ)
    completed = subprocess.run(
        [sys.executable, "-m", "mock_fal", "env", "--url", base],
        capture_output=True,
        text=True,
        check=False,
        env=own,
    )
    if completed.returncode:
        raise CheckError(f"mock-fal env failed: {completed.stderr.strip()}")
    environ = dict(own)
    for line in completed.stdout.splitlines():
        command, *assignments = shlex.split(line)
        for assignment in assignments:
            name, _, value = assignment.partition("=")
            environ.pop(name, None)
            if command == "export":
                environ[name] = value
    return environ


_SECRETS: Final = ("MOCK_FAL_LIVE_KEY", "MOCK_FAL_CONTROL_TOKEN")


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _SECRETS}
