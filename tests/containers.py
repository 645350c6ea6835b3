"""Containers without an engine: the services of a compose file as processes in network namespaces on one bridge.

A process of an unprivileged user may make them (`unshare --user --map-root-user`). Each container has its own address,
its own loopback, names of the others in /etc/hosts, and its own view of the volumes. Files are those of this machine,
with two exceptions: paths of volumes lie below a folder of the container, and it does not see the folders of others.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from tests.clients.programs import PATIENCE_S, missing

# The address of the machine on which the containers run, and the beginning of theirs.
MACHINE = "10.99.0.1"
_NETWORK = "10.99.0."

_HOLD = ["sh", "-c", "echo ready; exec cat"]

# Listens on 127.0.0.1 and passes connections on, as an engine does for published ports.
_PUBLISH = """
import asyncio, sys
own, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    others = await asyncio.open_connection(host, port)
    await asyncio.gather(pump(reader, others[1]), pump(others[0], writer), return_exceptions=True)
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", own) as server:
        print("ready", flush=True)
        await server.serve_forever()
asyncio.run(main())
"""


class Namespace:
    """A network and mount namespace, which exists as long as a process in it reads from a pipe."""

    def __init__(self, stack: ExitStack, prefix: Sequence[str], unshare: Sequence[str]) -> None:
        command = [*prefix, "unshare", *unshare, *_HOLD]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        stack.callback(self._close)
        assert self._holder.stdout is not None and self._holder.stderr is not None
        if self._holder.stdout.readline() != b"ready\n":
            reason = self._holder.stderr.read().decode(errors="replace").strip()
            missing(f"this machine makes no namespaces ({reason}); `make tools` says how to allow it")

    @property
    def pid(self) -> int:
        return self._holder.pid

    @property
    def prefix(self) -> list[str]:
        """What runs a command in the namespace."""
        return ["nsenter", f"--target={self.pid}", "--user", "--preserve-credentials", "--net", "--mount"]

    def sh(self, script: str) -> None:
        """Run a script of administration."""
        done = subprocess.run(
            [*self.prefix, "sh", "-euc", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def _close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        for pipe in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if pipe is not None:
                pipe.close()


class Container:
    """A service of a compose file."""

    def __init__(self, network: Network, name: str, service: Mapping[str, Any], number: int) -> None:
        self.name, self.service = name, service
        self.address = f"{_NETWORK}{number}"
        self.root = network.folder / name
        (self.root / "tmp").mkdir(parents=True)
        aliases = ((service.get("networks") or {}).get("default") or {}).get("aliases", [])
        self.names = [name, *aliases]
        self._network = network
        self._mounts: dict[str, Path] = {}

    @cached_property
    def namespace(self) -> Namespace:
        machine = self._network.machine
        namespace = Namespace(self._network.stack, machine.prefix, ["--net", "--mount"])
        end = f"v{self.address.rpartition('.')[2]}"
        machine.sh(
            f"ip link add {end} type veth peer name eth0 netns {namespace.pid}; ip link set {end} master br0 up"
        )
        hosts = self.root / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(self._network.hosts()), "ascii")
        lines = [
            "ip link set lo up",
            f"ip addr add {self.address}/24 dev eth0",
            "ip link set eth0 up",
            f"mount --bind {hosts} /etc/hosts",
        ]
        for source, target, mode in self._volumes():
            lines.append(f"mount --bind {source} {target}")
            if mode == "ro":
                # A user may add restrictions, and drop none of those that /tmp has.
                lines.append(f"mount -o remount,bind,ro,nosuid,nodev,noexec {target}")
        lines += [
            f"mount -t tmpfs none {other.root}"
            for other in self._network.containers.values()
            if other is not self
        ]
        namespace.sh("\n".join(lines))
        return namespace

    def _volumes(self) -> list[tuple[Path, Path, str]]:
        """Source, target and mode of each volume. Targets are made."""
        found = []
        for text in self.service.get("volumes", ()):
            source, target, *mode = text.split(":")
            is_file = source.startswith("./") and (self._network.project / source).is_file()
            path = self._network.project / source if source.startswith("./") else self._network.volume(source)
            own = self.root / target.lstrip("/")
            own.parent.mkdir(parents=True, exist_ok=True)
            if is_file:
                own.touch()
            else:
                own.mkdir(exist_ok=True)
            self._mounts[target] = own
            found.append((path, own, mode[0] if mode else "rw"))
        # A volume inside of another one needs a folder there.
        for source_path, own, _ in found:
            for _, other, _ in found:
                if other != own and other.is_relative_to(own):
                    (source_path / other.relative_to(own)).mkdir(exist_ok=True)
        return found

    def path(self, text: str) -> str:
        """A text in which paths of volumes are those of this machine."""
        for target, own in self._mounts.items():
            text = re.sub(rf"(?<![\w./-]){re.escape(target)}(?![\w-])", str(own), text)
        return text

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The environment of the service, beside what programs of this machine need."""
        self.namespace  # noqa: B018 (paths of volumes are known now)
        own = {name: self.path(_expanded(value)) for name, value in self.service["environment"].items()}
        return {**base, "TMPDIR": str(self.root / "tmp"), "HOME": str(self.root), **own}

    def command(self, command: Sequence[str]) -> list[str]:
        """What runs a command in the container."""
        return [*self.namespace.prefix, *command]

    def run(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(["env", f"--chdir={cwd or self.root}", *command]),
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


class Network:
    """The services of a compose file, on one bridge. Names of services and aliases lead to their addresses."""

    def __init__(self, compose: Mapping[str, Any], project: Path, folder: Path) -> None:
        for tool in ("unshare", "nsenter", "ip", "mount"):
            if shutil.which(tool) is None:
                missing(f"{tool} is not installed")
        self.project, self.folder, self.stack = project, folder, ExitStack()
        self.containers = {
            name: Container(self, name, service, number)
            for number, (name, service) in enumerate(compose["services"].items(), 2)
        }

    def __enter__(self) -> Self:
        with self.stack:
            self.machine = Namespace(self.stack, [], ["--user", "--map-root-user", "--net", "--mount"])
            self.machine.sh(
                "ip link set lo up; ip link add br0 type bridge; "
                f"ip addr add {MACHINE}/24 dev br0; ip link set br0 up"
            )
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def hosts(self) -> list[str]:
        return [f"{each.address} {' '.join(each.names)}\n" for each in self.containers.values()]

    def volume(self, name: str) -> Path:
        path = self.folder / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700 if "key" in name else 0o755)
        return path

    def start(self, command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start a process, which ends with the network."""
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

        def end() -> None:
            process.terminate()
            process.wait(PATIENCE_S)
            assert process.stdout is not None
            process.stdout.close()

        self.stack.callback(end)
        return process

    def publish(self, container: Container, env: Mapping[str, str]) -> None:
        """Make the published ports of a container ports of the machine."""
        for text in container.service.get("ports", ()):
            _, own, port = text.split(":")
            command = [sys.executable, "-c", _PUBLISH, own, container.address, port]
            process = self.start([*self.machine.prefix, *command], env)
            assert process.stdout is not None and process.stdout.readline() == "ready\n"


def _expanded(value: str) -> str:
    """A value of a compose file, in which no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
