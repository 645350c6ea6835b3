"""The client contract: a catalogue of cases, each played with somebody's client behind a small driver.

`contracts/drivers/README.md` says what a driver reads and answers.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mock_fal_contracts.client.case import ClientCase
from mock_fal_contracts.results import Result, Tell
from mock_fal_contracts.target import CheckError

# Cases of one client that are played at a time, each with a server and a driver of its own.
LANES: Final = 3

_NAMED: Final = re.compile(r"([A-Za-z0-9_.@/-]+)=(.+)", re.DOTALL)


def check_clients(options: argparse.Namespace, tell: Tell) -> list[Result]:
    """Play the catalogue, or what `--only` names of it, with each `--client`. Raises CheckError.

    The results come in the order of the catalogue, client by client.
    """
    try:
        cases = _chosen(options.only)
    except ImportError as error:
        raise CheckError(f"{error}; a client's check needs: pip install 'mock-fal[check]'") from None
    if options.list:
        sys.stdout.writelines(f"{each.case.id:<34} {each.case.title}\n" for each in cases)
        return []
    if options.target != "mock":
        raise CheckError(
            f"--client needs a server that misbehaves when told to; --target is {options.target!r}, expected mock"
        )
    from mock_fal_contracts.client.signing import private_key_file

    clients = _clients(options.client)
    lock = threading.Lock()

    def told(result: Result) -> None:
        with lock:
            tell(result, len(cases) * len(clients))

    with tempfile.TemporaryDirectory(prefix="mock-fal-check-") as folder:
        signing_key = private_key_file(Path(folder))
        plays = [_Play(name, command, cases, signing_key, told) for name, command in clients.items()]
        lanes = [play for play in plays for _ in range(min(LANES, len(cases)))]
        with ThreadPoolExecutor(len(lanes)) as pool:
            try:
                for done in [pool.submit(play.lane) for play in lanes]:
                    done.result()
            finally:
                for play in plays:
                    play.left.clear()  # an error or Ctrl+C: no lane begins another case
    return [play.results[each.case.id] for play in plays for each in cases]


class _Play:
    """The cases of one client; each of its lanes takes the next that is left."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        cases: Sequence[ClientCase],
        signing_key: Path,
        told: Callable[[Result], None],
    ) -> None:
        self.results: dict[str, Result] = {}
        # The slow ones first, so that no lane is left with one at the end.
        self.left = deque(sorted(cases, key=lambda each: -each.slow_s))
        self._name, self._command, self._signing_key, self._told = name, command, signing_key, told

    def lane(self) -> None:
        """Play until nothing is left."""
        from mock_fal_contracts.client.playing import opened

        with opened(self._name, self._command, self._signing_key) as player:
            while self.left:
                try:
                    case = self.left.popleft()
                except IndexError:
                    return  # another lane took it
                result = self.results[case.case.id] = player.play(case)
                self._told(result)


def _chosen(globs: Sequence[str]) -> list[ClientCase]:
    """The cases whose id is like one of the globs; all, where there are none. Raises CheckError for no case."""
    from mock_fal_contracts.client.catalogue import CASES

    chosen = [each for each in CASES if not globs or any(fnmatchcase(each.case.id, glob) for glob in globs)]
    if not chosen:
        raise CheckError(f"--only {' '.join(globs)}: no case has such an id; --list tells all of them")
    return chosen


def _clients(given: Sequence[str]) -> dict[str, list[str]]:
    """The command of each driver, by its name. Raises CheckError."""
    clients: dict[str, list[str]] = {}
    for each in given:
        named = _NAMED.fullmatch(each)
        name, text = named.groups() if named else (each, each)
        try:
            command = shlex.split(text)
        except ValueError as error:
            raise CheckError(f"--client {each!r}: {error}") from None
        if not command:
            raise CheckError(f"--client {each!r}: expected a command, or NAME=COMMAND")
        if shutil.which(command[0]) is None:
            raise CheckError(f"--client {name}: {command[0]}: command not found")
        if name in clients:
            raise CheckError(f"--client: two are called {name!r}; name them, as in --client NAME=COMMAND")
        clients[name] = command
    return clients
